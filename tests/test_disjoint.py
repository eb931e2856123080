"""Problems that have to be apart are: what is asked and shown is compared, not what is promised."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from conftest import loaded
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mathse.algorithm import begin
from mathse.config import Experiment
from mathse.figures import PROGRAM_CHUNK
from mathse.figures.data import Figures
from mathse.report.problems import kept_for_the_orm
from mathse.settings import settings
from mathse.steps.data import load as load_problems
from mathse.steps.disjoint import asked_by_both
from mathse.store import Artifact, Store
from mathse.types import Problem, Problems, read_jsonl, write_jsonl
from mathse.whole import read


def picture(path: Path, color: str, **how: Any) -> str:
    Image.new("RGB", (8, 8), color).save(path, **how)
    return str(path)


@pytest.mark.parametrize(
    ("question", "choices", "shown", "same"),
    [
        ("How long is it?", ("3", "4"), "red.png", True),
        (" how LONG\nis it?", ("4", "3"), "red.png", True),
        ("How long is it?", ("3", "4"), "red.bmp", True),
        ("How long is it?", ("3", "4"), "blue.png", False),
        ("How long is it?", ("3", "4"), "", False),
        ("How long is it?", ("3", "5"), "red.png", False),
        ("How wide is it?", ("3", "4"), "red.png", False),
        ("How wide is it?", ("3", "4"), "not there.png", False),  # and is not looked for
        ("How long is it?", ("3", "4"), "broken.png", False),
    ],
)
def test_the_same_words_and_the_same_pixels_are_one_problem(
    question: str, choices: tuple[str, ...], shown: str, same: bool, tmp_path: Path
) -> None:
    for name in ("red.png", "blue.png", "red.bmp"):
        picture(tmp_path / name, name[:-4])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    one = Problem("one", "How long is it?", (str(tmp_path / "red.png"),), "4", ("3", "4"))
    two = Problem("two", question, (str(tmp_path / shown),) if shown else (), "4", choices)
    assert asked_by_both([two], [one]) == [two] * same


@settings
class Listed:
    """Problems p0, p1 … of the numbers, which show nothing. `says_apart`: promises to share none with any test set."""

    numbers: tuple[int, ...]
    prefix: str
    says_apart: bool

    def apart_from(self, other: object) -> bool:
        return self.says_apart

    def write(self, out: Path) -> list[Problem]:
        return [Problem(f"{self.prefix}{n}", f"What is {n}?", (), str(n)) for n in self.numbers]


@settings
class Exam:
    """A benchmark that nobody evaluates on."""

    name: str
    data: Listed

    def score(self, problem: Problem, text: str) -> bool:
        return False


@settings
class Knows:
    """A teacher that says nothing."""

    def __call__(self, chats: Any, *, schema: Any = None, index: int = 0) -> list[str]:
        return ["The answer to this problem is 1."] * len(chats)


def experiment(train: Listed, test: Listed, **changes: Any) -> Experiment:
    exp = loaded("contamination.enabled=false")
    sizes: dict[str, Any] = {"seed_size": 5, "orm_problems": 10, "teacher": Knows()}
    return dataclasses.replace(exp, data=train, benchmark=Exam(name="test", data=test), **sizes, **changes)


class Steps:
    def __init__(self, root: Path) -> None:
        self.store = Store(root, loaded().runtime)
        self.names: list[str] = []

    def run(self, step: Any, /, **inputs: Any) -> Artifact:
        self.names.append(step.__name__)
        return self.store.run(step, **inputs)


def numbers(artifact: Artifact) -> set[int]:
    return {int(problem.answer) for problem in read_jsonl(Problem, artifact.path / "problems.jsonl")}


def test_the_orm_learns_from_no_test_problem_even_where_leaks_stay_in_D(tmp_path: Path) -> None:
    steps = Steps(tmp_path)
    exp = experiment(Listed(numbers=tuple(range(20)), prefix="p", says_apart=False),
                     Listed(numbers=tuple(range(8)), prefix="t", says_apart=False))  # fmt: skip
    D, kept, _ = begin(exp, read(exp, steps.run), steps.run)
    assert len(numbers(kept)) == 10
    assert not numbers(kept) & set(range(8))
    assert numbers(D) == set(range(20)) - numbers(kept)
    assert set(range(8)) < numbers(D), "contamination.enabled=false keeps them"
    assert steps.names.count("disjoint") == 1


def test_a_source_is_not_taken_at_its_word_that_it_keeps_splits_apart(tmp_path: Path) -> None:
    steps = Steps(tmp_path)
    exp = experiment(Listed(numbers=tuple(range(20)), prefix="p", says_apart=True),
                     Listed(numbers=(3, 4, 99), prefix="t", says_apart=True))  # fmt: skip
    problems, (test,) = read(exp, steps.run)
    assert problems.metrics == {"problems": 18, "dropped": 2}
    assert not numbers(problems) & numbers(test)


def test_a_kept_problem_with_its_picture_saved_anew_leaves_D(tmp_path: Path) -> None:
    @settings
    class Saved:
        def write(self, out: Path) -> list[Problem]:
            shown = [picture(out / f"{i}.{kind}", f"#0000{i:02d}") for i in range(10) for kind in ("png", "bmp")]
            return [Problem(f"p{i}", "How long is it?", (shown[i],), str(i // 2)) for i in range(20)]

    steps = Steps(tmp_path)
    exp = dataclasses.replace(loaded(), teacher=Knows(), orm_problems=2, seed_size=2)
    D, kept, _ = begin(exp, Problems(steps.run(load_problems, data=Saved()), []), steps.run)
    assert not numbers(D) & numbers(kept)
    assert D.metrics["dropped"] == sum(1 for _ in numbers(kept))


def test_where_sets_are_apart_looking_costs_no_step(tmp_path: Path) -> None:
    steps = Steps(tmp_path)
    exp = experiment(Listed(numbers=tuple(range(20)), prefix="p", says_apart=True),
                     Listed(numbers=(99,), prefix="t", says_apart=True))  # fmt: skip
    begin(exp, read(exp, steps.run), steps.run)
    assert steps.names == ["load", "load", "draw", "remaining", "draw", "distill"]


def test_the_report_says_what_the_orms_problems_share_with_D_and_the_tests(tmp_path: Path) -> None:
    def stored(name: str, problems: list[Problem]) -> Artifact:
        (tmp_path / name).mkdir()
        write_jsonl(tmp_path / name / "problems.jsonl", problems)
        return Artifact(name, tmp_path / name)

    ours = Figures(size=4, seed=3, split="train", families=()).write(tmp_path)
    with Image.open(ours[0].images[0]) as opened:
        program = PngInfo()
        program.add_text(PROGRAM_CHUNK, opened.info[PROGRAM_CHUNK])
        opened.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "again.png", pnginfo=program)
    again = dataclasses.replace(ours[0], id="again", images=(str(tmp_path / "again.png"),))
    said = kept_for_the_orm(stored("kept", ours[:2]), stored("D", [again, ours[2]]), [stored("test", [ours[1]])])
    assert "2 problems kept apart" in said
    assert "0 are in D (2) and 1 are in the test sets (1)" in said
    assert "1 have the words and numbers of one that is drawn otherwise" in said
