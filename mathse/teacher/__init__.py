"""The teacher: the strong model behind an API, or its offline stand-in. Chats with pictures in, texts out, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from mathse.types import Chat

Ending = Literal["stop", "length", "refused"]


class Teacher(Protocol):
    """Settings that can be asked. The same call asked again gives the same answer; `index` tells the tries of one chat apart."""

    def __call__(self, chats: Sequence[Chat], *, schema: dict[str, Any] | None = None, index: int = 0) -> list[str]:
        """One text per chat, in order; with `schema`, each text is JSON of that JSON schema."""
        ...


class Text(str):
    """A teacher's text that knows how it ended: of its own (`stop`), at the token limit (`length`), or as a refusal."""

    ended: Ending

    def __new__(cls, text: str, ended: Ending = "stop") -> Text:
        made = super().__new__(cls, text)
        made.ended = ended
        return made


def whole(text: str) -> bool:
    """Whether the teacher's text came to an end of its own; what was cut or refused is no solution."""
    return not isinstance(text, Text) or text.ended == "stop"


@runtime_checkable
class Paid(Protocol):
    """A teacher that costs something."""

    def spent(self) -> Mapping[str, float]:
        """What the step in progress has cost so far, by all its tries: calls, tokens, dollars."""
        ...


def bill(teacher: Teacher) -> dict[str, float]:
    """What the step in progress cost, for its record; nothing for a teacher that costs nothing."""
    return dict(teacher.spent()) if isinstance(teacher, Paid) else {}
