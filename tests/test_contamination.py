"""Training problems that are test problems too are found, whatever was done to hide them; others are left alone."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mathse.config import load
from mathse.data.contamination import Match, Thresholds, matches
from mathse.data.similar import alike, fingerprint, grams, same_picture
from mathse.figures.data import Figures
from mathse.steps.contamination import LEAKS, apart, decontaminate, read_leaks
from mathse.store import Artifact
from mathse.types import Problem, write_jsonl

LIMITS = Thresholds(question=0.8, similar=0.4, picture=0.94)
ENGLISH = Problem(
    "en",
    "A ladder of 13 m leans against a wall. Its foot stands 5 m from the wall, as the picture shows. How high does it reach?",
    (),
    "B",
    ("10 m", "12 m", "11 m"),
)
CHINESE = Problem("zh", "如图，在三角形ABC中，AB=7，BC=9，角B等于60度，求三角形ABC的面积是多少。", (), "27", ())
SHORT = Problem("short", "Find x.", (), "4", ())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    """Problems of the test split with pictures."""
    return Figures(size=52, seed=5, split="test", families=()).write(tmp_path_factory.mktemp("drawn"))


def resized(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width * 7 // 10, picture.height * 7 // 10))


def recompressed(picture: Image.Image) -> Image.Image:
    data = io.BytesIO()
    picture.convert("RGB").save(data, "JPEG", quality=40)
    return Image.open(data)


def framed(picture: Image.Image) -> Image.Image:
    frame = Image.new("RGB", (picture.width + 20, picture.height + 30), "white")
    frame.paste(picture, (10, 10))
    return frame


def in_grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L")


CHANGES: list[Callable[[Image.Image], Image.Image]] = [resized, recompressed, framed, in_grey]


def leaked(planted: Problem, *tests: Problem) -> Match | None:
    found = matches([planted], tests, LIMITS)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("planted", "test", "reason"),
    [
        (ENGLISH, ENGLISH, "question"),
        (replace(ENGLISH, question=ENGLISH.question.upper().replace(",", " ,")), ENGLISH, "question"),
        (replace(ENGLISH, choices=("12 m", "11 m", "10 m"), answer="A"), ENGLISH, "question"),
        (replace(ENGLISH, question=ENGLISH.question.replace("13", "17").replace("5 m", "eight m")), ENGLISH, "numbers"),
        (CHINESE, CHINESE, "question"),
        (replace(CHINESE, question=CHINESE.question.replace("7", "12").replace("9", "5")), CHINESE, "numbers"),
        (replace(CHINESE, question=CHINESE.question.replace("60", "六十")), CHINESE, "numbers"),
        (
            replace(CHINESE, question="A tree is 7 m high and 9 m from a wall; how far is its top from it?"),
            CHINESE,
            None,
        ),
        (replace(CHINESE, question="如图，一个长方形的长是12厘米，宽是7厘米，它的周长是多少厘米？"), CHINESE, None),
        (SHORT, SHORT, None),  # says too little
    ],
)
def test_a_question_is_recognised_in_other_words_for_the_same(
    planted: Problem, test: Problem, reason: str | None
) -> None:
    found = leaked(planted, CHINESE, ENGLISH, test)
    assert (found and found.reason) == reason


def test_the_order_of_choices_within_a_question_does_not_matter() -> None:
    asked = "Which of these months is the hottest in Cape Town, on average, by the graph? (A) July (B) May (C) January"
    other = "Which of these months is the hottest in Cape Town, on average, by the graph? (A) January (B) July (C) May"
    assert grams(asked) == grams(other)


@pytest.mark.parametrize("change", CHANGES)
def test_a_problem_with_a_changed_picture_and_other_numbers_is_recognised(
    change: Callable[[Image.Image], Image.Image], drawn: list[Problem], tmp_path: Path
) -> None:
    planted = []
    for problem in drawn:
        with Image.open(problem.images[0]) as picture:
            change(picture).convert("RGB").save(tmp_path / f"{problem.id}.png")
        asked = "".join(str(9 - int(c)) if c.isdecimal() else c for c in problem.question)
        planted.append(replace(problem, images=(str(tmp_path / f"{problem.id}.png"),), question=asked))
    found = matches(planted, drawn, LIMITS)
    assert len(found) >= 0.9 * len(drawn)


def test_a_short_question_needs_the_same_picture(drawn: list[Problem], tmp_path: Path) -> None:
    here = replace(SHORT, images=drawn[0].images)
    elsewhere = replace(SHORT, images=drawn[1].images)
    assert leaked(here, here) is not None
    assert leaked(here, elsewhere) is None


def test_of_several_pictures_any_may_be_the_same(drawn: list[Problem]) -> None:
    first, second, third = (problem.images[0] for problem in drawn[:3])
    here = replace(SHORT, images=(first, second))
    assert leaked(here, replace(SHORT, images=(third, second))) is not None
    assert leaked(here, replace(SHORT, images=(third,))) is None


def test_a_picture_with_another_question_is_no_leak(drawn: list[Problem]) -> None:
    assert leaked(replace(ENGLISH, images=drawn[0].images), replace(CHINESE, images=drawn[0].images)) is None


def test_a_picture_that_cannot_be_opened_is_like_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    seen = fingerprint(str(tmp_path / "a.png"))[None]
    assert same_picture(seen, seen)[0] <= 0


def test_all_pairs_are_computed_as_if_one_by_one() -> None:
    rng = random.Random(0)
    ours, theirs = (
        [frozenset(rng.sample("abcdefghij", rng.randint(1, 8))) for _ in range(count)] for count in (1203, 40)
    )
    found = {
        (int(a), int(b)): round(float(likeness), 9)
        for rows in alike(ours, theirs, 0.5)
        for a, b, likeness in zip(*rows, strict=True)
    }
    expected = {
        (i, j): round(len(a & b) / len(a | b), 9)
        for i, a in enumerate(ours)
        for j, b in enumerate(theirs)
        if len(a & b) / len(a | b) >= 0.5
    }
    assert found == expected


def test_no_test_problems_or_none_of_words_is_no_error() -> None:
    assert matches([ENGLISH, replace(SHORT, question="!")], [replace(SHORT, question="?")], LIMITS) == []
    assert np.concatenate([pairs[0] for pairs in alike([frozenset("a")], [], 0.5)]).size == 0


# ---- the step ------------------------------------------------------------------------------------------------------


def artifact(folder: Path, *problems: Problem) -> Artifact:
    folder.mkdir()
    write_jsonl(folder / "problems.jsonl", problems)
    return Artifact(folder.name, folder)


def step(
    tmp_path: Path, problems: list[Problem], *, drop: bool = True, allow: tuple[str, ...] = ()
) -> dict[str, float]:
    (tmp_path / "out").mkdir()
    return decontaminate(
        tmp_path / "out",
        problems=artifact(tmp_path / "ours", *problems),
        tests=[artifact(tmp_path / "theirs", ENGLISH, CHINESE)],
        question=0.8,
        similar=0.4,
        picture=0.94,
        drop=drop,
        allow=allow,
    )


MINE = replace(ENGLISH, id="mine", facts={"id": "row 7"})
OTHER = replace(SHORT, id="other")


@pytest.mark.parametrize(
    ("drop", "allow", "left"), [(True, (), 1), (True, ("mine",), 2), (True, ("row 7",), 2), (False, (), 2)]
)
def test_leaks_are_dropped_unless_allowed_and_are_written_side_by_side(
    drop: bool, allow: tuple[str, ...], left: int, tmp_path: Path
) -> None:
    metrics = step(tmp_path, [MINE, OTHER], drop=drop, allow=allow)
    assert (metrics["problems"], metrics["leaks"], metrics["dropped"]) == (left, 1, 2 - left)
    (leak,) = read_leaks(tmp_path / "out" / LEAKS)
    assert (leak.problem.id, leak.test.id, leak.reason, leak.kept) == ("mine", "en", "question", left == 2)


def test_where_nothing_would_be_left_the_run_ends(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="all 1 problems are in the benchmark"):
        step(tmp_path, [MINE])


@pytest.mark.parametrize("split", ["train", "test"])
def test_figures_keep_their_splits_apart_themselves(split: str) -> None:
    exp = load(f"data.split={split}")
    assert apart(exp.data, exp.benchmark.data) == (split == "train")
    assert not apart(load("data=jsonl").data, exp.benchmark.data)
    assert not apart(exp.data, load("benchmark=mathvista").benchmark.data)


def test_further_benchmarks_can_be_named_and_senseless_limits_are_refused() -> None:
    exp = load("+benchmark@contamination.against.vision=mathvision")
    assert [benchmark.name for benchmark in exp.contamination.against.values()] == ["mathvision"]
    for override in ("contamination.question=1.5", "contamination.similar=0.9"):
        with pytest.raises(ValueError, match="ontamination"):
            load(override)
