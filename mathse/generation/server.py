"""The engine `server`: a model behind an API answers the problems, through the teacher's client (`conf/engine/server.yaml`).

So its answers are cached call by call, limited and budgeted as a teacher's are, and any endpoint that speaks the OpenAI chat
format will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mathse.generation import Completion, Sampling
from mathse.settings import settings
from mathse.teacher import Ending, Text
from mathse.teacher.openai import ApiTeacher
from mathse.types import Chat


@settings
class Server(ApiTeacher):
    """The model that answers. In a `Model` it stands where a backbone does: it has no weights here and takes no adapter."""

    group: ClassVar[str] = "engine"

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.samples` completions of each chat. Those cut at the limit of tokens or refused are answers too, and are counted."""
        tries = [self(chats, index=index) for index in range(sampling.samples)]
        ends = [text.ended for texts in tries for text in texts if isinstance(text, Text)]
        words: dict[Ending, str] = {"length": "cut at decoding.max_new_tokens", "refused": "refusals"}
        for end, what in words.items():
            if count := ends.count(end):
                print(f"  {count} of {len(ends)} answers are {what}", flush=True)
        return [
            [Completion(str(text), not isinstance(text, Text) or text.ended == "stop", tokens=0) for text in texts]
            for texts in zip(*tries, strict=True)
        ]
