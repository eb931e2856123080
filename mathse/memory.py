"""Gives memory back to the system between pieces of work: rows of ever new lengths leave the C library's heap full of holes."""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # no glibc: nothing to do
        return None
    return trim


def release(*, cycles: bool = False) -> None:
    """Return free heap memory to the system; with `cycles`, drop what only refers to itself first (a trainer and its module)."""
    if cycles:
        gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)
