"""The API teacher as the tests ask it: at an endpoint of ours, with easy questions and a price list."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import loaded
from endpoint import Endpoint, usage

from mathse.store import DOING, Doing
from mathse.teacher.openai import ApiTeacher
from mathse.types import Chat, Turn

PRICES = {"gpt-4o": {"input": 2.0, "cached": 1.0, "output": 8.0, "picture": 100}}


def teacher(endpoint: Endpoint, folder: Path, **changes: Any) -> ApiTeacher:
    made = loaded("teacher=openai").teacher
    assert isinstance(made, ApiTeacher)
    reached = {"base_url": endpoint.url, "key_env": "TEACHER_KEY", "cache": str(folder / "teacher")}
    return dataclasses.replace(made, **{**reached, "backoff": 0.01, "retries": 3, "requests_per_minute": 0, **changes})


def sums(count: int) -> list[Chat]:
    return [(Turn("user", f"What is {n} + {n + 1}?"),) for n in range(count)]


def graded(n: int = 1) -> list[Chat]:
    return [(Turn("user", f"Is {i} + {i} = {3 * i} right?"),) for i in range(n)]


def right(texts: list[str]) -> bool:
    return all(text.endswith(f"is {2 * n + 1}.") for n, text in enumerate(texts))


def ask_in_process(made: ApiTeacher, count: int) -> None:
    assert right(made(sums(count)))


@contextmanager
def step(name: str, run: str = "a-run") -> Iterator[None]:
    """As the store does while it computes a step."""
    token = DOING.set(Doing(run, name))
    try:
        yield
    finally:
        DOING.reset(token)


def charged(endpoint: Endpoint) -> float:
    """What the endpoint would write on its bill at PRICES."""
    total = 0.0
    for seen in endpoint.seen:
        counts = usage(seen.body, endpoint.answer(seen.body))
        read, cached, wrote = counts["prompt_tokens"], counts["prompt_tokens"] // 2, counts["completion_tokens"]
        total += seen.answered * ((read - cached) * 2.0 + cached * 1.0 + wrote * 8.0) / 1e6
    return total
