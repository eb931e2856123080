"""What values of a small program may be, and what may be done with them: bounded in size, and nothing that reaches further."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

MOST, MOST_BITS = 500, 4000  # members of a list with all that they hold, or characters of a text; bits of a number

BUILTINS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (abs, bool, enumerate, float, int, len, list, max, min, set, sorted, str, sum, tuple, zip)
}
BUILTINS |= {
    "round": lambda x, *places: round(x, *(max(-20, min(n, 20)) for n in places))
}  # of 10^9 places it takes for ever
BUILTINS |= {"range": lambda *ends: [n for n, _ in zip(range(*ends), range(MOST + 1), strict=False)]}
MATH: dict[str, Any] = {"pi": math.pi, "e": math.e} | {
    f.__name__: f
    for f in (
        *(math.sin, math.cos, math.tan, math.asin, math.acos, math.atan, math.atan2, math.radians, math.degrees),
        *(math.sqrt, math.hypot, math.log, math.log10, math.exp, math.floor, math.ceil, math.gcd, math.fabs),
    )
}
METHODS: dict[type, tuple[str, ...]] = {
    list: ("append", "index", "count", "sort"),
    dict: ("keys", "values", "items", "get"),
    str: ("lower", "upper", "strip", "count", "index"),
}
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.USub: lambda _, a: -a,
    ast.UAdd: lambda _, a: +a,
    ast.Not: lambda _, a: not a,
}
FORMAT = re.compile(r"\.?\d{0,2}[fdge%]?")


class NotFollowed(Exception):
    """The program has something that is not followed, or goes too far."""


def bounded(value: Any) -> Any:
    """The value. Raises NotFollowed where it is too large, or nothing that a value may be."""
    left, todo = MOST, [value]
    while todo:
        one = todo.pop()
        left -= 1
        if isinstance(one, str):
            left -= len(one)
        elif isinstance(one, int) and one.bit_length() > MOST_BITS:
            left = -1
        elif isinstance(one, (list, tuple, set, dict)):
            left -= len(one)
            todo += [*one, *one.values()] if isinstance(one, dict) else one
        elif not isinstance(one, (int, float, type(None))):
            raise NotFollowed
        if left < 0:
            raise NotFollowed
    return value


def binary(op: ast.operator, a: Any, b: Any) -> Any:
    """What an operator makes of two values. Raises NotFollowed for what could take long."""
    if isinstance(op, ast.Pow):
        if not isinstance(a, (int, float)) or (
            isinstance(a, int) and isinstance(b, int) and a.bit_length() * abs(b) > MOST_BITS
        ):
            raise NotFollowed
        return a**b
    if isinstance(op, ast.Mult):
        many = a if isinstance(a, int) else b
        if not (isinstance(a, (int, float)) and isinstance(b, (int, float))) and not 0 <= int(many) <= MOST:
            raise NotFollowed
        return a * b
    if isinstance(op, ast.Mod):
        if isinstance(a, str):
            raise NotFollowed
        return a % b
    return bounded(OPERATORS[type(op)](a, b))
