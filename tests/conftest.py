"""What tests share: the tiny Qwen2-VL, every family with random weights, a few problems with pictures, a runtime for two cores."""

from __future__ import annotations

import importlib.util
import os
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from mathse.backbones import Loaded
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.figures import stream
from mathse.figures.data import Figures
from mathse.store import Runtime
from mathse.types import Problem


@pytest.fixture(scope="session")
def backbone() -> Qwen2VL:
    return Qwen2VL(checkpoint="tiny", min_pixels=3136, max_pixels=12544, max_length=512)


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime(device="cpu", threads=2, batch_size=16, isolate=False, unfold=True, save_every=0.0)


@pytest.fixture(scope="session")
def problems(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    folder: Path = tmp_path_factory.mktemp("problems")
    return Figures(size=26, seed=11, split="train", families=()).write(folder)


def script(path: str) -> ModuleType:
    """A Python file outside the package, by its path in the project, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, Path(__file__).parent.parent / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def recipe() -> ModuleType:
    """What makes the tiny weights of every family."""
    return script("experiments/pretrain_tiny.py")


@pytest.fixture(scope="session", params=["cogvlm2", "internvl25", "qwen2vl"])
def family(request: pytest.FixtureRequest, recipe: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A family with random weights, larger than usual so that what it writes depends on what it reads."""
    import torch

    made = recipe.FAMILIES[request.param]
    tokenizer = recipe.make_tokenizer(tuple(islice(stream(1, "train"), 104)), made, tmp_path_factory.mktemp("words"))
    torch.manual_seed(0)
    model, loaded = made.make(tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.08)
    model.eval().requires_grad_(False)
    return loaded
