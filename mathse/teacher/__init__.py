"""The teacher: the strong model behind an API, or its offline stand-in. Chats with pictures in, texts out, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mathse.types import Chat


class Teacher(Protocol):
    """Settings that can be asked. The same call asked again gives the same answer; `index` tells the tries of one chat apart."""

    def __call__(self, chats: Sequence[Chat], *, schema: dict[str, Any] | None = None, index: int = 0) -> list[str]:
        """One text per chat, in order; with `schema`, each text is JSON of that JSON schema."""
        ...
