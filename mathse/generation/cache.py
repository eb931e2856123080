"""A key-value cache that is allocated once: decoding writes in place instead of copying everything at each token."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class RoomyLayer(CacheLayerMixin):
    """One layer's keys and values (B, heads, room, size), of which the first `length` places are filled."""

    is_sliding = False

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor | None = None) -> None:
        batch, heads, length, size = key_states.shape
        self.keys = key_states.new_empty(batch, heads, length + self.extra, size)
        self.values = self.keys.clone()
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append; returns views of all that is filled."""
        if not self.is_initialized:
            self.lazy_initialization(key_states)
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
    """A cache of `layers` layers with room for `extra` tokens after the first call's."""

    def __init__(self, layers: int, extra: int) -> None:
        super().__init__(layers=[RoomyLayer(extra) for _ in range(layers)])

    def pick(self, rows: Tensor) -> None:
        """Keep, repeat or reorder rows of the batch in every layer."""
        for layer in self.layers:
            layer.pick(rows)
