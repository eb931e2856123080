"""Loading a family member: 4 bits where its layout says so, the adapter, and the checks of both. The same for all families."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathse.backbones.qlora import Lora, attach, check_quantized, four_bit, unfold


@dataclass(frozen=True)
class Layout:
    """Which linear layers, by regular expressions on full module names, a family quantises, keeps as they are, and gives LoRA."""

    quantized: str
    kept: tuple[str, ...]
    targets: str


def load(
    kind: Any,
    folder: Path,
    layout: Layout,
    *,
    adapter: Path | None,
    lora: Lora | None,
    quantize: bool,
    unfolded: bool,
    device: str,
    **changed: Any,
) -> Any:
    """The module of class `kind` from `folder`, on `device`, as `Backbone.load` describes; every key must find its place."""
    import torch
    from transformers.utils import logging

    from mathse.backbones.attention import register

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")  # transformers warns peft, not users
    # bf16 trains 1.5 times faster on a CPU; decoding there is in float32, so that a batch's size never decides a token.
    dtype = torch.bfloat16 if device != "cpu" or lora else torch.float32
    model, info = kind.from_pretrained(
        folder,
        dtype=dtype,
        quantization_config=four_bit(list(layout.kept), dtype) if quantize else None,
        attn_implementation="sdpa" if device != "cpu" else register(),  # short rows on a CPU: the faster one
        trust_remote_code=False,
        output_loading_info=True,
        **changed,
    )
    lost = {name: sorted(map(str, info[name])) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    if any(lost.values()):
        raise ValueError(f"{folder}: the checkpoint is not what {kind.__name__} needs: {lost}")
    if quantize:
        check_quantized(model, layout.quantized)
    module = attach(model, adapter, lora, targets=layout.targets)
    module = unfold(module) if unfolded else module
    module.to(device)
    return module
