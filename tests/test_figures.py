"""Problems made by programs: what they promise to whoever trains and tests on them."""

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from mathse.figures import Drawn, draw, family_names, stream
from mathse.figures.data import Figures
from mathse.figures.program import OPS, Program


def some(split: str, size: int, seed: int = 0) -> list[Drawn]:
    return list(islice(stream(seed, split), size))


def numbers(drawn: Drawn) -> tuple[object, ...]:
    return (drawn.program.family, tuple(sorted((r.name, str(r.value)) for r in drawn.program.readings)))


def test_there_are_at_least_ten_families() -> None:
    assert len(family_names()) >= 10


@pytest.mark.parametrize("family", family_names())
def test_every_family_draws_at_every_level_and_its_solution_follows(family: str) -> None:
    for level in (1, 2, 3):
        for i in range(60):
            program = draw(family, Random(f"{family}/{level}/{i}"), level).program
            values = program.values()
            assert program.answer == str(values[-1])
            assert all(step.op == "read" or step.op in OPS for step in program.steps)
            assert all(not isinstance(value, int) or value >= 0 for value in values)
            for sentence, value in zip(program.sentences(values, lambda says: says[0]), values, strict=True):
                assert str(value) in sentence, "each step states the value that it finds"


@pytest.mark.parametrize("family", family_names())
def test_a_family_asks_in_both_forms_and_several_wordings(family: str) -> None:
    programs = [draw(family, Random(f"{family}/{i}")).program for i in range(120)]
    assert {bool(program.choices) for program in programs} == {True, False}
    assert len({program.question.split(" Choices:")[0] for program in programs}) >= 3
    for program in programs:
        if program.choices:
            assert program.answer in "ABCDEFGH"
            assert len(set(program.choices)) == len(program.choices)


def test_the_same_seed_gives_the_same_problems_and_another_seed_others() -> None:
    assert [d.id for d in some("train", 30)] == [d.id for d in some("train", 30)]
    assert not {d.id for d in some("train", 30)} & {d.id for d in some("train", 30, seed=1)}


def test_the_first_problems_are_the_same_on_each_machine() -> None:
    assert [d.id for d in some("test", 2)] == ["62fb1e6a3fabec4b", "43545dc3d6bfefee"]


def test_no_problem_comes_twice() -> None:
    ids = [d.id for d in some("train", 1500)]
    assert len(set(ids)) == len(ids)


def test_train_and_test_share_no_picture_and_no_numbers_with_a_question_whatever_the_seeds() -> None:
    train = [d for seed in (0, 1) for d in some("train", 1300, seed)]
    test = [d for seed in (0, 5) for d in some("test", 650, seed)]
    pictures = {picture.tobytes() for d in train for picture in d.pictures}
    whole = {tuple(picture.tobytes() for picture in d.pictures) for d in train}
    assert pictures
    assert not whole & {tuple(picture.tobytes() for picture in d.pictures) for d in test}
    assert not {numbers(d) for d in train} & {numbers(d) for d in test}


def test_difficulty_varies() -> None:
    levels = [d.program.level for d in some("test", 300)]
    assert {levels.count(level) > 60 for level in (1, 2, 3)} == {True}
    assert len({len(d.program.steps) for d in some("test", 300)}) >= 3


def test_a_program_survives_json() -> None:
    for drawn in some("train", 26):
        assert Program.from_json(drawn.program.to_json()) == drawn.program


def test_marks_are_transcribed_cell_by_cell() -> None:
    drawn = next(d for d in stream(0, "train", ["rectangle"]))
    shown = {str(reading.value) for reading in drawn.program.readings}
    written = "".join(mark.text for cell in drawn.canvases[0].cells() for mark in cell)
    assert all(digit in written for value in shown for digit in value)


def test_problems_carry_their_pictures_and_their_family(tmp_path: Path) -> None:
    problems = Figures(size=13, seed=3, split="test", families=()).write(tmp_path)
    assert {problem.source for problem in problems} <= set(family_names())
    assert all(Path(image).is_file() for problem in problems for image in problem.images)


def test_the_contact_sheet_shows_every_family(tmp_path: Path) -> None:
    from mathse.figures.__main__ import contact_sheet

    assert contact_sheet().height > 150 * len(family_names())
