"""The tokenizer of a family's tiny member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from mathse.feedback.asking import JUDGE
from mathse.figures import Drawn
from mathse.steps.generate import SOLVE
from pretraining.arithmetic import comparison
from pretraining.families import VOCABULARY, Family
from pretraining.lessons import lesson
from pretraining.views import Views

PROMPT_WORDS = (
    '{"status": "CORRECT", "error_step": null, "error_analysis": null}',
    '{"status": "WRONG", "error_step": "Step 1", "error_analysis": "The calculation is wrong. Look at the number again."}',
    "Step 1: \nStep 2: \nStep 3: \nStep 4: \nStep 5: \nThe answer to this problem is 1.",
)


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
