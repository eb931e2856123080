"""Problems of your own, from a JSON or JSONL file (`benchmark=jsonl benchmark.data.path=FILE`).

{"id": "1", "question": "How long is AB?", "images": ["1.png"], "answer": "5 cm", "choices": [], "source": "school", "level": 2}
Only `question` and `answer` are needed; the picture may be `image` as well, pictures lie beside the file. With choices the
answer is a choice's letter or its value; without an id it is a hash of question, pictures and choices. The first rule is `lenient`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mathse.benchmarks.scoring import Scorable, choice_letter
from mathse.benchmarks.stored import Stored
from mathse.data.files import Row
from mathse.settings import settings
from mathse.types import Problem


@settings
class JsonlProblems(Stored):
    """Rows of our own format."""

    def problem(self, row: Row) -> Problem:
        images = _listed(row.get("images") or row.get("image") or [], "images")
        choices = tuple(map(str, _listed(row.get("choices") or [], "choices")))
        answer, level = row["answer"], row.get("level")  # others' levels have names
        if isinstance(answer, bool) or not isinstance(answer, (str, int, float)):
            raise ValueError(f"answer should be text or a number, got {answer!r}")
        return Problem(
            str(row["id"]) if row.get("id") is not None else _of_content(row["question"], images, choices),
            row["question"],
            tuple(images),
            choice_letter(str(answer), choices),
            choices,
            source=str(row.get("source", "")),
            level=level if isinstance(level, int) else 0,
        )


def _listed(value: Any, name: str) -> list[Any]:
    """A part that is a list; pictures may be a single path, too."""
    if name == "images" and isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"{name} should be a list, got {type(value).__name__}")
    return value


def _of_content(question: str, images: list[str], choices: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([question, images, choices], ensure_ascii=False).encode()).hexdigest()[:16]


@settings
class JsonlBenchmark(Scorable):
    """`data.path` names the file."""

    name: str
    data: JsonlProblems
