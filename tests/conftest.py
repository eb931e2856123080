"""What tests share: the tiny Qwen2-VL, a few problems with pictures, a runtime for two cores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from mathse.backbones.qwen2vl import Qwen2VL
from mathse.figures.data import Figures
from mathse.store import Runtime
from mathse.types import Problem


@pytest.fixture(scope="session")
def backbone() -> Qwen2VL:
    return Qwen2VL(checkpoint="tiny", min_pixels=3136, max_pixels=12544, max_length=512)


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime(device="cpu", threads=2, batch_size=16, isolate=False, unfold=True, save_every=0.0)


@pytest.fixture(scope="session")
def problems(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    folder: Path = tmp_path_factory.mktemp("problems")
    return Figures(size=26, seed=11, split="train", families=()).write(folder)
