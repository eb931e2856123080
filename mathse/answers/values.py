"""The value of a LaTeX number, by a parser of its own: `value(r"2\\sqrt{3}+\\frac{\\pi}{2}")`. Nothing is evaluated as code.

What MathVision's authors leave to latex2sympy and Python's `eval` is arithmetic on constants; this is that arithmetic.
Letters have no value, and neither has what is too long, too deep, too large or not real.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

LONGEST, DEEPEST = 200, 30
MOST_BITS = 20_000  # of a power that is computed exactly: (3^1008-1)/3^1009 overflows a float on the way to 1/3
Number = Fraction | float

SKIPPED = r"\s+|\$|\\[,;:!]|\\(?:left|right|displaystyle|limits|quad)(?![a-z])"
TOKEN = re.compile(
    rf"(?:{SKIPPED})*(?:(?P<number>[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<command>\\[a-zA-Z]+)|(?P<sign>\\%|[-+*/:^!()\[\]{}|=<>,;])|(?P<other>\S))"
)
TIMES = {"*", r"\times", r"\cdot"}
OVER = {"/", ":", r"\div"}
CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|"}
FUNCTIONS: dict[str, Callable[[float], float]] = {
    r"\sin": math.sin,
    r"\cos": math.cos,
    r"\tan": math.tan,
    r"\cot": lambda x: 1 / math.tan(x),
    r"\sec": lambda x: 1 / math.cos(x),
    r"\csc": lambda x: 1 / math.sin(x),
    r"\arcsin": math.asin,
    r"\arccos": math.acos,
    r"\arctan": math.atan,
    r"\ln": math.log,
    r"\log": math.log10,
    r"\exp": math.exp,
}


def value(text: str) -> float | None:
    """The real number that the text stands for, or None if it stands for none. A closing bracket too many ends it."""
    if len(text) > LONGEST:
        return None
    try:
        reader = _Reader(text)
        result = float(reader.sum())
        if reader.next not in (None, ")", "]", "}"):
            return None
    except (_NoNumber, ArithmeticError, ValueError, TypeError):
        return None
    return result if math.isfinite(result) else None


def _power(base: Number, exponent: Number) -> Number:
    """Exact for whole exponents that keep it small, else a real number. Raises ArithmeticError or TypeError for none."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(exponent) < MOST_BITS:
            return Fraction(base ** int(exponent))
    result = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise ArithmeticError("not real")
    return result


class _NoNumber(Exception):
    """The text is no number."""


class _Reader:
    """Recursive descent over the tokens of a text; `next` is the token to come, None at the end."""

    def __init__(self, text: str) -> None:
        text = re.sub(rf"(?:{SKIPPED})+$", "", text)
        text = re.sub(r"(\\[dt]?frac|\\sqrt)\s*([0-9])", r"\1{\2}", text)  # LaTeX takes one digit
        text = re.sub(r"(\\[dt]?frac\{[^{}]*\})\s*([0-9])", r"\1{\2}", text)
        self._tokens = list(TOKEN.finditer(text))
        if any(match["other"] for match in self._tokens):
            raise _NoNumber
        self._place = 0
        self._depth = 0

    @property
    def next(self) -> str | None:
        match = self._tokens[self._place] if self._place < len(self._tokens) else None
        return match[match.lastgroup or 0] if match else None

    def take(self, *expected: str) -> str:
        token = self.next
        if token is None or (expected and token not in expected):
            raise _NoNumber
        self._place += 1
        return token

    def sum(self) -> Number:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _NoNumber
        total = self.product()
        while self.next in ("+", "-"):
            total = total + self.product() if self.take() == "+" else total - self.product()
        self._depth -= 1
        return total

    def product(self) -> Number:
        result = self.signed()
        while self.next is not None:
            if self.next in TIMES:
                self.take()
                result *= self.signed()
            elif self.next in OVER:
                self.take()
                result /= self.signed()
            elif self._starts_factor():
                result *= self.power()
            else:
                break
        return result

    def signed(self) -> Number:
        sign = 1
        while self.next in ("+", "-"):
            sign *= -1 if self.take() == "-" else 1
        return sign * self.power()

    def power(self) -> Number:
        base = self.factor()
        while self.next in ("!", r"\%"):
            if self.take() == "!":
                base = Fraction(math.factorial(int(base))) if 0 <= base <= 170 and base == int(base) else math.nan
            else:
                base /= 100
        if self.next == "^":
            self.take()
            base = _power(base, self.argument())
        return base

    def factor(self) -> Number:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return Fraction(token.replace(",", ""))
        if token in CLOSING:
            inside = self.sum()
            self.take(CLOSING[token])
            return -inside if token == "|" and inside < 0 else inside
        if token == r"\pi":
            return math.pi
        if token in (r"\frac", r"\dfrac", r"\tfrac"):
            return self.argument() / self.argument()
        if token == r"\sqrt":
            degree: Number = Fraction(2)
            if self.next == "[":
                self.take()
                degree = self.sum()
                self.take("]")
            return _power(self.argument(), 1 / degree)
        if token in FUNCTIONS:
            exponent: Number = Fraction(1)
            if self.next == "^":
                self.take()
                exponent = self.argument()
            return _power(FUNCTIONS[token](float(self.power())), exponent)
        raise _NoNumber

    def argument(self) -> Number:
        """What stands in braces, or one sign or number without them."""
        if self.next in ("+", "-"):
            return self.signed()
        return self.factor()

    def _starts_factor(self) -> bool:
        token = self.next or ""
        return token[:1] in set("0123456789.({[") or (token[0] == "\\" and token not in TIMES | OVER)
