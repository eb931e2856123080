"""What the members of all families share: their identity, and loading in 4 bits with an adapter, both checked."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import mathse.backbones
from mathse.backbones.features import shared
from mathse.backbones.qlora import Lora, attach, check_quantized, four_bit, unfold
from mathse.backbones.weights import check_shards, checkpoint_files, ends_of, folder_of, read_config
from mathse.memory import returned_at_once

if TYPE_CHECKING:
    from mathse.backbones import Loaded

L = TypeVar("L", bound="Loaded")

LARGE = 100 * 2**20  # bytes of weights, from which the holes that converting them leaves in the heap are worth avoiding


@dataclass(frozen=True)
class Layout:
    """Which linear layers, by regular expressions on full module names, a family quantises, keeps as they are, and gives LoRA.
    `experts`: how many sets of language weights there are, of which a token passes one."""

    quantized: str
    kept: tuple[str, ...]
    targets: str
    experts: int = 1

    def part(self, parameter: str) -> str:
        """The part of the model that a parameter belongs to, by its full name: adapter, vision (with its projector), language, …"""
        if "lora_" in parameter:
            return "adapter"
        if "lm_head" in parameter:
            return "head"
        if "embed_tokens" in parameter:
            return "embeddings"
        return "vision" if any(re.search(kept, parameter) for kept in self.kept) else "language"


@dataclass(frozen=True)
class Shape:
    """How large a member is, known from its config.json alone.

    `kv`: numbers that one token leaves in one layer's keys, and as many in its values; `picture`: tokens of the largest
    picture, for which the tower holds `tower` numbers at once; `parameters` of each part; `quantized` of them in 4 bits, the
    largest such layer having `widest`; `active`: weights of these layers that one token passes; `lora`: parameters that an adapter
    has for each unit of its rank.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv: int
    vocabulary: int
    picture: int
    tower: int
    parameters: dict[str, int]
    quantized: int
    widest: int
    active: int
    lora: int


class Member(Generic[L]):
    """The base of a family's settings class, which has a field `checkpoint`: `tiny` (ships with the package), a hub id, or a local folder.

    A family adds its name, its layout, the architectures that its config.json may name (ours first), the tokens that its template
    needs, the picture's placeholder last, its model class (`architecture`), the tokens of a picture, and its `Loaded` (`wrap`).
    """

    family: ClassVar[str]
    layout: ClassVar[Layout]
    architectures: ClassVar[tuple[str, ...]]
    marks: ClassVar[tuple[str, ...]]
    checkpoint: str
    max_length: int

    @property
    def most_pictures(self) -> int | None:
        """See `Backbone.most_pictures`."""
        return None

    def architecture(self, folder: Path, tokenizer: Any | None) -> tuple[Any, Any]:
        """The model's class and its configuration. Without a tokenizer ids may be wrong, sizes are not."""
        raise NotImplementedError

    def largest_picture(self, config: Any) -> tuple[int, int, int, int]:
        """Of the largest picture: its tokens, its patches in the tower, a patch's width there, and within the tower's MLP."""
        raise NotImplementedError

    def wrap(self, module: Any, tokenizer: Any) -> L:
        """The family's `Loaded` around a loaded module."""
        raise NotImplementedError

    def recipe(self) -> dict[str, Any]:
        """What identifies the weights: the content of local files, the name and revision of hub ones."""
        return {"checkpoint": checkpoint_files(self.family, self.checkpoint)}

    def folder(self) -> Path:
        """The checkpoint's folder. Raises ValueError where there is none, or its config.json is of another family."""
        folder = folder_of(self.family, self.checkpoint)
        config = read_config(folder)
        found = (config.get("architectures") or [config.get("model_type")])[0]
        if found not in self.architectures:
            other = family_of(found)
            raise ValueError(
                f"{folder / 'config.json'}: {found} (model_type {config.get('model_type')}) is not {self.family}'s "
                f"{' or '.join(self.architectures)}; "
                + (f"it is loaded with backbone={other}" if other else "none of our backbones loads it")
            )
        return folder

    def shape(self) -> Shape:
        """The member's size. Builds the architecture without memory: no weights are needed, loaded or fetched."""
        import torch
        from torch import nn

        _quiet()
        kind, config = self.architecture(self.folder(), None)
        with torch.device("meta"):
            model = kind(config)
        linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        quantized = [m.weight.numel() for name, m in linears.items() if re.fullmatch(self.layout.quantized, name)]
        adapted = [m for name, m in linears.items() if re.fullmatch(self.layout.targets, name)]
        parameters: dict[str, int] = {}
        for name, parameter in model.named_parameters():
            part = self.layout.part(name)
            parameters[part] = parameters.get(part, 0) + parameter.numel()
        picture, patches, width, inner = self.largest_picture(config)
        text = getattr(config, "text_config", config)
        key_heads = getattr(text, "num_multi_query_heads", None) or text.num_key_value_heads
        return Shape(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            intermediate=text.intermediate_size,
            heads=text.num_attention_heads,
            kv=key_heads * text.hidden_size // text.num_attention_heads,
            vocabulary=text.vocab_size,
            picture=picture,
            tower=patches
            * (5 * width + 2 * inner),  # a layer's input, queries, keys, values, sum; the MLP before and after
            parameters=parameters,
            quantized=sum(quantized),
            widest=max(quantized),
            active=sum(quantized) // self.layout.experts,
            lora=sum(m.in_features + m.out_features for m in adapted),
        )

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
        folder = self.folder()
        check_shards(folder)
        tokenizer = self.tokenizer(folder)
        kind, config = self.architecture(folder, tokenizer)
        module = load(
            kind,
            folder,
            self.layout,
            adapter=adapter,
            lora=lora,
            quantize=quantize,
            unfolded=unfolded,
            device=device,
            config=config,
        )
        loaded = self.wrap(module, tokenizer)
        loaded.layout, loaded.max_length = self.layout, self.max_length
        loaded.stop_ids = tuple(dict.fromkeys((*loaded.stop_ids, *ends_of(folder))))  # the template's own first
        loaded.seen = shared(self._tower(folder, trained=lora is not None, device=device))
        return loaded

    def _tower(self, folder: Path, *, trained: bool, device: str) -> tuple[Any, ...]:
        """What decides what the tower makes of a picture: these settings, files as they are now, and what `load` computes in."""
        files = [(file.name, file.stat()) for file in sorted(folder.glob("*.safetensors"))]
        return self, tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in files), trained, device

    def tokenizer(self, folder: Path) -> Any:
        """The checkpoint's tokenizer. Raises ValueError where it cannot be read or is not the one of these weights."""
        from mathse.backbones.tokenizer import read_tokenizer

        wrong = f"{folder}: the tokenizer is not the one of these weights"
        tokenizer = read_tokenizer(folder)
        known = tokenizer.get_vocab()
        missing = [mark for mark in self.marks if mark not in known]
        if missing:
            raise ValueError(f"{wrong}: it does not know {', '.join(missing)}, which {self.family}'s template needs")
        torn = [mark for mark in self.marks if tokenizer.encode(mark, add_special_tokens=False) != [known[mark]]]
        if torn:
            raise ValueError(f"{wrong}: it takes {', '.join(torn)} apart, each of which should be one token")
        config = read_config(folder)
        rows = (config.get("text_config") or config.get("llm_config") or config).get("vocab_size")
        if rows and len(tokenizer) > rows:
            raise ValueError(f"{wrong}: it has {len(tokenizer)} tokens, the embedding {rows}")
        placeholder = config.get("image_token_id")
        if placeholder is not None and known[self.marks[-1]] != placeholder:
            raise ValueError(
                f"{wrong}: {self.marks[-1]} is its {known[self.marks[-1]]}, config.json says {placeholder}"
            )
        return tokenizer


def family_of(architecture: str) -> str | None:
    """The family that loads an architecture. Imports all of them, so only for an error that has to say it."""
    for module in pkgutil.iter_modules(mathse.backbones.__path__):
        importlib.import_module(f"mathse.backbones.{module.name}")
    return next((kind.family for kind in Member.__subclasses__() if architecture in kind.architectures), None)


def check_device(device: str) -> None:
    """Raises ValueError where there is no such device."""
    if device.startswith("cuda"):
        import torch

        if not torch.cuda.is_available():
            raise ValueError(f"runtime.device={device}: no such device is visible; runtime=local runs on the CPU")


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
    check_device(device)
    import torch

    from mathse.backbones.attention import register

    _quiet()
    # bf16 trains 1.5 times faster on a CPU; decoding there is in float32, so that a batch's size never decides a token. What is published
    # in bf16 is the same 4 bits either way; of float32 files the two are 2 % of the weights' norm apart (experiments/LOG.md).
    dtype = torch.bfloat16 if device != "cpu" or lora else torch.float32
    large = sum(path.stat().st_size for path in folder.glob("*.safetensors")) > LARGE
    with returned_at_once() if large else nullcontext():
        model, info = kind.from_pretrained(
            folder,
            dtype=dtype,
            quantization_config=four_bit(list(layout.kept), dtype) if quantize else None,
            device_map={"": device} if quantize else None,  # else a GPU that is visible, whatever was asked for
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


def _quiet() -> None:
    """The libraries warn those who write models and adapters, not our users."""
    import logging

    from transformers.utils import logging as transformers_logging

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it offers kernels from a hub at every load
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
    warnings.filterwarnings("ignore", message=".*`base_model_name_or_path` was renamed.*")  # a store that was moved
