"""What holds for every family of backbones, with random weights; and that a new one is a class and a YAML, no edited line."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from conftest import script
from hydra import compose, initialize_config_dir
from pretraining.families import FAMILIES, VOCABULARY, Family
from pretraining.tokenizer import make_tokenizer
from pretraining.views import whole
from safetensors.torch import load_file

import mathse.backbones
from mathse.backbones import Loaded, Row
from mathse.backbones.cogvlm2 import CogVLM2
from mathse.backbones.internvl25 import InternVL25
from mathse.backbones.loading import Member
from mathse.backbones.pictures import open_picture
from mathse.backbones.qlora import Lora, attach
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.config import CONF, load
from mathse.figures import stream
from mathse.figures.data import Figures
from mathse.generation import Sampling
from mathse.generation.torch import complete
from mathse.steps.data import fitting
from mathse.steps.data import load as load_problems
from mathse.steps.generate import ask
from mathse.store import Runtime, Store
from mathse.training import recompute
from mathse.types import Chat, Problem, Turn, read_jsonl

GREEDY = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=12)
TEXT: Chat = (Turn("user", "Calculate 3 + 4."),)
REPLY = "Step 1: The width is 7."


def asked(problems: list[Problem]) -> list[Chat]:
    """Chats with one picture, with three, and without any, of different lengths."""
    return [*(ask(problem) for problem in problems[:13]), TEXT]


def written(family: Loaded, chats: list[Chat]) -> list[str]:
    return [completion.text for (completion,) in complete(family, chats, GREEDY, [""] * len(chats))]


def logits(family: Loaded, chats: list[Chat], side: str) -> list[torch.Tensor]:
    rows = [family.encode(chat) for chat in chats]
    batch = family.batch(rows, side=side)
    out = family.head(family.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask))
    return [out[i][batch.mask[i].bool()] for i in range(len(rows))]


def without_cache(family: Loaded, chat: Chat) -> str:
    """The greedy text, the whole row read again for every token."""
    row = family.encode(chat, reply=True)
    shapes = [family.picture_shape(open_picture(picture)) for picture in row.pictures]
    ids = row.ids
    while len(ids) < len(row) + GREEDY.max_new_tokens and (ids is row.ids or int(ids[-1]) not in family.stop_ids):
        grown = Row(ids, torch.zeros(len(ids), dtype=torch.bool), family.positions(ids, shapes), row.pictures)
        batch = family.batch([grown], side="left")
        hidden = family.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask)
        ids = torch.cat([ids, family.head(hidden[:, -1]).argmax(-1)])
    return family.tokenizer.decode(ids[len(row) :], skip_special_tokens=True)


def test_the_cache_changes_no_word(family: Loaded, problems: list[Problem]) -> None:
    chats = asked(problems)
    texts = written(family, chats)
    assert len(set(texts)) > len(texts) / 2, "what is written depends on what is asked"
    assert texts == [without_cache(family, chat) for chat in chats]


def test_the_batch_around_it_changes_no_word(family: Loaded, problems: list[Problem]) -> None:
    chats = asked(problems)
    alone = [text for chat in chats for text in written(family, [chat])]
    assert written(family, chats) == alone
    assert written(family, chats[::-1])[::-1] == alone


def test_a_row_alone_equals_the_row_in_a_batch_padded_left_or_right(family: Loaded, problems: list[Problem]) -> None:
    chats = [(*chat, Turn("assistant", REPLY * (1 + i % 3))) for i, chat in enumerate(asked(problems))]
    left, right = logits(family, chats, "left"), logits(family, chats, "right")
    for i, chat in enumerate(chats):
        (alone,) = logits(family, [chat], "right")
        assert torch.allclose(alone, left[i], atol=1e-4)
        assert torch.allclose(alone, right[i], atol=1e-4)


def test_only_the_reply_and_its_end_mark_are_trained(family: Loaded, problems: list[Problem]) -> None:
    for chat in asked(problems):
        row = family.encode((*chat, Turn("assistant", REPLY)))
        reply = [*family.tokenizer.encode(REPLY, add_special_tokens=False), family.stop_ids[0]]
        assert row.ids[row.trained].tolist() == reply
        first = int(row.trained.nonzero()[0])
        assert row.ids[:first].equal(family.encode(chat, reply=True).ids), "what is asked is what generation is asked"


def test_a_begun_reply_follows_what_is_asked_without_an_end_mark(family: Loaded, problems: list[Problem]) -> None:
    begun = family.tokenizer.encode(REPLY, add_special_tokens=False)
    for chat in asked(problems):
        ids = family.encode((*chat, Turn("assistant", REPLY)), reply=True).ids.tolist()
        assert ids == [*family.encode(chat, reply=True).ids.tolist(), *begun]


@pytest.mark.parametrize("member", [CogVLM2, InternVL25, Qwen2VL], ids=lambda member: member.family)
def test_recomputing_what_layers_keep_changes_no_gradient(
    member: type[Member[Any]], problems: list[Problem], tmp_path: Path
) -> None:
    """Bit by bit, dropout included; and less is kept."""
    made = FAMILIES[member.family]
    model, loaded = made.make(make_tokenizer(tuple(islice(stream(1, "train"), 13)), made, tmp_path))
    loaded.module = attach(model, None, Lora(rank=4, alpha=8, dropout=0.1), targets=member.layout.targets).train()
    rows = [loaded.encode((*chat, Turn("assistant", REPLY))) for chat in asked(problems)[-4:]]
    found = []
    for change in (lambda module: None, recompute):
        change(loaded.module)
        kept: dict[int, int] = {}
        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: remember(t, kept), lambda t: t):
            loss = loaded.loss(loaded.batch(rows, side="right"))
        loss.backward()
        trained = [p for p in loaded.module.parameters() if p.requires_grad]
        found.append((loss.item(), [p.grad.clone() for p in trained], sum(kept.values())))
        loaded.module.zero_grad()
    (loss, gradients, all_kept), (again, others, inputs) = found
    assert loss == again
    assert all(map(torch.equal, gradients, others))
    assert inputs < all_kept / 3


def remember(tensor: torch.Tensor, kept: dict[int, int]) -> torch.Tensor:
    kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return tensor


# ---- adapters are peft's own ----

PLAIN: list[tuple[str, str, Callable[[str], Member[Any]]]] = [
    (
        "internvl25",
        "InternVLForConditionalGeneration",
        lambda checkpoint: InternVL25(checkpoint=checkpoint, max_tiles=1, max_length=512, system="Calculate."),
    ),
    (
        "qwen2vl",
        "Qwen2VLForConditionalGeneration",
        lambda checkpoint: Qwen2VL(checkpoint=checkpoint, min_pixels=3136, max_pixels=12544, max_length=512),
    ),
]


@pytest.mark.parametrize(("family", "native", "member"), PLAIN, indirect=["family"], ids=[name for name, _, _ in PLAIN])
def test_an_adapter_computes_the_same_in_plain_peft_and_has_the_names_that_vllm_reads(
    family: Loaded, native: str, member: Callable[[str], Member[Any]], problems: list[Problem], tmp_path: Path
) -> None:
    import peft
    import transformers

    family.module.save_pretrained(tmp_path / "base")
    family.tokenizer.save_pretrained(tmp_path / "base")
    backbone = member(str(tmp_path / "base"))
    trained = backbone.load(lora=Lora(rank=4, alpha=8, dropout=0.0), quantize=False).module
    torch.manual_seed(0)
    for name, parameter in trained.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    trained.save_pretrained(tmp_path / "adapter")
    ours = backbone.load(tmp_path / "adapter", quantize=False)
    chat = next(ask(problem) for problem in problems if len(problem.images) > 1)
    row = ours.encode(chat, reply=True)

    inputs = ours.processor(images=[open_picture(image) for image in row.pictures], return_tensors="pt")
    inputs = {name: inputs[name] for name in ("pixel_values", "image_grid_thw") if name in inputs}
    if native.startswith("Qwen"):
        inputs["mm_token_type_ids"] = (row.ids == ours.picture_id).int()[None]
    base = getattr(transformers, native).from_pretrained(tmp_path / "base")
    with torch.no_grad():
        untuned = base(input_ids=row.ids[None], **inputs).logits[0]
        plain = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
        theirs = plain(input_ids=row.ids[None], **inputs).logits[0]
        batch = ours.batch([row], side="left")
        mine = ours.head(ours.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask))[0]
    assert torch.allclose(mine, theirs, atol=1e-4)
    assert not torch.allclose(theirs, untuned, atol=1e-1)

    names = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    pattern = r"base_model\.model\.model\.language_model\.layers\.\d\.(self_attn|mlp)\.\w+_proj\.lora_[AB]\.weight"
    assert len(names) == 4 * 7 * 2
    assert all(re.fullmatch(pattern, name) for name in names)


# ---- families that take so many pictures and no more ----


@pytest.mark.parametrize("most", [1, 2])
def test_problems_with_too_many_pictures_are_left_out_and_counted(most: int, tmp_path: Path, runtime: Runtime) -> None:
    store = Store(tmp_path, runtime)
    data = Figures(size=20, seed=1, split="train", families=("rectangle", "sequence"))
    problems = store.run(load_problems, data=data)
    fits = store.run(fitting, problems=problems, most_pictures=most)
    every = read_jsonl(Problem, problems.path / "problems.jsonl")
    kept = read_jsonl(Problem, fits.path / "problems.jsonl")
    assert kept == [problem for problem in every if problem.source == "rectangle"]
    assert fits.metrics == {"problems": len(kept), "left_out": 20 - len(kept)}


def test_where_no_problem_is_left_it_is_said(tmp_path: Path, runtime: Runtime) -> None:
    store = Store(tmp_path, runtime)
    problems = store.run(load_problems, data=Figures(size=3, seed=1, split="train", families=("sequence",)))
    with pytest.raises(ValueError, match=r"all 3 problems have more pictures .* \(1\); .*several=tile"):
        store.run(fitting, problems=problems, most_pictures=1)


@pytest.mark.parametrize(
    ("several", "part", "most"), [("skip", "backbone", 1), ("skip", "orm", 1), ("tile", "backbone", None)]
)
def test_a_run_takes_as_many_pictures_as_its_model_and_its_orm_do(several: Any, part: str, most: int | None) -> None:
    exp = load()
    assert exp.most_pictures is None
    cog = CogVLM2(checkpoint="tiny", max_length=512, several=several, exact_rope=True)
    changed: Any = cog if part == "backbone" else dataclasses.replace(exp.orm, backbone=cog)  # type: ignore[type-var]
    assert dataclasses.replace(exp, **{part: changed}).most_pictures == most


# ---- a new family ----

NEWCOMER = Path(__file__).parent / "newcomer"  # toy.py and backbone/toy.yaml, and nothing else


@pytest.fixture(scope="module")
def newcomer() -> Iterator[None]:
    """The files of `NEWCOMER` are found as if they lay in mathse/backbones."""
    mathse.backbones.__path__.append(str(NEWCOMER))
    yield
    mathse.backbones.__path__.remove(str(NEWCOMER))


@pytest.fixture(scope="module")
def checkpoint(newcomer: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the toy family, as its authors would publish them."""
    from mathse.backbones.toy import ToyModel
    from transformers import LlamaConfig

    folder = tmp_path_factory.mktemp("toy")
    pool = tuple(islice(stream(1, "train"), 52))
    words = Family(("<pad>", "<end>", "<picture>"), {"eos_token": "<end>"}, lambda _: None, whole)
    make_tokenizer(pool, words, folder)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    torch.manual_seed(0)
    ToyModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def train() -> ModuleType:
    return script("train.py")


def test_a_new_family_needs_its_file_and_its_yaml_and_no_edited_line(
    train: ModuleType, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fine-tuning, generation, verdicts, evaluation, report: the whole of `python train.py backbone=toy`."""
    small = ["data.size=52", "orm_problems=10", "seed_size=12", "benchmark.data.size=26", "sampling.max_new_tokens=8"]
    brief = ["decoding.max_new_tokens=8", "fit.min_steps=2", "fit.epochs=1", "tracker=none"]
    where = [f"hydra.searchpath=[file://{NEWCOMER}]", f"store={tmp_path}", f"backbone.checkpoint={checkpoint}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", ["backbone=toy", "judge=answer", "stage=evolve", "K=1", *small, *brief, *where])
    train.run(cfg)
    out = capsys.readouterr().out
    summary = json.loads(Path(out.strip().splitlines()[-1]).read_text())
    assert summary["backbone"] == "toy"
    assert [model["name"] for model in summary["models"]] == ["base", "M_0", "M_1"]
    steps = [step["name"].rpartition("-")[0] for step in summary["steps"]]
    assert steps[:4] == ["load", "load", "fitting", "fitting"]
    assert {"sft", "generate", "judge", "evaluate"} <= set(steps)
    assert out.count("left out: too many pictures") == 2
