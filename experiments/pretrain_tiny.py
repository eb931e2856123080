"""Make the tiny base weights that ship with the package: a model that can read figures and calculate, and nothing more.

    python experiments/pretrain_tiny.py --family qwen2vl

From random weights, in three phases: (1) the tower learns to say, from each picture token, the marks whose centre lies in
its cell, the numbers they stand for, and which cell it is; (2) the whole model mostly transcribes pictures cell by cell;
(3) transcription gives way to describing pictures, reading values by name, checking statements, arithmetic in text and
in words, and telling whether two answers are the same. Only pictures of the train split are drawn. Figures' questions and
the phrases of prompts and verdicts are only ever repeated word by word, what is calculated never follows from the picture,
and no worked solution is shown: stage 1 has that left to teach.
Every 200 steps the state is saved, so a killed run goes on where it was. At the end the weights are written with a card:
how they were made, how well they read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from PIL.Image import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mathse.backbones import Loaded, Row
from mathse.backbones.attention import register
from mathse.feedback.orm import JUDGE
from mathse.figures import Drawn, family_names, misread, near, stream
from mathse.figures.canvas import Mark, cells_of
from mathse.figures.program import Reading, Value
from mathse.steps.generate import SOLVE
from mathse.types import Turn

TINY = Path(__file__).parent.parent / "mathse" / "backbones" / "tiny"
VOCABULARY = 1024
BATCH = 32
COMPARE_FROM = 0.4  # of the lessons: from here on each step has comparisons in text beside its pictures
GROUP = 8  # steps whose rows are drawn together and sorted by length
PROMPT_WORDS = (
    '{"status": "CORRECT", "error_step": null, "error_analysis": null}',
    '{"status": "WRONG", "error_step": "Step 1", "error_analysis": "The calculation is wrong. Look at the number again."}',
    "Step 1: \nStep 2: \nStep 3: \nStep 4: \nStep 5: \nThe answer to this problem is 1.",
)


# ---- what the base is taught ----


# Of each picture as a family sees it, the marks in the cell of each token, in raster order.
Views = list[list[list[Mark]]]


def transcription(views: Views) -> str:
    """Every picture cell by cell in raster order: its marks, or a dash; rows end in a slash."""
    lines = []
    for view in views:
        cells, width = [_cell(cell) for cell in view], side_of(view)
        lines.append(" / ".join(" ".join(cells[row * width : (row + 1) * width]) for row in range(width)))
    return "\n".join(lines)


def side_of(view: list[list[Mark]]) -> int:
    """Cells along one side of a square picture."""
    return math.isqrt(len(view))


def _cell(marks: list[Mark]) -> str:
    return "".join(f"{mark.text} " if len(mark.text) > 1 else mark.text for mark in marks).strip() or "-"


def calculation(rng: Random) -> tuple[str, int]:
    """A left-hand side and its value, of the kinds that figures need."""
    kind = rng.choice(("add", "add", "add3", "sub", "sub", "mul", "mul", "div", "max"))
    if kind == "add":
        a, b = rng.choice(((100, 20), (60, 60), (20, 20), (12, 12)))
        a, b = rng.randint(0, a), rng.randint(0, b)
        return f"{a} + {b}", a + b
    if kind == "add3":
        a, b, c = (rng.randint(0, 30) for _ in range(3))
        return f"{a} + {b} + {c}", a + b + c
    if kind == "sub":
        a = rng.choice((180, 90, 60, 60, 100, rng.randint(1, 120), rng.randint(1, 30), rng.randint(1, 30)))
        b = rng.randint(0, a)
        return f"{a} - {b}", a - b
    a, b = rng.randint(1, 12), rng.randint(1, 12)
    if kind == "max":
        numbers = [rng.randint(1, 60) for _ in range(rng.choice((2, 3)))]
        return "The largest of " + ", ".join(map(str, numbers)), max(numbers)
    return (f"{a} * {b}", a * b) if kind == "mul" else (f"{a * b} / {b}", a)


def equation(rng: Random, wrong: bool) -> str:
    """A calculation with its value, or with another one."""
    left, value = calculation(rng)
    return _equation(left, near(value, rng) if wrong else value)


def _equation(left: str, value: int) -> str:
    return f"{left} is {value}." if left.startswith("The") else f"{left} = {value}."


def lesson(drawn: Drawn, views: Views, rng: Random, progress: float) -> tuple[Turn, ...]:
    """One picture and two short exercises on it, as the turns of a chat; `progress` goes from 0 to 1 during training."""
    early = progress < 0.15
    makers = [_describe, _read, _check, _calculate, _list, _chain, _words, _choose, _repeat]
    late = 0.0 if early else 1.0
    weights = [1.5, 4.0, 0.5 + 2 * progress, 1.0, 3.0 * late, 1.5 * late, 3.0 * late, late, 1.5 * late]
    exercises = [rng.choices(makers, weights)[0](drawn, rng)]
    if early or rng.random() < 0.9 - progress:
        # First in the beginning: the text stands at the same distance from the picture each time, which is easier to learn.
        exercises.insert(0 if early or rng.random() < 0.5 else 1, ("Transcribe the picture.", transcription(views)))
    else:
        exercises.append(rng.choices(makers, weights)[0](drawn, rng))
    turns: list[Turn] = []
    for i, (ask, reply) in enumerate(exercises):
        turns += [Turn("user", ask, tuple(drawn.pictures) if i == 0 else ()), Turn("assistant", reply)]
    return tuple(turns)


def _numbered(sentences: Sequence[str]) -> str:
    return "\n".join(f"Step {i}: {sentence}" for i, sentence in enumerate(sentences, start=1))


def _lined_up(ask: str, sentences: Sequence[str], rng: Random) -> tuple[str, str]:
    """An exercise whose sentences are to stand one after the other, or numbered on lines of their own."""
    return (f"{ask} Number the steps.", _numbered(sentences)) if rng.random() < 0.5 else (ask, " ".join(sentences))


def _say(reading: Reading, rng: Random, value: Value | None = None) -> str:
    return rng.choice(reading.says).format(**{reading.name: reading.value if value is None else value})


def _describe(drawn: Drawn, rng: Random) -> tuple[str, str]:
    return "Describe the picture.", " ".join(_say(reading, rng) for reading in drawn.program.readings)


def _some(drawn: Drawn, rng: Random) -> list[Reading]:
    return rng.sample(drawn.program.readings, min(len(drawn.program.readings), rng.choice((1, 2, 2, 3))))


def _read(drawn: Drawn, rng: Random) -> tuple[str, str]:
    chosen = _some(drawn, rng)
    ask = "Read " + " and ".join(reading.where for reading in chosen) + "."
    return _lined_up(ask, [_say(reading, rng) for reading in chosen], rng)


def _list(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Readings and calculations, one a line. The numbers to calculate with are random: nothing is concluded from the picture."""
    chosen, sums = _some(drawn, rng), [calculation(rng) for _ in range(rng.choice((1, 1, 2)))]
    asks = [f"read {reading.where}" for reading in chosen] + [f"calculate {left}" for left, _ in sums]
    sentences = [_say(reading, rng) for reading in chosen] + [_equation(left, value) for left, value in sums]
    return f"In steps, {', '.join(asks)}.", _numbered(sentences)


def _check(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Statements, right or wrong; of each the value that it should say, so that right and wrong are told from two numbers in the text."""
    sentences, verdicts = [], []
    for _ in range(rng.randint(2, 4)):
        wrong = rng.random() < 0.4
        if rng.random() < 0.65:
            reading = rng.choice(drawn.program.readings)
            sentences.append(_say(reading, rng, misread(reading, rng) if wrong else None))
            value = reading.value
        else:
            left, value = calculation(rng)
            sentences.append(_equation(left, near(value, rng) if wrong else value))
        verdicts.append(f"{value}, {'wrong' if wrong else 'right'}.")
    return f"Which of these are wrong?\n{_numbered(sentences)}", _numbered(verdicts)


def comparison(rng: Random) -> tuple[Turn, ...]:
    """Text alone: whether two answers are the same, next to each other or lines apart. Half of them are."""
    if rng.random() < 0.25:
        pairs = [_pair(rng) for _ in range(3)]
        asked = ", ".join(f"{a} and {b}" for a, b in pairs)
        return Turn("user", f"Are they the same? {asked}"), Turn("assistant", " ".join(_same(*pair) for pair in pairs))
    a, b = _pair(rng)
    sums = [equation(rng, wrong=rng.random() < 0.5) for _ in range(rng.randint(1, 5))]
    ask = f"{_numbered(sums)}\nThe answer to this problem is {a}.\nReference answer: {b}\nAre they the same?"
    return Turn("user", ask), Turn("assistant", _same(a, b))


def _pair(rng: Random) -> tuple[str, str]:
    same = rng.random() < 0.5
    if rng.random() < 0.2:
        a, b = rng.sample("ABCD", 2)
        return a, a if same else b
    number = rng.randint(0, rng.choice((20, 60, 180)))
    other = near(number, rng) if rng.random() < 0.5 else rng.choice([n for n in range(100) if n != number])
    return str(number), str(number if same else other)


def _same(a: str, b: str) -> str:
    return "The same." if a == b else "Different."


def _calculate(drawn: Drawn, rng: Random) -> tuple[str, str]:
    sums = [calculation(rng) for _ in range(3)]
    ask = f"Calculate {', '.join(left for left, _ in sums)}."
    return _lined_up(ask, [_equation(left, value) for left, value in sums], rng)


def _chain(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Given values and told what to do with them, one calculation after the other, each on what came out of the last."""
    readings = rng.sample(drawn.program.readings, min(len(drawn.program.readings), rng.choice((2, 2, 3))))
    largest = rng.choice((12, 30, 90))
    values = [rng.randint(1, largest) for _ in readings]
    said = " ".join(_say(reading, rng, value) for reading, value in zip(readings, values, strict=True))
    orders, equations, value = ["Take it."], [], values[0]
    if len(values) > 1:
        low, high = sorted(values[:2])
        a, b = values[:2]
        order, equation, value = rng.choice(
            [
                ("Add the first two.", f"{a} + {b} = {a + b}.", a + b),
                ("Take the smaller of the first two from the larger.", f"{high} - {low} = {high - low}.", high - low),
                ("Multiply the first two.", f"{a} * {b} = {a * b}.", a * b),
            ][: 3 if largest == 12 else 2]
        )
        orders, equations = [order], [equation]
        if len(values) == 3 and rng.random() < 0.7:
            orders.append("Add the third.")
            equations.append(f"{value} + {values[2]} = {value + values[2]}.")
            value += values[2]
    for _ in range(rng.choice((1, 1, 2)) if len(values) == 1 else rng.choice((0, 1, 1))):
        order, equation, value = rng.choice(_follow_ups(value, rng))
        orders.append(order)
        equations.append(equation)
    return _lined_up(f"{said} {' '.join(orders)}", equations, rng)


def _follow_ups(value: int, rng: Random) -> list[tuple[str, str, int]]:
    """What can be done with `value` next: the order, the equation, and what comes out."""
    n, top = rng.randint(1, 30), rng.choice((60, 90, 180))
    ways = [
        ("Double it.", f"2 * {value} = {2 * value}.", 2 * value),
        (f"Add {n}.", f"{value} + {n} = {value + n}.", value + n),
    ]
    if value <= top:
        ways += [(f"Take it from {top}.", f"{top} - {value} = {top - value}.", top - value)] * 2
    if value > n:
        ways.append((f"Take {n} from it.", f"{value} - {n} = {value - n}.", value - n))
    if value <= 12:
        times = n % 11 + 2
        ways.append((f"Multiply it by {times}.", f"{times} * {value} = {times * value}.", times * value))
    return ways


NAMES = (
    tuple("ABCDEFGHKLMNPQRSTU"),
    ("red", "blue", "green", "orange", "purple", "black"),
    ("the first number", "the second number", "the third number"),
    ("the left", "the right", "the top", "the bottom"),
    ("pen", "cup", "hat", "key", "bag", "toy", "map", "bun", "nut", "pie", "fan", "cap"),
)
# What is asked in words, and the calculation that it means (a is not the smaller one).
WORDS = (
    (
        "{a} + {b}",
        ("What is the sum of {a} and {b}?", "How much are {a} and {b} together?", "What is {a} if {b} is added?"),
    ),
    (
        "{a} - {b}",
        (
            "What is the difference of {a} and {b}?",
            "How much larger is {a} than {b}?",
            "How many more is {a} than {b}?",
            "How much is missing from {b} to {a}?",
            "How far is it from {b} to {a}?",
            "{b} of {a} are gone. How many are left?",
        ),
    ),
    ("{a} * {b}", ("What is {a} times {b}?", "How much are {a} pieces of {b}?", "What is the area of {a} by {b}?")),
)


def _words(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Arithmetic in words, on numbers or on names that stand for numbers. Nothing is said of pictures."""
    names = rng.sample(rng.choice(NAMES), rng.choice((2, 2, 3)))
    largest = rng.choice((12, 30, 90))
    values = {name: rng.randint(1, largest) for name in names}
    named = rng.random() < 0.7
    asks, replies = [], []
    for _ in range(rng.choice((1, 2))):
        left, wordings = rng.choice(WORDS if largest == 12 else WORDS[:2])
        x, y = sorted(rng.sample(names, 2), key=lambda name: -values[name])
        if "-" not in left and rng.random() < 0.5:
            x, y = y, x
        a, b = values[x], values[y]
        asks.append(rng.choice(wordings).format(a=x if named else a, b=y if named else b))
        result = {"+": a + b, "-": a - b, "*": a * b}[left[4]]
        replies.append(f"{left.format(a=a, b=b)} = {result}.")
    given = " ".join(f"{name} is {value}." for name, value in values.items()) if named else ""
    return _lined_up(f"{given} {' '.join(asks)}".strip(), replies, rng)


def _choose(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """The letter that stands before a number."""
    choices = rng.sample(range(1, 100), rng.choice((3, 4, 4)))
    place = rng.randrange(len(choices))
    listed = " ".join(f"({letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=False))
    says = rng.choice(("{number} is choice {letter}.", "Choice {letter} says {number}."))
    return f"Which choice is {choices[place]}? Choices: {listed}", says.format(
        number=choices[place], letter="ABCD"[place]
    )


def _repeat(drawn: Drawn, rng: Random) -> tuple[str, str]:
    """Copying makes the words of questions, prompts and verdicts known: LoRA cannot teach a frozen embedding that no training touched."""
    where = rng.choice(drawn.program.readings).where
    number, letter, step = rng.randint(0, 120), rng.choice("ABCD"), rng.randint(1, 7)
    phrase = rng.choice(
        (
            drawn.program.question,
            drawn.program.question,
            f"The answer to this problem is {rng.choice((number, number, letter))}.",
            f"{number} is choice {letter}. Choice {letter} says {number}.",
            SOLVE.split("\n")[0],
            JUDGE.split("\n")[0],
            '{"status": "CORRECT", "error_step": null, "error_analysis": null}',
            f'{{"status": "WRONG", "error_step": "Step {step}", "error_analysis": "Look at {where} again."}}',
            f"Step {step}: {equation(rng, wrong=False)}",
            f"The calculation is wrong: {number} + {step}. The reading is wrong. A step is missing after this one.",
            "This is not the calculation that is needed. The conclusion is wrong. This step does not read what is needed.",
        )
    )
    return f"Repeat: {phrase}", phrase


# ---- tokenizer and models ----


def corpus(pool: Sequence[Drawn], views: Callable[[Drawn], Views]) -> list[str]:
    """Text for the tokenizer: exercises, questions, and the fixed words of our prompts and verdicts. No solutions."""
    rng = Random("tokenizer")
    texts = [turn.text for drawn in pool for turn in lesson(drawn, views(drawn), rng, 0.5)]
    texts += [turn.text for _ in range(500) for turn in comparison(rng)]
    return texts + [drawn.program.question for drawn in pool] + [SOLVE, JUDGE, *PROMPT_WORDS] * 50


def make_tokenizer(pool: Sequence[Drawn], family: Family, folder: Path) -> Any:
    """A byte-level BPE of 1,024 tokens (any text can be written), digits one by one; the one in `folder` if it is there."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if (folder / "tokenizer.json").exists():  # a resumed run: its weights know this one
        return PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\d| ?[^\s\d\w]| ?[^\s\d\W]+|\s"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(family.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(pool, family.views), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **family.roles)
    fast.save_pretrained(folder)
    return fast


def make_qwen2vl(tokenizer: Any) -> tuple[nn.Module, Any]:
    """A Qwen2-VL of 3.1 million parameters: hidden 192, 4 layers; tower 128 wide, 4 layers."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    ids = tokenizer.get_vocab()
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 192,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
        vision_config={
            "depth": 4,
            "embed_dim": 128,
            "hidden_size": 192,
            "num_heads": 4,
            "mlp_ratio": 4,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    config._attn_implementation = register()
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from mathse.backbones.qwen2vl import LoadedQwen2VL

    model = Qwen2VLForConditionalGeneration(config)
    return model, LoadedQwen2VL(
        model, tokenizer, Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 112 * 112})
    )


def make_internvl25(tokenizer: Any) -> tuple[nn.Module, Any]:
    """An InternVL2.5 of its 8B member's kind (InternViT and Llama), as wide and deep as the tiny Qwen2-VL; a tile is 112 pixels."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration, LlamaConfig
    from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

    from mathse.backbones.internvl25 import LoadedInternVL25

    ids = tokenizer.get_vocab()
    config = InternVLConfig(
        text_config=LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=ids["<s>"],
            eos_token_id=ids["<|im_end|>"],
            pad_token_id=ids["</s>"],
        ),
        vision_config=InternVLVisionConfig(
            hidden_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            attention_bias=True,
            intermediate_size=512,
            image_size=112,
            patch_size=14,
        ),
        image_token_id=ids["<IMG_CONTEXT>"],
        image_seq_length=16,
        tie_word_embeddings=True,
    )
    config._attn_implementation = register()
    model = InternVLForConditionalGeneration(config)
    return model, LoadedInternVL25(model, tokenizer, 1, "You are a helpful assistant.")


def make_cogvlm2(tokenizer: Any) -> tuple[nn.Module, Any]:
    """A CogVLM2 with a visual expert in every layer, as wide and deep as the tiny Qwen2-VL; its square has 112 pixels."""
    from mathse.backbones.cogvlm2 import LoadedCogVLM2
    from mathse.backbones.cogvlm2_model import CogVLM2Config, CogVLM2ForCausalLM

    ids = tokenizer.get_vocab()
    config = CogVLM2Config(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_multi_query_heads=2,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=ids["<|begin_of_text|>"],
        eos_token_id=[ids["<|end_of_text|>"], ids["<|eot_id|>"]],
        pad_token_id=ids["<|reserved_special_token_0|>"],
        vision_config={
            "dropout_prob": 0.0,
            "hidden_act": "gelu",
            "in_channels": 3,
            "num_hidden_layers": 4,
            "hidden_size": 128,
            "patch_size": 14,
            "num_heads": 4,
            "intermediate_size": 512,
            "layer_norm_eps": 1e-6,
            "num_positions": 65,
            "image_size": 112,
        },
    )
    model = CogVLM2ForCausalLM(config)
    return model, LoadedCogVLM2(model, tokenizer, "tile")


@dataclass(frozen=True)
class Family:
    """What the recipe needs to know of a family.

    `special` tokens and their `roles` in the tokenizer; how to `make` a model and its `Loaded` with random weights; the cells that its
    picture tokens stand for (`views`); the pictures it is shown for a problem; how many features stand at each end of a picture
    that are no cell's (`ends`).
    """

    special: tuple[str, ...]
    roles: dict[str, str]
    make: Callable[[Any], tuple[nn.Module, Any]]
    views: Callable[[Drawn], Views]
    shown: Callable[[Any, Drawn], list[Image]] = lambda loaded, drawn: drawn.pictures
    ends: int = 0


def whole(drawn: Drawn) -> Views:
    """A token for each 28 pixels."""
    return [canvas.cells() for canvas in drawn.canvases]


def tiles(drawn: Drawn) -> Views:
    """Sixteen tokens for each picture, whatever its size."""
    return [canvas.cells(canvas.side // 4) for canvas in drawn.canvases]


def square(drawn: Drawn) -> Views:
    """Sixteen tokens for all pictures together, laid out in the cells of a square as `LoadedCogVLM2.one` does."""
    side, across = drawn.canvases[0].side, math.ceil(math.sqrt(len(drawn.canvases)))
    marks = [
        Mark(mark.text, mark.x + i % across * side, mark.y + i // across * side, mark.values)
        for i, canvas in enumerate(drawn.canvases)
        for mark in canvas.marks
    ]
    return [cells_of(marks, side * across, side * across // 4)]


FAMILIES = {
    "qwen2vl": Family(
        (
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<|vision_start|>",
            "<|vision_end|>",
            "<|vision_pad|>",
            "<|image_pad|>",
            "<|video_pad|>",
        ),
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        make_qwen2vl,
        whole,
    ),
    "internvl25": Family(
        ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"),
        {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"},
        make_internvl25,
        tiles,
    ),
    "cogvlm2": Family(
        ("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>"),
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        make_cogvlm2,
        square,
        lambda loaded, drawn: [loaded.one(drawn.pictures)],
        ends=1,  # boi and eoi
    ),
}


# ---- training ----


class Cells(nn.Module):
    """The heads of phase 1, thrown away afterwards: from a picture token, the first three marks of its cell, the numbers that they
    stand for (a bar's letter for the number above it, a hand for the number it points at), its row and its column.

    The towers know where a patch is only relative to others; asked for row and column, they learn to say it, and the language model can
    then look cells up, which it has to for transcribing. Asked for the numbers, they bring a name and its number together in one token,
    so that the language model can find the number where it finds the name. Without the places it transcribed much later; what the
    numbers give was not isolated (experiments/LOG.md).
    """

    DIGITS = 3  # of each of two numbers, as characters: none, 0, …, 9

    def __init__(self, hidden: int, marks: list[str]) -> None:
        super().__init__()
        self.index = {mark: i + 1 for i, mark in enumerate(marks)}
        self.marks = nn.Linear(hidden, 3 * (len(marks) + 1))
        self.numbers = nn.Linear(hidden, 2 * self.DIGITS * 11)
        self.place = nn.Linear(hidden, 2 * 4)

    def loss(self, features: Tensor, views: Views) -> Tensor:
        cells = [cell for view in views for cell in view]
        marks = torch.tensor([([self.index[mark.text] for mark in cell] + [0, 0, 0])[:3] for cell in cells])
        numbers = torch.tensor([self.digits([value for mark in cell for value in mark.values]) for cell in cells])
        sides = [side_of(view) for view in views]
        places = torch.tensor([(row, column) for side in sides for row in range(side) for column in range(side)])
        named = _entropy(self.marks(features).unflatten(-1, (3, -1)), marks)
        counted = _entropy(self.numbers(features).unflatten(-1, (2 * self.DIGITS, 11)), numbers)
        where = self.place(features).float().unflatten(-1, (2, 4))
        return named + counted + 0.3 * nn.functional.cross_entropy(where.flatten(0, 1), places.flatten())

    def digits(self, values: Sequence[int]) -> list[int]:
        """The first two numbers digit by digit, right-aligned; 0 for none, a digit's own number + 1 else."""
        written = "".join(str(value).rjust(self.DIGITS) for value in values[:2]).ljust(2 * self.DIGITS)
        return [0 if character == " " else int(character) + 1 for character in written]


def _entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The cross entropy of logits (N, slots, classes), empty slots counted a fifth."""
    each = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    weights = torch.where(targets.flatten() > 0, 1.0, 0.2)
    return (each * weights).sum() / weights.sum()


def learning_rate(done: float, peak: float) -> float:
    """Warm-up over the first 2 % of the work, then cosine to 2 % of the peak."""
    return peak * min(1.0, done / 0.02) * (0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, done))) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=sorted(FAMILIES), default="qwen2vl")
    parser.add_argument("--steps", type=int, default=3600, help="steps of phases 2 and 3 (32 pictures each)")
    parser.add_argument("--warmup-steps", type=int, default=3600, help="steps of phase 1 (cells only)")
    parser.add_argument(
        "--pool",
        type=int,
        default=60000,
        help="pictures drawn, each used several times with other exercises (60,000 take 8.5 GB of memory)",
    )
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="default: the package's folder of tiny weights")
    parser.add_argument("--work", type=Path, default=Path("runs/pretrain"), help="where the state is kept between runs")
    args = parser.parse_args()
    out, work = args.out or TINY / args.family, args.work / args.family
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    begun = time.time()
    pool = tuple(islice(stream(1000 + args.seed, "train"), args.pool))
    print(f"{len(pool)} pictures of {len(family_names())} families in {time.time() - begun:.0f} s", flush=True)
    family = FAMILIES[args.family]
    tokenizer = make_tokenizer(pool[:3000], family, work)
    tokenizer.save_pretrained(out)
    model, loaded = family.make(tokenizer)
    marks = sorted({mark.text for drawn in pool for view in family.views(drawn) for cell in view for mark in cell})
    cells = Cells(192, marks)
    everything = nn.ModuleDict({"model": model, "cells": cells})
    optimizers = make_optimizers(everything, args.rate)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    first = restore(work, everything, optimizers)
    total = args.warmup_steps + args.steps
    lessons = Lessons(loaded, family, pool, args.seed)
    average, since = 0.0, time.time()
    for step in range(first, total):
        rng = Random(f"{args.seed}/{step}")
        torch.manual_seed(args.seed * 1_000_003 + step)
        warm = step < args.warmup_steps
        done = step / args.warmup_steps if warm else (step - args.warmup_steps) / args.steps
        if warm:
            drawns = rng.sample(pool, BATCH)
        else:
            drawns, rows = lessons.at(step, done)
        for optimizer, rates in zip(optimizers, peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = learning_rate(done, peak)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = loaded.see([picture for drawn in drawns for picture in family.shown(loaded, drawn)])
            seen = torch.cat([feature[family.ends : len(feature) - family.ends] for feature in features])
            loss = cells.loss(seen, [view for drawn in drawns for view in family.views(drawn)])
            if not warm:
                batch = loaded.batch(rows, side="right", features=features)
                language = loaded.loss(batch) / (batch.labels[:, 1:] != -100).sum()
                loss = language + 0.3 * loss
                if done >= COMPARE_FROM:
                    texts = loaded.batch([loaded.encode(comparison(rng)) for _ in range(BATCH)], side="right")
                    loss = loss + 0.5 * loaded.loss(texts) / (texts.labels[:, 1:] != -100).sum()
        everything.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(everything.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        value = (loss if warm else language).item()
        average = value if step == first or step == args.warmup_steps else 0.98 * average + 0.02 * value
        if (step + 1) % 50 == 0:
            rate, since = 50 / (time.time() - since), time.time()
            what, end = ("cells", args.warmup_steps) if warm else ("lessons", total)
            print(
                f"step {step + 1}/{end}  {what} loss {average:.3f}  {rate:.2f} steps/s  "
                f"{(end - step) / rate / 60:.0f} min of {what} left",
                flush=True,
            )
        if (step + 1) % 200 == 0 or step + 1 == total:
            save(work, everything, optimizers, step + 1)
        if not warm and (step + 1) % 600 == 0:
            print("reads", json.dumps(reading_accuracy(loaded, args.seed, 20)), flush=True)
            since = time.time()
    finish(args, out, model, loaded, total, time.time() - begun)


class Lessons:
    """The rows of each step, of similar length: a function of seed and step alone, so that a resumed run sees the same ones."""

    def __init__(self, loaded: Loaded, family: Family, pool: Sequence[Drawn], seed: int) -> None:
        self.loaded, self.family, self.pool, self.seed = loaded, family, pool, seed
        self.group = -1
        self.batches: list[list[tuple[Drawn, Row]]] = []

    def at(self, step: int, progress: float) -> tuple[list[Drawn], list[Row]]:
        """The pictures and lessons of one step. Rows are drawn for a group of steps at once and sorted by length."""
        group, place = divmod(step, GROUP)
        if group != self.group:
            rng = Random(f"{self.seed}/{group}")
            chosen = rng.sample(self.pool, BATCH * GROUP)
            rows = [
                (drawn, self.loaded.encode(lesson(drawn, self.family.views(drawn), rng, progress))) for drawn in chosen
            ]
            rows.sort(key=lambda pair: len(pair[1]))
            self.batches = [rows[i * BATCH : (i + 1) * BATCH] for i in range(GROUP)]
            rng.shuffle(self.batches)
            self.group = group
        drawns, rows_of_step = zip(*self.batches[place], strict=True)
        return list(drawns), list(rows_of_step)


def make_optimizers(modules: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices of the layers, AdamW at half its rate for all else.

    After 1,000 steps of cells the tower read 88 % of test digits with Muon, 62 % with AdamW (experiments/LOG.md).
    """
    outer = ("embed_tokens", "lm_head", "cells.")
    matrices, vectors, rest = [], [], []
    for name, parameter in modules.named_parameters():
        if parameter.ndim == 2 and not any(part in name for part in outer):
            matrices.append(parameter)
        else:
            (rest if parameter.ndim > 1 else vectors).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(
            [{"params": rest, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
            lr=rate / 2,
            betas=(0.9, 0.98),
        ),
    ]


def save(work: Path, modules: nn.Module, optimizers: Sequence[torch.optim.Optimizer], step: int) -> None:
    """Write the whole state, then put it in place at once. Weights that have two names are written under both."""
    tensors = {f"model/{k}": v.contiguous().clone() for k, v in modules.state_dict().items()}
    for o, optimizer in enumerate(optimizers):
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{o}/{i}/{k}": torch.as_tensor(v).clone() for k, v in state.items()}
    save_file(tensors, work / "state.tmp", metadata={"step": str(step)})
    (work / "state.tmp").replace(work / "state.safetensors")


def restore(work: Path, modules: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Load the state that `save` left; the step to go on with (0 without one)."""
    from safetensors import safe_open

    path = work / "state.safetensors"
    if not path.exists():
        return 0
    tensors = load_file(path)
    modules.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
    for o, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"optimizer/{o}/"):
                _, _, index, name = key.split("/")
                state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    with safe_open(path, "pt") as file:
        return int(file.metadata()["step"])


def reading_accuracy(loaded: Loaded, seed: int, per_family: int) -> dict[str, float]:
    """Per family, the share of pictures of the test split of which up to two values, asked for by name, are both read right."""
    from mathse.generation import Sampling
    from mathse.generation.torch import complete

    greedy = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=60)
    scores = {}
    for family in family_names():
        drawns = list(islice(stream(2000 + seed, "test", [family]), per_family))
        asked = [
            Random(drawn.id).sample(drawn.program.readings, min(2, len(drawn.program.readings))) for drawn in drawns
        ]
        chats = [
            (Turn("user", f"Read {' and '.join(reading.where for reading in some)}.", tuple(drawn.pictures)),)
            for drawn, some in zip(drawns, asked, strict=True)
        ]
        right = 0
        for some, (text,) in zip(asked, complete(loaded, chats, greedy, seeds=[""] * len(chats)), strict=True):
            right += all(any(say.format(**{r.name: r.value}) in text.text for say in r.says) for r in some)
        scores[family] = round(right / len(drawns), 3)
    scores["all"] = round(sum(scores.values()) / len(scores), 3)
    return scores


def finish(args: argparse.Namespace, out: Path, model: nn.Module, loaded: Loaded, steps: int, seconds: float) -> None:
    """Write weights, config and the card."""
    model.to(torch.bfloat16).save_pretrained(out)
    model.float()
    (out / "generation_config.json").unlink(missing_ok=True)
    files = sorted(
        path for path in out.iterdir() if path.suffix in (".safetensors", ".json") and path.name != "card.json"
    )
    card = {
        "family": args.family,
        "command": f"python experiments/pretrain_tiny.py --family {args.family} --warmup-steps {args.warmup_steps} "
        f"--steps {args.steps} --pool {args.pool} --rate {args.rate} --seed {args.seed}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "seconds_of_last_run": round(seconds),
        "taught": "cells, transcription, description, reading by name, checking, arithmetic in numbers and words, comparing, repeating; "
        "no figure's question answered, no solution",
        "reads_test_pictures": reading_accuracy(loaded, args.seed, 100),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
