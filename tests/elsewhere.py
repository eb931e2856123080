"""A device that is none, for machines without a GPU: its tensors lie on the CPU, but an operation that mixes them with the CPU's
fails as it would on a GPU. Import it in a process of its own: torch takes the device for an accelerator from then on.

    with Elsewhere():
        module.to("elsewhere")
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "elsewhere"


class Module(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


backend_registration._setup_privateuseone_for_python_backend(NAME, Module())  # type: ignore[no-untyped-call]


class There(Tensor):
    """A tensor of the device; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> There:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made: There = Tensor._make_wrapper_subclass(cls, held.size(), device=f"{NAME}:0", **layout)  # type: ignore[attr-defined]
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):
    """Within, there is the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = any(isinstance(tensor, There) for tensor in tensors)
    asked = kwargs.get("device")
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if there and asked is None and func._schema.name != "aten::copy_":
        _check(func, args, tensors)
    done = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if func._schema.name == "aten::_local_scalar_dense":
        return done
    if func._schema.returns and func._schema.returns[0].alias_info and func._schema.returns[0].alias_info.is_write:
        return args[0]  # what was written to
    to = torch.device(asked).type == NAME if asked is not None else there
    return tree_map(lambda leaf: There(leaf) if isinstance(leaf, Tensor) else leaf, done) if to else done


def _check(func: Any, args: Any, tensors: list[Tensor]) -> None:
    """As a GPU does: a number may come from the CPU, and so may the indices of a tensor that is there; nothing else."""
    if func._schema.name in ("aten::index", "aten::index_put_", "aten::_unsafe_index"):
        tensors = [args[0], *(args[2:3])]
        indices = [index for index in args[1] if index is not None]
        if not isinstance(args[0], There) and any(isinstance(index, There) for index in indices):
            raise RuntimeError(f"{func}: a tensor of the CPU with indices that are elsewhere")
    here = [tuple(tensor.shape) for tensor in tensors if not isinstance(tensor, There) and tensor.dim()]
    if here and any(isinstance(tensor, There) for tensor in tensors):
        raise RuntimeError(f"{func}: tensors of two devices, {here} of the CPU")


def _held(value: Any) -> Any:
    return value.held if isinstance(value, There) else value


def _copy_from(source: Tensor, to: Tensor, non_blocking: bool = False) -> Tensor:
    _held(to).copy_(_held(source))
    return to


# What torch calls below modes, where it makes a tensor of a list.
_MADE = torch.library.Library("aten", "IMPL")
_MADE.impl(
    "empty_strided", lambda *size, dtype=None, **_: There(torch.empty_strided(*size, dtype=dtype)), "PrivateUse1"
)
_MADE.impl("_copy_from", _copy_from, "PrivateUse1")
