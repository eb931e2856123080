"""Gives memory back to the system between pieces of work: rows of ever new lengths leave the C library's heap full of holes."""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h
LARGEST_DYNAMIC = 32 * 2**20  # up to which glibc moves the threshold by itself


@functools.cache
def _libc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL("libc.so.6")
        return libc if libc.malloc_trim and libc.mallopt else None
    except (OSError, AttributeError):  # no glibc: nothing to do
        return None


def release(*, cycles: bool = False) -> None:
    """Return free heap memory to the system; with `cycles`, drop what only refers to itself first (a trainer and its module)."""
    if cycles:
        gc.collect()
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)


@contextmanager
def returned_at_once() -> Iterator[None]:
    """Within, whatever is a mebibyte or larger goes back to the system the moment it is freed, and leaves no hole.

    Slower for work that asks for the same sizes again and again, so afterwards glibc has the thresholds that it arrives at then.
    """
    libc = _libc()
    if libc is None:
        yield
        return
    libc.mallopt(MMAP_THRESHOLD, 2**20)
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, LARGEST_DYNAMIC)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST_DYNAMIC)
