"""A checkpoint that is missing, torn or another model's is refused in one line before it is loaded; its size is known from config.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mathse.backbones.cogvlm2 import CogVLM2
from mathse.backbones.internvl25 import InternVL25
from mathse.backbones.qlora import Lora
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.generation import Sampling
from mathse.generation.torch import complete
from mathse.steps.generate import ask
from mathse.types import Problem

LORA = Lora(rank=4, alpha=8, dropout=0.0)


def qwen2vl(checkpoint: Path | str) -> Qwen2VL:
    return Qwen2VL(checkpoint=str(checkpoint), min_pixels=3136, max_pixels=12544, max_length=512)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def sharded(folder: Path) -> Path:
    """The folder with its weights in two files and an index."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, half in halves.items():
        save_file({name: tensors[name] for name in half}, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, half in halves.items() for name in half}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    return folder


def truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


DAMAGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no configuration": (lambda f: (f / "config.json").unlink(), ["config.json", "missing or broken"]),
    "broken configuration": (lambda f: (f / "config.json").write_text("{"), ["config.json", "missing or broken"]),
    "another family's": (
        lambda f: edit(
            f / "config.json", lambda c: c.update(architectures=["InternVLChatModel"], model_type="internvl_chat")
        ),
        ["config.json", "InternVLChatModel", "internvl_chat", "not qwen2vl's", "backbone=internvl25"],
    ),
    "nobody's": (
        lambda f: edit(f / "config.json", lambda c: c.update(architectures=["LlavaModel"], model_type="llava")),
        ["config.json", "LlavaModel", "llava", "none of our backbones"],
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), ["model.safetensors", "missing", "hf download"]),
    "weights cut in their data": (
        lambda f: truncate(f / "model.safetensors", 100_000),
        ["model.safetensors", "100,000"],
    ),
    "weights cut in their header": (lambda f: truncate(f / "model.safetensors", 100), ["no readable header", "100"]),
    "empty weights": (lambda f: truncate(f / "model.safetensors", 0), ["no readable header", "has 0 bytes"]),
    "a missing shard": (
        lambda f: (sharded(f) / "model-2.safetensors").unlink(),
        ["model-2.safetensors", "one of 2", "missing"],
    ),
    "a cut shard": (
        lambda f: truncate(sharded(f) / "model-1.safetensors", 50_000),
        ["model-1.safetensors", "one of 2", "50,000"],
    ),
    "a broken index": (
        lambda f: (sharded(f) / "model.safetensors.index.json").write_text("[]"),
        ["model.safetensors.index.json", "broken"],
    ),
    "no tokenizer": (
        lambda f: (f / "tokenizer.json").unlink(),
        ["tokenizer.json", "missing", "fetch the checkpoint again"],
    ),
    "a broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{"), ["tokenizer cannot be read"]),
    "a tokenizer without the template's tokens": (
        lambda f: (f / "tokenizer.json").write_text(
            (f / "tokenizer.json").read_text().replace("<|im_start|>", "<|start|>")
        ),
        ["tokenizer", "does not know <|im_start|>"],
    ),
    "a tokenizer larger than the embedding": (
        lambda f: edit(f / "config.json", lambda c: c["text_config"].update(vocab_size=100)),
        ["tokenizer", "the embedding 100"],
    ),
    "a tokenizer that numbers pictures otherwise": (
        lambda f: edit(f / "config.json", lambda c: c.update(image_token_id=9)),
        ["<|image_pad|> is its 6", "says 9"],
    ),
    "a broken generation_config.json": (
        lambda f: (f / "generation_config.json").write_text('{"eos_token_id": "end"}'),
        ["generation_config.json", "broken"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_one_line_that_names_the_file(damage: str, folder: Path) -> None:
    act, words = DAMAGES[damage]
    act(folder)
    with pytest.raises(ValueError, match=str(folder)) as error:
        qwen2vl(folder).load()
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_whole_checkpoint_in_shards_loads(folder: Path) -> None:
    qwen2vl(sharded(folder)).load(quantize=False)


def test_what_the_checkpoint_itself_ends_texts_with_ends_them_here_too(folder: Path, problems: list[Problem]) -> None:
    """Qwen2-VL's generation_config.json names <|endoftext|> besides the template's <|im_end|>."""
    chat, greedy = ask(problems[0]), Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=12)
    plain = qwen2vl(folder).load(unfolded=True)
    ((whole,),) = complete(plain, [chat], greedy, [""])
    ids = plain.tokenizer.encode(whole.text)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [plain.stop_ids[0], ids[3]]}))
    stopping = qwen2vl(folder).load(unfolded=True)
    assert stopping.stop_ids == (plain.stop_ids[0], ids[3])
    ((cut,),) = complete(stopping, [chat], greedy, [""])
    assert cut.finished
    assert cut.text == plain.tokenizer.decode(ids[: ids.index(ids[3])])
    assert whole.text.startswith(cut.text)
    assert len(cut.text) < len(whole.text)


def as_published(folder: Path, *, tied: bool) -> Path:
    """The folder's configuration as Qwen/Qwen2-VL-…-Instruct has it, flat and by older names, weights in shards, other files beside."""
    config = json.loads((folder / "config.json").read_text())
    text, vision = config["text_config"], config["vision_config"]
    rope = text.pop("rope_parameters")
    unknown = ("hidden_act", "in_channels", "initializer_range", "model_type", "rope_parameters")
    flat = {key: value for key, value in text.items() if key not in ("layer_types", "model_type", "pad_token_id")}
    flat |= {"architectures": config["architectures"], "model_type": "qwen2_vl", "image_token_id": 6}
    flat |= {
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
    }
    flat |= {"tie_word_embeddings": tied, "torch_dtype": "bfloat16", "transformers_version": "4.41.2"}
    flat["vision_config"] = {key: value for key, value in vision.items() if key not in unknown} | {"in_chans": 3}
    (folder / "config.json").write_text(json.dumps(flat))
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": True, "temperature": 0.01, "top_k": 1}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"min_pixels": 3136, "max_pixels": 12845056}))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "not ours"}))
    if not tied:
        tensors = load_file(folder / "model.safetensors")
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return sharded(folder)


@pytest.mark.parametrize("tied", [True, False], ids=["tied as 2B", "with a head as 7B"])
def test_a_checkpoint_in_the_hubs_format_computes_in_4_bits_what_ours_does(
    tied: bool, folder: Path, backbone: Qwen2VL, problems: list[Problem]
) -> None:
    found = []
    for member in (backbone, qwen2vl(as_published(folder, tied=tied))):
        loaded = member.load(lora=LORA)
        batch = loaded.batch([loaded.encode(ask(problem)) for problem in problems[:3]], side="left")
        with torch.no_grad():
            hidden = loaded.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask)
            found.append(loaded.head(hidden[:, -1]))
    assert torch.equal(*found)


def test_missing_weights_say_where_they_were_looked_for_and_how_to_get_them() -> None:
    with pytest.raises(ValueError, match="nobody/nothing") as error:
        qwen2vl("nobody/nothing").shape()
    for words in (
        str(Path("nobody/nothing").resolve()),
        "hub cache /",
        "config.json",
        "hf download",
        "scale=tiny needs no",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize("family", ["internvl25", "cogvlm2"])
def test_an_adapter_of_another_family_is_refused(family: str, backbone: Qwen2VL, tmp_path: Path) -> None:
    backbone.load(lora=LORA).module.save_pretrained(tmp_path)
    layout = {"internvl25": InternVL25, "cogvlm2": CogVLM2}[family].layout
    edit(tmp_path / "adapter_config.json", lambda c: c.update(target_modules=layout.targets.replace("_model", "")))
    with pytest.raises(ValueError, match="belongs to another family"):
        backbone.load(tmp_path)


@pytest.mark.parametrize("precision", [None, torch.bfloat16], ids=["float32", "bf16 autocast"])
def test_the_adapted_layer_computes_what_peft_computes_and_its_gradient(
    backbone: Qwen2VL, precision: torch.dtype | None
) -> None:
    from peft.tuners.lora import Linear4bit

    from mathse.backbones.adapted import Adapted4bit

    lora = Lora(rank=4, alpha=8, dropout=0.3)
    layers = [m for m in backbone.load(lora=lora).module.modules() if isinstance(m, Adapted4bit)]
    assert len(layers) == 4 * 7
    layer = layers[0].train()
    torch.nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    matrices = (layer.lora_A["default"].weight, layer.lora_B["default"].weight)
    x = torch.randn(3, 5, layer.in_features, requires_grad=True)
    found = []
    for forward in (Linear4bit.forward, Adapted4bit.forward):
        torch.manual_seed(1)  # dropout's
        with torch.autocast("cpu", dtype=precision, enabled=precision is not None):
            out = forward(layer, x)
        found.append((out.float(), *torch.autograd.grad(out.float().square().sum(), (x, *matrices))))
    for theirs, ours in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() < (1e-2 if precision else 1e-6) * theirs.norm()


def test_the_shape_counts_what_is_loaded(backbone: Qwen2VL) -> None:
    import bitsandbytes as bnb

    shape = backbone.shape()
    plain = backbone.load(quantize=False).module
    assert sum(shape.parameters.values()) == sum(p.numel() for p in plain.parameters())
    quantized = [m for m in backbone.load().module.modules() if isinstance(m, bnb.nn.Linear4bit)]
    assert shape.quantized == sum(m.in_features * m.out_features for m in quantized)
    trained = [p.numel() for p in backbone.load(lora=LORA).module.parameters() if p.requires_grad]
    assert LORA.rank * shape.lora == sum(trained)
    assert (shape.layers, shape.hidden, shape.kv, shape.vocabulary, shape.picture) == (4, 192, 64, 1024, 16)


PUBLISHED = {  # Qwen/Qwen2-VL-2B-Instruct: its config.json in the format of the hub
    "architectures": ["Qwen2VLForConditionalGeneration"],
    "model_type": "qwen2_vl",
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "patch_size": 14, "spatial_merge_size": 2},
}


def test_the_shape_of_a_published_member_needs_its_configuration_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED))
    shape = qwen2vl(tmp_path).shape()
    assert sum(shape.parameters.values()) == 2_208_985_600
    with pytest.raises(ValueError, match="missing"):
        qwen2vl(tmp_path).load()
