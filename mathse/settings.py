"""`@settings`: a frozen, keyword-only dataclass whose fields are checked when it is built.

Values live in conf/, so fields have no defaults. A field of the wrong type, or out of its bounds (`Annotated[float, "> 0 <= 1"]`), is
refused with its name and what was given. Lists become tuples, whole numbers are taken for floats, nothing else is converted.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
import types
import typing
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(cls: type[T]) -> type[T]:
    """Make `cls` a settings class. A method `check(self)` of its own may raise ValueError for values that make no sense."""
    check = getattr(cls, "check", None)

    def post_init(self: Any) -> None:
        unbounded = typing.get_type_hints(type(self))
        for name, kind in hints(type(self)).items():
            value = getattr(self, name)
            fitted = fit(value, kind)
            if fitted is _MISFIT:
                wrong = TypeError if fit(value, unbounded[name]) is _MISFIT else ValueError
                raise wrong(f"{type(self).__name__}.{name} should be {spell(kind)}, got {value!r}{_fields(name, kind)}")
            object.__setattr__(self, name, fitted)
        if check:
            check(self)

    cls.__post_init__ = post_init  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


Count = Annotated[int, ">= 0"]
Positive = Annotated[int, ">= 1"]
Share = Annotated[float, ">= 0 <= 1"]

_MISFIT = object()
_BOUND = re.compile(r"([<>]=?) (\S+)")
_COMPARED = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def hints(cls: type) -> dict[str, Any]:
    """The fields of a settings class and their types, resolved."""
    resolved = typing.get_type_hints(cls, include_extras=True)
    return {field.name: resolved[field.name] for field in dataclasses.fields(cls)}


def fit(value: Any, kind: Any) -> Any:
    """`value` as the type asks for it (list to tuple, int to float), or a marker that it does not fit."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        fitted = fit(value, args[0])
        return fitted if fitted is not _MISFIT and _within(fitted, args[1]) else _MISFIT
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        fits = (fit(value, option) for option in args)
        return next((fitted for fitted in fits if fitted is not _MISFIT), _MISFIT)
    if origin is Literal:
        return value if value in args else _MISFIT
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return _MISFIT
        fitted = tuple(fit(member, args[0]) for member in value)
        return _MISFIT if any(member is _MISFIT for member in fitted) else fitted
    if origin is dict:
        return value if isinstance(value, dict) else _MISFIT
    if kind is type(None):
        return value if value is None else _MISFIT
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, bool):
        return _MISFIT
    if isinstance(kind, type) and getattr(kind, "_is_protocol", False):
        return value if dataclasses.is_dataclass(value) else _MISFIT
    return value if isinstance(kind, type) and isinstance(value, kind) else _MISFIT


def _within(number: float, bounds: str) -> bool:
    """Whether a number is within bounds, which nan and the infinities never are."""
    return abs(number) < math.inf and all(
        _COMPARED[sign](number, float(bound)) for sign, bound in _BOUND.findall(bounds)
    )


def _fields(name: str, kind: Any) -> str:
    """Where a value stands for a settings class: which fields can be set instead."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return ""
    return "; its fields are " + ", ".join(f"{name}.{field.name}" for field in dataclasses.fields(kind))


def spell(kind: Any) -> str:
    """A type in words: "int or None", "one of 'torch', 'vllm'", "float > 0 and <= 1"."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return f"{spell(args[0])} " + " and ".join(map(" ".join, _BOUND.findall(args[1])))
    if origin in (Union, types.UnionType):
        return " or ".join(spell(option) for option in args)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin is tuple:
        return f"a list of {spell(args[0])}"
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))
