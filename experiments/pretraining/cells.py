"""The heads of phase 1, which ask of each picture token what is in its cell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pretraining.views import Views, side_of


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
