"""QLoRA (arXiv 2305.14314): a 4-bit base (NF4, double quantisation) and a LoRA adapter on the language model's linear layers.

Names match silently or not at all in the libraries below, so what was quantised and what is trained is asserted here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mathse.settings import Positive, settings

if TYPE_CHECKING:
    import torch


@settings
class Lora:
    """The adapter: rank, scale (alpha / rank), dropout on its input."""

    rank: Positive
    alpha: Positive
    dropout: Annotated[float, ">= 0 < 1"]


def four_bit(skip: list[str], compute: torch.dtype) -> Any:
    """The quantisation config; `skip` are regular expressions that transformers anchors at a module's full name."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        llm_int8_skip_modules=skip,
    )


def check_quantized(model: Any, pattern: str) -> None:
    """Assert that exactly the linear layers whose full name matches `pattern` are in 4 bits."""
    import bitsandbytes as bnb
    from torch import nn

    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    quantized = {name for name, module in linears.items() if isinstance(module, bnb.nn.Linear4bit)}
    declared = {name for name in linears if re.fullmatch(pattern, name)}
    assert declared, f"no linear layer is called {pattern}"
    assert quantized == declared, f"quantised by mistake or not at all: {sorted(quantized ^ declared)[:5]}"


def attach(model: Any, adapter: Path | None, lora: Lora | None, *, targets: str) -> Any:
    """The model with the stored adapter (to train on with `lora` given, frozen without), with a new one to train, or as it is.

    Raises ValueError where the stored adapter does not fit: other shapes, or names that match nothing.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if adapter is None and lora is None:
        return model.eval()
    import peft

    if adapter is None:
        from mathse.backbones.adapted import adapted

        assert lora is not None
        config = peft.LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, task_type="CAUSAL_LM"
        )
        made = peft.get_peft_model(model, adapted(config))
        check_trainable(made)
        return made
    return load_adapter(model, adapter, trainable=lora is not None)


def load_adapter(model: Any, adapter: Path, *, trainable: bool, called: str = "default") -> Any:
    """The model with the adapter in `adapter`. Every stored tensor must find its place: a partial match is an error.

    A model that has adapters already gets one more, `called` otherwise than they are.
    """
    import peft
    import torch
    from safetensors.torch import load_file

    from mathse.backbones.adapted import adapted

    config = adapted(peft.LoraConfig.from_pretrained(str(adapter)))
    try:
        if isinstance(model, peft.PeftModel):
            made = model
            made.add_adapter(called, config)
        else:
            made = peft.get_peft_model(model, config, adapter_name=called)
    except ValueError as error:
        raise ValueError(
            f"{adapter}: no layer of this backbone is called {config.target_modules}; the adapter belongs to another family"
        ) from error
    stored = load_file(adapter / "adapter_model.safetensors")
    # Of the adapter alone, and filled by hand: where the base's tensors are listed too, as peft does, bitsandbytes unpacks those that
    # it packed for a CPU, and not to what they were.
    own = {name: parameter for name, parameter in made.named_parameters() if "lora_" in name}
    wanted = peft.get_peft_model_state_dict(made, own, adapter_name=called)
    if {key: tensor.shape for key, tensor in stored.items()} != {key: tensor.shape for key, tensor in wanted.items()}:
        raise ValueError(
            f"{adapter}: the adapter holds {len(stored)} tensors, {len(set(stored) & set(wanted))} of which have a place in "
            f"this backbone, which needs {len(wanted)}; it belongs to another family or size"
        )
    with torch.no_grad():
        for key, tensor in stored.items():
            wanted[key].copy_(tensor)
    for name, parameter in made.named_parameters():
        parameter.requires_grad_(trainable and "lora_" in name)
    return made if trainable else made.eval()


def check_trainable(model: Any) -> None:
    """Assert that the adapter's matrices are trained, and nothing else."""
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == ("lora_" in name), (
            f"{name} is {'trained' if parameter.requires_grad else 'frozen'}"
        )


def unfold(model: Any) -> Any:
    """The model with every 4-bit layer replaced by a plain one that holds the same numbers, its LoRA term added.

    What a 4-bit layer multiplies by is its dequantised weight, and LoRA adds B A x: one float matrix W + B A gives the same
    output without dequantising at every token. Nothing is quantised again (merging into 4 bits would change the model).
    """
    import bitsandbytes as bnb
    from bitsandbytes.functional import dequantize_4bit
    from torch import nn

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    replaced: dict[str, nn.Module] = {}
    for name, module in base.named_modules():
        layer = module.base_layer if hasattr(module, "lora_A") else module
        inside = any(name.startswith(f"{done}.") for done in replaced)
        if inside or not isinstance(layer, bnb.nn.Linear4bit):
            continue
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
        if hasattr(module, "lora_A"):
            weight = weight + sum(module.get_delta_weight(adapter).float() for adapter in module.active_adapters)
        plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        plain.weight = nn.Parameter(weight.to(base.dtype), requires_grad=False)
        if layer.bias is not None:
            plain.bias = nn.Parameter(layer.bias.detach().to(base.dtype), requires_grad=False)
        replaced[name] = plain
    for name, layer in replaced.items():
        parent, _, child = name.rpartition(".")
        setattr(base.get_submodule(parent), child, layer)
    return base
