"""What the shipped tiny base was taught: to read and to calculate, and nothing that stage 1 is there to teach."""

from __future__ import annotations

import operator
import re
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import torch
from pretraining.arithmetic import calculate, comparison, in_words
from pretraining.families import FAMILIES
from pretraining.lessons import chain, check, in_steps, lesson
from pretraining.tokenizer import make_tokenizer
from pretraining.training import BATCH, GROUP, make_optimizers, restore, save, train
from pretraining.views import side_of, whole

from mathse.figures import stream
from mathse.figures.program import Program
from mathse.teacher.figures import first_mistake
from mathse.types import Turn, steps_of

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}


@pytest.fixture(scope="module")
def lessons() -> list[tuple[Program, tuple[Turn, ...]]]:
    """Program and lesson of two thousand train pictures, at all stages of the training."""
    made = []
    for i, drawn in enumerate(islice(stream(1000, "train"), 2000)):
        program = drawn.program
        chat = lesson(drawn, whole(drawn), Random(i), progress=i / 2000)
        made.append((program, chat))
    return made


def test_a_question_is_only_ever_repeated(lessons: list[tuple[Program, tuple[Turn, ...]]]) -> None:
    seen = 0
    for program, chat in lessons:
        question = program.question
        for ask, reply in zip(chat[::2], chat[1::2], strict=True):
            if question in ask.text:
                seen += 1
                assert ask.text == f"Repeat: {question}"
                assert reply.text == question
    assert seen > 20, "the words of questions are to be known"


def test_no_solution_is_shown(lessons: list[tuple[Program, tuple[Turn, ...]]]) -> None:
    for program, chat in lessons:
        for reply in chat[1::2]:
            assert first_mistake(program, steps_of(reply.text)) is not None, "a lesson shows the whole solution"
            if "The answer to this problem is" in reply.text:
                assert "Step" not in reply.text


def test_text_exercises_are_right() -> None:
    drawn, checked = next(stream(1000, "train")), 0
    for maker in (chain, in_words, calculate, in_steps):
        for i in range(300):
            _, reply = maker(drawn, Random(i))
            for sentence in reply.replace("\n", " ").split(". "):
                left, equals, right = sentence.rpartition(" = ")
                if equals and "=" not in left and not right.startswith("{"):
                    expression = left.split(": ")[-1]
                    if set(expression) <= set("0123456789 +-*/"):
                        a, *rest = expression.split()
                        value = int(a)
                        for op, b in zip(rest[::2], rest[1::2], strict=True):
                            value = OPERATORS[op](value, int(b))
                        assert value == int(right.rstrip(".")), sentence
                        checked += 1
    assert checked > 1000


def test_comparisons_are_right_and_as_often_the_same_as_not() -> None:
    verdicts = []
    for i in range(500):
        ask, reply = comparison(Random(i))
        if "Reference answer" in ask.text:
            pairs = [re.findall(r"(?:problem is|answer:) (\w+)", ask.text)]
        else:
            pairs = [pair.split(" and ") for pair in ask.text.split("? ")[1].split(", ")]
        assert reply.text == " ".join("The same." if a == b else "Different." for a, b in pairs)
        verdicts += [a == b for a, b in pairs]
    assert 0.4 < sum(verdicts) / len(verdicts) < 0.6


def test_a_check_says_the_value_and_calls_a_statement_wrong_that_says_another() -> None:
    drawn, wrong = next(stream(1000, "train")), 0
    for i in range(300):
        ask, reply = check(drawn, Random(i))
        for statement, verdict in zip(ask.split("\n")[1:], reply.split("\n"), strict=True):
            value, word = verdict.split(": ")[1].rstrip(".").split(", ")
            assert (word == "right") == (value in re.findall(r"\w+", re.split(r"=| is ", statement)[-1])), statement
            wrong += word == "wrong"
    assert wrong > 200


def test_the_pictures_of_each_family_are_told_apart_by_its_tokens() -> None:
    for drawn in islice(stream(1000, "train"), 26):
        for family in FAMILIES.values():
            views = family.views(drawn)
            assert all(side_of(view) ** 2 == len(view) for view in views)
            marks = sorted(mark.text for view in views for cell in view for mark in cell)
            assert marks == sorted(mark.text for canvas in drawn.canvases for mark in canvas.marks)


@pytest.mark.parametrize("name", ["cogvlm2", "internvl25", "qwen2vl"])
def test_a_killed_pretraining_goes_on_with_every_weight_and_moment(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    tokenizer = make_tokenizer(tuple(islice(stream(1, "train"), 13)), family, tmp_path)
    states = []
    for run in range(2):
        torch.manual_seed(run)
        model, _ = family.make(tokenizer)
        optimizers = make_optimizers(model, 1e-3)
        if run == 0:
            for parameter in model.parameters():
                parameter.grad = torch.randn_like(parameter)
            for optimizer in optimizers:
                optimizer.step()
            save(tmp_path, model, optimizers, 7)
        else:
            assert restore(tmp_path, model, optimizers) == 7
        kept = [sorted(optimizer.state_dict()["state"].items()) for optimizer in optimizers]
        moments = [torch.as_tensor(state[key]) for index in kept for _, state in index for key in sorted(state)]
        states.append([*model.state_dict().values(), *moments])
    assert len(states[0]) == len(states[1])
    assert all(map(torch.equal, *states))


@pytest.mark.parametrize("name", ["cogvlm2", "internvl25", "qwen2vl"])
def test_cells_and_lessons_move_every_weight(name: str, tmp_path: Path) -> None:
    pool, family = tuple(islice(stream(1, "train"), BATCH * GROUP)), FAMILIES[name]
    torch.manual_seed(0)
    model, loaded = family.make(make_tokenizer(pool[:52], family, tmp_path))
    before = {key: parameter.clone() for key, parameter in model.named_parameters()}
    train(family, model, loaded, pool, warmup_steps=1, steps=2, rate=1e-3, seed=0, work=tmp_path)
    assert [key for key, parameter in model.named_parameters() if torch.equal(parameter, before[key])] == []
