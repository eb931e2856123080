"""Tiny Qwen2-VL through our code computes what transformers' own code computes; its base in 4 bits, its adapters, its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mathse.backbones import Loaded
from mathse.backbones.attention import grouped_attention
from mathse.backbones.qlora import Lora, unfold
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.steps.generate import ask
from mathse.types import Chat, Problem, Turn

LORA = Lora(rank=4, alpha=8, dropout=0.0)


@pytest.fixture(scope="module")
def base(backbone: Qwen2VL) -> Loaded:
    return backbone.load(quantize=False)


def chats(problems: list[Problem]) -> list[Chat]:
    """Rows with one picture, with three, and without any, of different lengths, each with a reply."""
    text = (Turn("user", "Calculate 3 + 4."),)
    asked = [ask(problem) for problem in problems[:13]] + [text]
    return [(*chat, Turn("assistant", "Step 1: The width is 7." * (1 + i % 3))) for i, chat in enumerate(asked)]


def logits(loaded: Loaded, some: list[Chat], side: str) -> list[torch.Tensor]:
    rows = [loaded.encode(chat) for chat in some]
    batch = loaded.batch(rows, side=side)
    with torch.no_grad():
        out = loaded.head(loaded.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask))
    return [out[i][batch.mask[i].bool()] for i in range(len(rows))]


def test_the_tower_equals_transformers_own(base: Any, problems: list[Problem]) -> None:
    pictures = [Image.open(image) for problem in problems for image in problem.images]
    pixels = base.processor(images=pictures, return_tensors="pt")
    with torch.no_grad():
        theirs = base.model.visual(pixels["pixel_values"], grid_thw=pixels["image_grid_thw"]).pooler_output
        ours = torch.cat(base.see(pictures))
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_logits_equal_transformers_own_forward(base: Any, problems: list[Problem]) -> None:
    chat = chats(problems)[0]
    row = base.encode(chat)
    pixels = base.processor(images=[Image.open(image) for image in problems[0].images], return_tensors="pt")
    with torch.no_grad():
        theirs = base.module(
            input_ids=row.ids[None], mm_token_type_ids=(row.ids == base.picture_id).int()[None], **pixels
        ).logits[0]
    (ours,) = logits(base, [chat], "right")
    assert torch.allclose(ours, theirs, atol=1e-4)
    positions = row.positions
    assert not torch.equal(positions[1], positions[2]), "pictures have rows and columns"


@pytest.mark.parametrize("length", [1, 5])
def test_grouped_attention_equals_transformers_eager_attention_and_its_gradient(length: int) -> None:
    from types import SimpleNamespace

    from transformers.models.qwen2_vl.modeling_qwen2_vl import eager_attention_forward

    torch.manual_seed(0)
    module: Any = SimpleNamespace(num_key_value_groups=3, training=True)
    query, key, value = torch.randn(2, 6, length, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)
    for tensor in (query, key, value):
        tensor.requires_grad_(True)
    mask = torch.zeros(2, 1, length, 7).masked_fill(torch.rand(2, 1, length, 7) < 0.3, torch.finfo(torch.float32).min)
    theirs, _ = eager_attention_forward(module, query, key, value, mask, 0.35)
    ours, _ = grouped_attention(module, query, key, value, mask, 0.35)
    assert torch.allclose(ours, theirs, atol=1e-6)
    weight = torch.randn_like(theirs)
    with torch.no_grad():
        assert torch.allclose(grouped_attention(module, query, key, value, mask, 0.35)[0], theirs, atol=1e-6)
    gradients = [torch.autograd.grad((out * weight).sum(), (query, key, value)) for out in (theirs, ours)]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_template_is_the_published_one(base: Loaded, problems: list[Problem]) -> None:
    everything = base.tokenizer.decode(base.encode(ask(problems[0])).ids)
    assert everything.startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|vision_start|>"
    )
    assert "<|vision_end|>You are an excellent mathematics teacher." in everything


def test_digits_are_tokens_of_their_own_and_any_text_survives(base: Loaded) -> None:
    for text in ("12 + 345 = 357", "面积是多少？", "naïve\tcafé \\frac{1}{2}", "a  b\n\nc"):
        assert base.tokenizer.decode(base.tokenizer.encode(text)) == text
    for token in base.tokenizer.tokenize("7 * 12 = 84, 1005"):
        assert sum(character.isdigit() for character in token) <= 1


def test_the_language_model_is_quantised_and_nothing_else(backbone: Qwen2VL) -> None:
    import bitsandbytes as bnb

    names = {n for n, m in backbone.load().module.named_modules() if isinstance(m, bnb.nn.Linear4bit)}
    assert len(names) == 4 * 7
    assert all("language_model.layers" in name for name in names)


def test_only_the_adapter_is_trained(backbone: Qwen2VL) -> None:
    trained = {n: p for n, p in backbone.load(lora=LORA).module.named_parameters() if p.requires_grad}
    assert len(trained) == 4 * 7 * 2
    assert all("language_model.layers" in name and "lora_" in name for name in trained)
    assert {p.dtype for p in trained.values()} == {torch.float32}, "in bfloat16 small updates would be lost"


def adapter(backbone: Qwen2VL, folder: Path) -> Path:
    torch.manual_seed(0)
    module = backbone.load(lora=LORA).module
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.05)
    module.save_pretrained(folder)
    return folder


def test_training_may_go_on_from_a_stored_adapter(backbone: Qwen2VL, tmp_path: Path) -> None:
    module = backbone.load(adapter(backbone, tmp_path), lora=LORA).module
    trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
    assert len(trained) == 4 * 7 * 2
    assert all("lora_" in name and bool(p.any()) and p.dtype == torch.float32 for name, p in trained.items())


def test_a_reloaded_adapter_changes_the_logits_the_same_way_each_time(
    backbone: Qwen2VL, problems: list[Problem], tmp_path: Path
) -> None:
    some = chats(problems)[:2]
    folder = adapter(backbone, tmp_path)
    once, again = (logits(backbone.load(folder, unfolded=True), some, "left") for _ in range(2))
    plain = logits(backbone.load(unfolded=True), some, "left")
    assert torch.equal(once[0], again[0])
    assert not torch.allclose(once[0], plain[0], atol=1e-2)


def test_unfolded_layers_compute_what_the_4_bit_layers_and_the_adapter_compute(
    backbone: Qwen2VL, problems: list[Problem], tmp_path: Path
) -> None:
    loaded = backbone.load(adapter(backbone, tmp_path))
    loaded.module.train()  # in eval mode bitsandbytes may switch to a bfloat16 kernel, depending on the processor
    some = chats(problems)[:2]
    rows = [loaded.encode(chat) for chat in some]
    batch = loaded.batch(rows, side="right")
    folded = loaded.head(loaded.language(batch.embeds.requires_grad_(), batch.positions, batch.mask)).detach()
    unfold(loaded.module)
    plain = loaded.head(loaded.language(batch.embeds, batch.positions, batch.mask)).detach()
    assert torch.allclose(folded[batch.mask.bool()], plain[batch.mask.bool()], atol=2e-3)


@pytest.mark.parametrize(("lora", "kind"), [(None, torch.float32), (LORA, torch.bfloat16)], ids=["float32", "bfloat16"])
def test_unfolded_layers_compute_in_the_type_of_the_others(
    backbone: Qwen2VL, lora: Lora | None, kind: torch.dtype
) -> None:
    """As on a GPU, where all is in bfloat16."""
    module = unfold(backbone.load(lora=lora).module)
    assert {parameter.dtype for parameter in module.parameters()} == {kind}


def test_an_adapter_of_another_size_is_refused_by_name(backbone: Qwen2VL, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = adapter(backbone, tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({k.replace("layers.0", "layers.9"): v for k, v in tensors.items()}, folder / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="belongs to another family or size"):
        backbone.load(folder)


def test_a_missing_checkpoint_names_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"hf download nobody/nothing.*scale=tiny needs no download"):
        Qwen2VL(checkpoint="nobody/nothing", min_pixels=3136, max_pixels=12544, max_length=512).load()


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    import shutil

    from mathse.backbones import weights

    folder = tmp_path / "tiny"
    shutil.copytree(weights.TINY / "qwen2vl", folder)
    weights.verify(folder)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"model\.safetensors: .*sha256 differs"):
        weights.verify(folder)
