"""One base in memory, with one adapter at a time: student and judge of one backbone need its 4-bit weights only once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

from mathse.backbones import Loaded
from mathse.backbones.qlora import load_adapter


class SharedBase:
    """A base, loaded without an adapter, and the adapters that it was asked with; the `most` last used stay in memory."""

    def __init__(self, base: Loaded, most: int = 2) -> None:
        self.base, self.most = base, most
        self._model: Any = None  # peft's, around the base's module, once there is an adapter
        self._names: OrderedDict[Path, str] = OrderedDict()

    def with_adapter(self, adapter: Path | None) -> Loaded:
        """The base with the adapter stored at `adapter`, or as it came: always the same object, so of two asked for only the later
        one is in use. Raises ValueError where the adapter does not fit."""
        if adapter is None:
            if self._model is not None:
                self._model.base_model.disable_adapter_layers()
            return self.base
        if adapter not in self._names:
            while len(self._names) >= self.most:
                _, name = self._names.popitem(last=False)
                self._model.delete_adapter(name)
            # peft finds an adapter's tensors by names that contain its own: none may contain another
            name = hashlib.sha256(str(adapter).encode()).hexdigest()[:12]
            self._model = load_adapter(self._model or self.base.module, adapter, trainable=False, called=name)
            self._names[adapter] = name
        self._names.move_to_end(adapter)
        self._model.base_model.enable_adapter_layers()
        self._model.base_model.set_adapter(self._names[adapter])
        self._model.eval().requires_grad_(False)
        return self.base
