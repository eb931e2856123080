"""What a model's tokens cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mathse.settings import settings

PICTURE = 1500  # tokens that a picture is taken to count where no price says how many at most


@settings
class Price:
    """Dollars for a million tokens: read, read from the endpoint's own cache, written; `picture`: most tokens of one picture."""

    input: float
    cached: float
    output: float
    picture: int

    def dollars(self, tokens_in: float, tokens_cached: float, tokens_out: float) -> float:
        """What a call costs; `tokens_cached` are those of `tokens_in` that the endpoint had cached."""
        fresh = tokens_in - tokens_cached
        return (fresh * self.input + tokens_cached * self.cached + tokens_out * self.output) / 1e6


def price_of(prices: Mapping[str, Any], model: str) -> Price | None:
    """The model's price; a dated snapshot has its model's. None where the table has neither. Raises ValueError for a bad row."""
    for name in (model, re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model)):
        if name in prices:
            try:
                return Price(**prices[name])
            except TypeError as error:
                raise ValueError(
                    f"teacher.prices.{name}: input, cached, output and picture are needed ({error})"
                ) from None
    return None
