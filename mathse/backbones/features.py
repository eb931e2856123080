"""What a frozen tower made of pictures, kept: it sees the same picture in every epoch, sample, verdict and round."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from mathse.store.work import count

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 256 * 2**20  # bytes
TOGETHER = 64  # pictures


class Features:
    """The features (tokens, H) of pictures by their path, up to `limit` bytes; the least recently used leave first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    def of(self, names: Sequence[str], see: Callable[[Sequence[str]], list[Tensor]]) -> list[Tensor]:
        """The features of each picture; `see` is asked for those that are not kept, a part of them at a time."""
        missing = [name for name in dict.fromkeys(names) if name not in self._kept]
        fresh: dict[str, Tensor] = {}
        for start in range(0, len(missing), TOGETHER):
            some = missing[start : start + TOGETHER]
            fresh.update(zip(some, see(some), strict=True))
        count(pictures_found=len(names) - len(missing))
        found = []
        for name in names:
            if name not in fresh:
                self._kept.move_to_end(name)
            found.append(fresh[name] if name in fresh else self._kept[name])
        for name, feature in fresh.items():
            self._keep(name, feature)
        return found

    def _keep(self, name: str, feature: Tensor) -> None:
        size = feature.numel() * feature.element_size()
        if size > self.limit:
            return
        while self.size + size > self.limit:
            _, dropped = self._kept.popitem(last=False)
            self.size -= dropped.numel() * dropped.element_size()
        self._kept[name] = feature
        self.size += size


@functools.lru_cache(maxsize=4)
def shared(tower: Hashable) -> Features:
    """The features that all models with this frozen tower share: a base and its adapters, whichever of them is in memory."""
    return Features()
