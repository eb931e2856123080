"""A key-value cache that is allocated once: prompts fill it part by part, decoding writes in place instead of copying all.

What several prompts begin with is read once, in a cache of its own, and copied to each (`RoomyCache.copy`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class RoomyLayer(CacheLayerMixin):
    """One layer's keys and values (B, heads, room, size), of which the first `length` places are filled.

    While prompts are read, `part` says whose rows come; they are aligned on the right. Where their beginnings are in place
    already, `length` counts the places before what comes, and `real` (rows, T) is false where that is padding: a beginning
    ends there.
    """

    is_sliding = False

    def __init__(self, rows: int, prompt: int, extra: int) -> None:
        super().__init__()
        self.rows, self.prompt, self.extra = rows, prompt, extra
        self.length = 0
        self.part: slice | None = None
        self.real: Tensor | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor | None = None) -> None:
        _, heads, _, size = key_states.shape
        self.keys = key_states.new_zeros(self.rows, heads, self.prompt + self.extra, size)
        self.values = self.keys.clone()
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append; returns all that these rows may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states)
        if self.part is not None:
            where = slice(self.prompt - key_states.shape[2], self.prompt)
            if self.real is None:
                self.keys[self.part, :, where] = key_states
                self.values[self.part, :, where] = value_states
                return key_states, value_states
            real, seen = self.real[:, None, :, None], slice(where.start - self.length, self.prompt)
            for kept, states in ((self.keys, key_states), (self.values, value_states)):
                kept[self.part, :, where] = torch.where(real, states, kept[self.part, :, where])
            return self.keys[self.part, :, seen], self.values[self.part, :, seen]
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_max_length(self) -> int:
        return -1

    def pick(self, rows: Tensor) -> None:
        """Keep, repeat or reorder rows of the batch."""
        self.keys, self.values = self.keys[rows], self.values[rows]


class RoomyCache(Cache):
    """A cache of `layers` layers for `rows` prompts of up to `prompt` tokens, with room for `extra` more."""

    def __init__(self, layers: int, rows: int, prompt: int, extra: int) -> None:
        super().__init__(layers=[RoomyLayer(rows, prompt, extra) for _ in range(layers)])
        self.prompt = prompt

    def reading(self, part: slice | None, behind: int = 0, real: Tensor | None = None) -> None:
        """The prompts of the rows `part` are read next; None: all are read, and decoding begins.

        With `real` (rows, T), only what comes `behind` so many places that hold their beginnings, and where it is no padding.
        """
        for layer in self.layers:
            layer.part, layer.real = part, real
            layer.length = behind if part is not None else self.prompt

    def copy(self, other: RoomyCache, there: tuple[Tensor, Tensor], here: tuple[Tensor, Tensor]) -> None:
        """Copy keys and values from places of the `other` cache to places here: (rows, places), one number for each token."""
        for ours, theirs in zip(self.layers, other.layers, strict=True):
            if not ours.is_initialized:
                ours.lazy_initialization(theirs.keys)
            ours.keys[here[0], :, here[1]] = theirs.keys[there[0], :, there[1]]
            ours.values[here[0], :, here[1]] = theirs.values[there[0], :, there[1]]

    def pick(self, rows: Tensor) -> None:
        """Keep, repeat or reorder rows of the batch in every layer."""
        for layer in self.layers:
            layer.pick(rows)
