"""On a GPU nothing mixes what lies there with what lies on the CPU: seen without one, on a device that is none (`tests/elsewhere.py`)."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest


def asked_and_trained(family: str, folder: Path) -> None:
    from elsewhere import Elsewhere

    from mathse.backbones import Loaded
    from mathse.backbones.features import Features
    from mathse.config import load
    from mathse.figures.data import Figures
    from mathse.generation import Completion, Sampling
    from mathse.generation.torch import complete
    from mathse.steps.generate import ask
    from mathse.types import Turn

    backbone = load(f"backbone={family}").backbone
    problems = Figures(size=4, seed=0, split="train", families=()).write(folder)
    chats = [ask(problem) for problem in problems]
    names = [problem.id for problem in problems]
    greedy = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=10)
    warm = Sampling(temperature=0.7, top_p=0.9, samples=2, max_new_tokens=10)

    def enough(i: int, text: str) -> bool:
        return len(text) > 4 + i

    def answers(loaded: Loaded) -> list[list[Completion]]:
        complete(loaded, chats, warm, names)
        openings = ("The same.", "Different.")
        complete(loaded, [*chats, *chats], greedy, names * 2, about=names * 2, until=enough, openings=openings)
        return complete(loaded, chats, greedy, names)

    here = answers(backbone.load(quantize=False))
    with Elsewhere():
        loaded = backbone.load(quantize=False, device="elsewhere")
        loaded.seen = Features()  # not the pictures that were seen on the CPU
        there = answers(loaded)
        assert sum(a == b for a, b in zip(here, there, strict=True)) >= 2, "of 4: there it is in bfloat16"
        learner = backbone.load(lora=load().lora, quantize=False, device="elsewhere")
        learner.seen = Features()
        learner.module.train()
        rows = [learner.encode((*chat, Turn("assistant", "The answer is 7." * n))) for n, chat in enumerate(chats, 1)]
        learner.loss(learner.batch(rows, side="right")).backward()
        assert all(p.grad is not None for p in learner.module.parameters() if p.requires_grad)


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    """One of its own, since torch keeps the device."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("family", ["qwen2vl", "internvl25", "cogvlm2"])
def test_a_model_answers_and_learns_on_another_device(
    family: str, process: ProcessPoolExecutor, tmp_path: Path
) -> None:
    process.submit(asked_and_trained, family, tmp_path).result()
