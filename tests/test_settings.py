"""Settings are checked when they are built, and say which field is wrong."""

from typing import Literal

import pytest

from mathse.settings import settings


@settings
class Oven:
    degrees: float
    minutes: int
    mode: Literal["grill", "bake"]
    trays: tuple[str, ...]
    note: str | None

    def check(self) -> None:
        if self.minutes < 0:
            raise ValueError("Oven.minutes should not be negative")


GOOD = {"degrees": 180.5, "minutes": 10, "mode": "bake", "trays": ["a"], "note": None}


def test_lists_become_tuples_and_whole_numbers_are_floats() -> None:
    oven = Oven(**{**GOOD, "degrees": 180})
    assert oven.trays == ("a",)
    assert isinstance(oven.degrees, float)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("degrees", "low", "Oven.degrees should be float, got 'low'"),
        ("minutes", 1.5, "Oven.minutes should be int, got 1.5"),
        ("minutes", True, "Oven.minutes should be int, got True"),
        ("mode", "fry", "Oven.mode should be one of 'grill', 'bake', got 'fry'"),
        ("trays", [1], "Oven.trays should be a list of str, got [1]"),
        ("note", 3, "Oven.note should be str or None, got 3"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(field: str, value: object, message: str) -> None:
    with pytest.raises(TypeError) as error:
        Oven(**{**GOOD, field: value})
    assert str(error.value) == message


def test_a_class_may_refuse_values_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="should not be negative"):
        Oven(**{**GOOD, "minutes": -1})


def test_fields_have_no_defaults_and_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Oven(degrees=1.0)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Oven(**GOOD).minutes = 3  # type: ignore[misc]
