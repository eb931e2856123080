"""What a model writes does not depend on the batch around it; samples share a prefill; randomness belongs to the row."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from mathse.backbones import Loaded
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.generation import Sampling
from mathse.generation.torch import choose, complete, fork, read
from mathse.steps.generate import ask
from mathse.types import Problem, Turn

GREEDY = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=32)
WARM = Sampling(temperature=1.0, top_p=0.95, samples=3, max_new_tokens=24)


@pytest.fixture(scope="module")
def model(backbone: Qwen2VL) -> Loaded:
    return backbone.load(unfolded=True)


def texts(model: Loaded, problems: list[Problem], sampling: Sampling, size: int) -> list[list[str]]:
    out = []
    for i in range(0, len(problems), size):
        some = problems[i : i + size]
        completions = complete(model, [ask(p) for p in some], sampling, [p.id for p in some])
        out += [[completion.text for completion in tries] for tries in completions]
    return out


def test_batch_size_and_order_change_nothing_at_temperature_0(model: Loaded, problems: list[Problem]) -> None:
    one = texts(model, problems, GREEDY, 1)
    assert texts(model, problems, GREEDY, 26) == one
    assert texts(model, problems[::-1], GREEDY, 7)[::-1] == one


def test_a_sample_depends_on_its_own_seed_only(model: Loaded, problems: list[Problem]) -> None:
    few = problems[:6]
    assert texts(model, few, WARM, 6) == texts(model, few, WARM, 2)


def test_samples_of_one_problem_differ_and_are_reproducible(model: Loaded, problems: list[Problem]) -> None:
    tries = texts(model, problems[:4], WARM, 4)
    assert tries == texts(model, problems[:4], WARM, 4)
    assert any(len(set(three)) > 1 for three in tries)


def test_a_begun_reply_is_gone_on_with(model: Loaded, problems: list[Problem]) -> None:
    whole = [text for (text,) in texts(model, problems, GREEDY, 26)]
    begun = [text[: text.find(" ", len(text) // 2)] for text in whole]
    chats = [(*ask(problem), Turn("assistant", text)) for problem, text in zip(problems, begun, strict=True)]
    rest = [completion.text for (completion,) in complete(model, chats, GREEDY, [p.id for p in problems])]
    assert all(text.strip() for text in begun)
    assert all((b + r).startswith(w) for b, r, w in zip(begun, rest, whole, strict=True))


def test_greedy_text_equals_transformers_generate(backbone: Qwen2VL, problems: list[Problem]) -> None:
    loaded = backbone.load(quantize=False)
    for problem in problems[:3]:
        row = loaded.encode(ask(problem), reply=True)
        pixels = loaded.processor(images=[Image.open(image) for image in problem.images], return_tensors="pt")
        theirs = loaded.module.generate(
            input_ids=row.ids[None],
            attention_mask=torch.ones_like(row.ids)[None],
            mm_token_type_ids=(row.ids == loaded.picture_id).int()[None],
            max_new_tokens=32,
            do_sample=False,
            eos_token_id=list(loaded.stop_ids),
            pad_token_id=loaded.pad_id,
            **pixels,
        )[0, len(row) :]
        ((ours,),) = complete(loaded, [ask(problem)], GREEDY, [problem.id])
        assert ours.text == loaded.tokenizer.decode(theirs, skip_special_tokens=True)


def test_a_text_cut_at_the_limit_says_so(model: Loaded, problems: list[Problem]) -> None:
    short = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=2)
    ((completion,),) = complete(model, [ask(problems[0])], short, [""])
    assert not completion.finished
    assert completion.tokens == 2


@pytest.mark.parametrize(
    ("uniform", "top_p", "expected"),
    [(0.0, 1.0, 2), (0.49, 1.0, 2), (0.51, 1.0, 0), (0.81, 1.0, 1), (0.999, 1.0, 1), (0.999, 0.6, 0), (0.999, 0.5, 2)],
)
def test_a_token_is_drawn_by_inverting_the_nucleus(uniform: float, top_p: float, expected: int) -> None:
    logits = torch.tensor([[0.3, 0.2, 0.5]]).log()
    sampling = Sampling(temperature=1.0, top_p=top_p, samples=1, max_new_tokens=1)
    assert choose(logits, sampling, torch.tensor([uniform])).item() == expected


def test_several_samples_at_temperature_0_are_refused() -> None:
    with pytest.raises(ValueError, match="set a temperature"):
        Sampling(temperature=0.0, top_p=1.0, samples=2, max_new_tokens=8)


def test_the_chance_of_an_opening_is_its_tokens_probability_against_the_others(
    model: Loaded, problems: list[Problem]
) -> None:
    few = [ask(problem) for problem in problems[:3]]
    ((whole,), *_) = complete(model, few, GREEDY, ["", "", ""])
    begun = whole.text[: whole.text.index(" ", 3)]
    common, (a, b) = fork(model, (f"{begun} 1", f"{begun} 2"))
    assert model.tokenizer.decode([*common, a])[: len(begun)] == begun
    tries = complete(model, few, GREEDY, ["", "", ""], openings=(f"{begun} 1", f"{begun} 2"))
    assert [[words.text for words in some] for some in tries] == texts(model, problems[:3], GREEDY, 3)
    row = model.encode((*few[0], Turn("assistant", model.tokenizer.decode(common))), reply=True)
    logits, *_ = read(model, [row], 1)
    expected = logits[0, [a, b]].softmax(-1)[0].item()
    assert tries[0][0].chance == pytest.approx(expected, abs=1e-4)


def test_a_text_that_opens_otherwise_has_no_chance_and_openings_must_part(
    model: Loaded, problems: list[Problem]
) -> None:
    ((words,),) = complete(model, [ask(problems[0])], GREEDY, [""], openings=("zzz 1", "zzz 2"))
    assert words.chance is None
    with pytest.raises(ValueError, match="nothing decides"):
        fork(model, ("The", "The same"))
