"""A figure: what one call of a family's program made, before it becomes a problem."""

from __future__ import annotations

from dataclasses import dataclass

from mathse.figures.canvas import Canvas
from mathse.figures.program import Reading, Step


@dataclass
class Figure:
    """The pictures, the question, everything the pictures show (distractors too), and the steps of the solution.

    `wrong` lists tempting wrong answers for the multiple-choice form (numeric answers need none: they are made).
    """

    pictures: list[Canvas]
    question: str
    readings: list[Reading]
    steps: list[Step]
    wrong: tuple[str, ...] = ()
