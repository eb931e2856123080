"""What tests share: the tiny Qwen2-VL, the other families with random or golden weights, a few problems, a runtime for two cores."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
from endpoint import Endpoint

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from mathse.backbones import Loaded
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.backbones.weights import TINY
from mathse.config import Experiment, load
from mathse.figures import stream
from mathse.figures.data import Figures
from mathse.store import Runtime
from mathse.types import Problem


@functools.cache
def loaded(*overrides: str) -> Experiment:
    """An Experiment that several tests start from, composed once: Hydra takes a tenth of a second."""
    return load(*overrides)


@pytest.fixture(scope="session")
def backbone() -> Qwen2VL:
    return Qwen2VL(checkpoint="tiny", min_pixels=3136, max_pixels=12544, max_length=512)


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime(
        device="cpu", devices=1, threads=2, batch_size=16, isolate=False, unfold=True, recompute=False, save_every=0.0
    )


@pytest.fixture(scope="session")
def problems(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    folder: Path = tmp_path_factory.mktemp("problems")
    return Figures(size=26, seed=11, split="train", families=()).write(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped Qwen2-VL, to be damaged."""
    return Path(shutil.copytree(TINY / "qwen2vl", tmp_path / "copy"))


KEY = "sk-test-0123456789abcdefghij"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher's key in the environment."""
    monkeypatch.setenv("TEACHER_KEY", KEY)


@pytest.fixture
def endpoint(key: None) -> Iterator[Endpoint]:
    """An endpoint that takes it."""
    with Endpoint(key=KEY) as running:
        yield running


GOLDEN = Path(os.environ.get("MATHSE_GOLDEN", Path(__file__).parent.parent.parent / "shared" / "golden"))

SUMMARY = [  # the keys of summary.json, in order
    "command",
    "seed",
    "scale",
    "backbone",
    "stage",
    "K",
    "models",
    "comparisons",
    "rounds",
    "orm",
    "reflection",
    "ledger",
    "steps",
    "seconds",
    "peak_rss_mb",
]


@pytest.fixture
def golden(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the golden checkpoint of the family `request.param`, with a tokenizer of bytes, which the golden ones lack."""
    if not (GOLDEN / request.param).is_dir():
        pytest.skip(
            f"{GOLDEN / request.param} is not there (MATHSE_GOLDEN names the folder of the original code's tensors)"
        )
    folder = tmp_path / request.param
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((GOLDEN / request.param / name).read_bytes())
    byte_tokenizer(folder)
    return folder


def byte_tokenizer(folder: Path) -> None:
    """A tokenizer of 256 bytes and 44 tokens of their own, where the golden checkpoints' 300 rows of embeddings have them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<s>", "</s>"]
    names += [f"<|{i}|>" for i in range(256 + len(names), 300)]
    characters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({character: i for i, character in enumerate(characters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(folder)


def script(path: str) -> ModuleType:
    """A Python file outside the package, by its path in the project, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, Path(__file__).parent.parent / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", params=["cogvlm2", "internvl25", "qwen2vl"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A family with random weights, larger than usual so that what it writes depends on what it reads."""
    import torch
    from pretraining.families import FAMILIES
    from pretraining.tokenizer import make_tokenizer

    made = FAMILIES[request.param]
    tokenizer = make_tokenizer(tuple(islice(stream(1, "train"), 104)), made, tmp_path_factory.mktemp("words"))
    torch.manual_seed(0)
    model, loaded = made.make(tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.08)
    model.eval().requires_grad_(False)
    return loaded


@pytest.fixture(scope="session")
def beside() -> Callable[[str], Path]:
    """Finds a file of others' data in the folder `shared` beside the project (MATHSE_SHARED names it); skips where it is absent."""
    shared = Path(os.environ.get("MATHSE_SHARED", Path(__file__).parent.parent.parent / "shared"))

    def find(path: str) -> Path:
        if not (shared / path).exists():
            pytest.skip(f"{shared / path} is not there: others' data do not belong to the project (see MATHSE_SHARED)")
        return shared / path

    return find
