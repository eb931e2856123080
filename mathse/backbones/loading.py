"""What the members of all families share: their identity, and loading in 4 bits with an adapter, both checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from mathse.backbones.qlora import Lora, attach, check_quantized, four_bit, unfold
from mathse.backbones.weights import checkpoint_files, folder_of

if TYPE_CHECKING:
    from mathse.backbones import Loaded

L = TypeVar("L", bound="Loaded")


@dataclass(frozen=True)
class Layout:
    """Which linear layers, by regular expressions on full module names, a family quantises, keeps as they are, and gives LoRA."""

    quantized: str
    kept: tuple[str, ...]
    targets: str


class Member(Generic[L]):
    """The base of a family's settings class, which has a field `checkpoint`: `tiny` (ships with the package), a hub id, or a local folder.

    A family adds its name, its layout, its model class (`architecture`) and its `Loaded` (`wrap`).
    """

    family: ClassVar[str]
    layout: ClassVar[Layout]
    checkpoint: str

    @property
    def most_pictures(self) -> int | None:
        """See `Backbone.most_pictures`."""
        return None

    def architecture(self, folder: Path, tokenizer: Any) -> tuple[Any, dict[str, Any]]:
        """The model's class, and what its `from_pretrained` needs beside the usual."""
        raise NotImplementedError

    def wrap(self, module: Any, tokenizer: Any) -> L:
        """The family's `Loaded` around a loaded module."""
        raise NotImplementedError

    def recipe(self) -> dict[str, Any]:
        """What identifies the weights: the content of local files, the name and revision of hub ones."""
        return {"checkpoint": checkpoint_files(self.family, self.checkpoint)}

    def load(
        self,
        adapter: Path | None = None,
        *,
        lora: Lora | None = None,
        quantize: bool = True,
        unfolded: bool = False,
        device: str = "cpu",
    ) -> L:
        """See `Backbone.load`."""
        from transformers import AutoTokenizer

        folder = folder_of(self.family, self.checkpoint)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        kind, changed = self.architecture(folder, tokenizer)
        module = load(
            kind,
            folder,
            self.layout,
            adapter=adapter,
            lora=lora,
            quantize=quantize,
            unfolded=unfolded,
            device=device,
            **changed,
        )
        return self.wrap(module, tokenizer)


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
    lost = [
        f"{len(info[name])} {name.replace('_', ' ')} ({', '.join(sorted(map(str, info[name]))[:3])})"
        for name in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if info[name]
    ]
    if lost:
        raise ValueError(f"{folder}: the checkpoint is not what {kind.__name__} needs: {'; '.join(lost)}")
    if quantize:
        check_quantized(model, layout.quantized)
    module = attach(model, adapter, lora, targets=layout.targets)
    module = unfold(module) if unfolded else module
    module.to(device)
    return module
