"""A frozen tower sees each picture once, whichever models share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from mathse.backbones.features import Features, shared
from mathse.backbones.qlora import Lora
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.steps.generate import ask
from mathse.types import Problem

LORA = Lora(rank=4, alpha=8, dropout=0.0)


def test_models_with_one_frozen_tower_see_each_picture_once(
    backbone: Qwen2VL, problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.cache_clear()
    rows = [backbone.load().encode(ask(problem)) for problem in problems[:13]]
    names = [name for row in rows for name in row.pictures if isinstance(name, str)]
    counts = []
    for lora in (None, None, LORA, LORA):  # for generation in float32, for training in bfloat16
        loaded, asked = backbone.load(lora=lora), 0
        see = loaded.see

        def counting(pictures: Sequence[Any], see: Any = see) -> list[torch.Tensor]:
            nonlocal asked
            asked += len(pictures)
            return see(pictures)

        monkeypatch.setattr(loaded, "see", counting)
        assert all(map(torch.equal, loaded.features(names), loaded.features(names)))
        counts.append(asked)
    assert counts == [len(set(names)), 0, len(set(names)), 0]


def test_features_beyond_the_limit_leave_and_come_back_right() -> None:
    asked: list[str] = []

    def see(names: Sequence[str]) -> list[torch.Tensor]:
        asked.extend(names)
        return [torch.full((2, 4), float(name)) for name in names]

    kept = Features(limit=3 * 32)
    for names in (["1", "2", "3"], ["1"], ["4"], ["2", "1"], ["5", "5", "6", "7", "8"]):
        assert [int(found[0, 0]) for found in kept.of(names, see)] == [int(name) for name in names]
        assert kept.size <= kept.limit
    assert asked == ["1", "2", "3", "4", "2", "5", "6", "7", "8"]
