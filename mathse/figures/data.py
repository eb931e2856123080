"""Figures as a source of problems (`data=figures`)."""

from __future__ import annotations

import functools
import hashlib
from itertools import islice
from pathlib import Path
from typing import Literal

from PIL.PngImagePlugin import PngInfo

from mathse.figures import PROGRAM_CHUNK, Drawn, family_names, stream
from mathse.progress import progress
from mathse.settings import Positive, settings
from mathse.types import Problem


@settings
class Figures:
    """`size` problems of one split, the families in turn; `families` empty means all of them."""

    size: Positive
    seed: int
    split: Literal["train", "test"]
    families: tuple[str, ...]

    def check(self) -> None:
        unknown = set(self.families) - set(family_names())
        if unknown:
            raise ValueError(
                f"data.families: there is no {sorted(unknown)[0]!r}; the families are {', '.join(family_names())}"
            )

    def recipe(self) -> dict[str, str]:
        """What the programs draw today, by a sample of it: a family that changes makes other problems under the same settings."""
        return {"drawn": fingerprint()}

    def apart_from(self, other: object) -> bool:
        """Whether none of its problems can be one of the other's: the splits share no picture and no numbers with their question."""
        return isinstance(other, Figures) and self.split != other.split

    def write(self, out: Path) -> list[Problem]:
        """Draw the problems; pictures go to `out/images`, named by the problem."""
        (out / "images").mkdir(exist_ok=True)
        problems = []
        with progress("drawing", self.size, "problems") as shown:
            for drawn in islice(stream(self.seed, self.split, list(self.families)), self.size):
                problems.append(save(drawn, out / "images"))
                shown.advance(1)
        return problems


@functools.cache
def fingerprint() -> str:
    """A hash of the first few problems of every family, pixels, questions and solutions."""
    some = islice(stream(0, "train"), 8 * len(family_names()))
    return hashlib.sha256("".join(drawn.id + drawn.program.to_json() for drawn in some).encode()).hexdigest()[:16]


def save(drawn: Drawn, folder: Path) -> Problem:
    """Write the pictures, each with its program in a PNG text chunk; the problem that shows them."""
    program = drawn.program
    chunk = PngInfo()
    chunk.add_text(PROGRAM_CHUNK, program.to_json())
    paths = [folder / f"{drawn.id}-{i}.png" for i in range(len(drawn.pictures))]
    for path, picture in zip(paths, drawn.pictures, strict=True):
        picture.save(path, pnginfo=chunk)
    return Problem(
        drawn.id,
        program.question,
        tuple(str(path) for path in paths),
        program.answer,
        program.choices,
        source=program.family,
        level=program.level,
    )
