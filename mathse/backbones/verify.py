"""`python -m mathse.backbones.verify DIR`: does our code compute what the original model code computed?

DIR holds a checkpoint in original format and tensors of the original (`config.json`, `model.safetensors`, `inputs.safetensors`,
`outputs.safetensors`). Prints the largest absolute difference of each tensor, over positions that are not padding, as JSON.
Exit status 1 where logits or picture features differ by more than 1e-4, or greedy decoding writes other tokens.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from mathse.backbones.loading import Layout, load
from mathse.command import command

LIMIT = 1e-4
TENSORS = ("model.safetensors", "inputs.safetensors", "outputs.safetensors")
STRICT = ("logits", "vision_features", "greedy_logits")
Outputs = dict[str, Tensor]


class Original:
    """The inputs of one case, and what is computed from them."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.ids, self.mask = tensors["input_ids"], tensors["attention_mask"]


def cogvlm2(folder: Path) -> Callable[[Original], tuple[Outputs, Callable[[Tensor], Tensor]]]:
    """CogVLM2: token types say where the picture is."""
    from mathse.backbones.cogvlm2 import LAYOUT
    from mathse.backbones.cogvlm2_model import VISION, CogVLM2ForCausalLM, experts, position_ids, read_config

    model = _load(CogVLM2ForCausalLM, folder, LAYOUT, config=read_config(folder))

    def run(case: Original) -> tuple[Outputs, Callable[[Tensor], Tensor]]:
        types, pixels = case.tensors["token_type_ids"], case.tensors.get("images")
        out: Outputs = {}
        features = None
        if pixels is not None and len(pixels):
            vision = model.model.vision
            out["vision_encoder"] = vision.encode(pixels)
            out["vision_conv"] = vision.shrink(out["vision_encoder"])
            features = out["vision_features"] = vision(pixels)

        def whole(ids: Tensor) -> Tensor:
            """Logits (B, V) after the last token, from the whole sequence."""
            new = ids.shape[1] - case.ids.shape[1]
            mask = torch.cat([case.mask, case.mask.new_ones(len(ids), new)], 1)
            kinds = torch.cat([types, types.new_zeros(len(ids), new)], 1)
            embeds = model.embed(ids, kinds, features)
            hidden = model.model(embeds, position_ids(kinds, mask), mask, kinds == VISION)
            return model.lm_head(hidden)[:, -1].float()

        out["inputs_embeds"] = model.embed(case.ids, types, features)
        out["position_ids"] = position_ids(types, case.mask)
        out["vision_expert_mask"] = experts(types == VISION).long()
        with _Kept(model.model.layers[0], out):
            out["hidden_final"] = model.model(out["inputs_embeds"], out["position_ids"], case.mask, types == VISION)
        out["logits"] = model.lm_head(out["hidden_final"]).float()
        return out, whole

    return run


def internvl25(folder: Path) -> Callable[[Original], tuple[Outputs, Callable[[Tensor], Tensor]]]:
    """InternVL2.5: the placeholder's id is not in the configuration; it is the one that comes once a feature."""
    from mathse.backbones.internvl25 import LAYOUT
    from mathse.backbones.internvl25_model import InternVL25ForConditionalGeneration, register, translate

    register()
    original = json.loads((folder / "config.json").read_text())
    model = _load(InternVL25ForConditionalGeneration, folder, LAYOUT, config=translate(original, _placeholder(folder)))
    inner = model.model

    def run(case: Original) -> tuple[Outputs, Callable[[Tensor], Tensor]]:
        out: Outputs = {}
        features, pixels = None, case.tensors.get("pixel_values")
        if pixels is not None and len(pixels):
            out["vision_last_hidden"] = inner.vision_tower(pixels).last_hidden_state
            out["vision_features"] = inner.get_image_features(pixel_values=pixels).pooler_output
            features = out["vision_features"][case.tensors["image_flags"][:, 0] == 1]

        def embed(ids: Tensor) -> Tensor:
            embeds = inner.language_model.embed_tokens(ids)
            if features is None or not len(features):
                return embeds
            places = (ids == model.config.image_token_id) & (torch.arange(ids.shape[1]) < case.ids.shape[1])
            return embeds.masked_scatter(places[..., None], features)

        def language(ids: Tensor) -> Tensor:
            new = ids.shape[1] - case.ids.shape[1]
            mask = torch.cat([case.mask, case.mask.new_ones(len(ids), new)], 1)
            positions = (mask.cumsum(1) - 1).masked_fill(mask == 0, 1)
            return inner.language_model(
                inputs_embeds=embed(ids), attention_mask=mask, position_ids=positions
            ).last_hidden_state

        out["inputs_embeds"] = embed(case.ids)
        with _Kept(inner.language_model.layers[0], out):
            out["hidden_final"] = language(case.ids)
        out["logits"] = model.lm_head(out["hidden_final"]).float()
        return out, lambda ids: model.lm_head(language(ids)[:, -1]).float()

    return run


def _load(kind: Any, folder: Path, layout: Layout, config: Any) -> Any:
    return load(
        kind,
        folder,
        layout,
        adapter=None,
        lora=None,
        quantize=False,
        unfolded=False,
        device="cpu",
        config=config,
    )


def _placeholder(folder: Path) -> int:
    inputs = load_file(folder / "inputs.safetensors")
    flags, ids = inputs["image1.image_flags"], inputs["image1.input_ids"]
    outputs = load_file(folder / "outputs.safetensors")
    wanted = int(flags.sum()) * outputs["image1.vision_features"].shape[1]
    found = [int(i) for i in ids.unique() if int((ids == i).sum()) == wanted]
    if len(found) != 1:
        raise ValueError(
            f"{folder}: {len(found)} token ids come {wanted} times in image1, one should be the placeholder"
        )
    return found[0]


class _Kept:
    """Keeps what a decoder layer puts out as `hidden_after_layer0`."""

    def __init__(self, layer: torch.nn.Module, out: Outputs) -> None:
        self.layer, self.out = layer, out

    def __enter__(self) -> None:
        def keep(module: Any, inputs: Any, output: Any) -> None:
            self.out["hidden_after_layer0"] = output[0] if isinstance(output, tuple) else output

        self.hook = self.layer.register_forward_hook(keep)

    def __exit__(self, *error: object) -> None:
        self.hook.remove()


FAMILIES = {"CogVLMForCausalLM": cogvlm2, "InternVLChatModel": internvl25}


@torch.no_grad()
def differences(folder: Path) -> tuple[dict[str, float], bool]:
    """The largest absolute difference of every tensor of the original, and whether greedy decoding wrote the same tokens.

    Raises ValueError that says what is wrong with the folder.
    """
    for name in TENSORS:
        _readable(folder / name)
    try:
        config = json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise ValueError(f"config.json: {error}") from error
    architecture = (config.get("architectures") or ["none"])[0]
    if architecture not in FAMILIES:
        raise ValueError(f"config.json: architecture {architecture} is not one of {', '.join(FAMILIES)}")
    inputs, outputs = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    run = FAMILIES[architecture](folder)
    found: dict[str, float] = {}
    equal = True
    for name in sorted({key.split(".", 1)[0] for key in inputs}):
        case = Original(_of(inputs, name))
        theirs = _of(outputs, name)
        ours, step = run(case)
        real = case.mask == 1
        for key, tensor in ours.items():
            if key in theirs:
                difference = (tensor.float() - theirs[key].float()).abs()
                per_token = tensor.shape[:2] == case.ids.shape and not key.startswith("vision_enc")
                found[f"{name}.{key}"] = float((difference[real] if per_token else difference).max())
        if "loss" in theirs:
            labels = case.tensors["labels"][:, 1:]
            loss = torch.nn.functional.cross_entropy(ours["logits"][:, :-1].flatten(0, 1), labels.flatten())
            found[f"{name}.loss"] = float((loss - theirs["loss"]).abs())
        if "greedy_tokens" in theirs:
            ids, wanted = case.ids, theirs["greedy_tokens"]
            worst = 0.0
            for i in range(wanted.shape[1]):
                logits = step(ids)
                worst = max(worst, float((logits - theirs["greedy_logits"][:, i]).abs().max()))
                ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
            found[f"{name}.greedy_logits"] = worst
            equal &= bool(torch.equal(ids[:, -wanted.shape[1] :], wanted))
    return found, equal


def _readable(path: Path) -> None:
    """Raises ValueError naming a file of tensors that is missing or torn."""
    try:
        with safe_open(path, "pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path.name}: {error}; this module's docstring says what a folder holds") from error


def _of(tensors: dict[str, Tensor], case: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{case}."): value for key, value in tensors.items() if key.startswith(f"{case}.")}


@command
def main(words: Sequence[str]) -> int:
    """1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m mathse.backbones.verify", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(words).folder
    try:
        found, equal = differences(folder)
    except (ValueError, OSError, KeyError, SafetensorError) as error:
        raise ValueError(f"{folder}: {error}") from error
    print(json.dumps({"max_abs_diff": found, "greedy_equal": equal}))
    bad = any(value >= LIMIT for key, value in found.items() if key.rsplit(".", 1)[-1] in STRICT)
    return int(bad or not equal)


if __name__ == "__main__":
    sys.exit(main())
