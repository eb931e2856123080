"""How well a base reads pictures."""

from __future__ import annotations

from itertools import islice
from random import Random

from mathse.backbones import Loaded
from mathse.figures import family_names, stream
from mathse.generation import Sampling
from mathse.generation.torch import complete
from mathse.types import Turn


def reading_accuracy(loaded: Loaded, seed: int, per_family: int) -> dict[str, float]:
    """Per family, the share of pictures of the test split of which up to two values, asked for by name, are both read right."""
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
