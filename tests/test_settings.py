"""Settings are checked when they are built, and say which field is wrong."""

from typing import Annotated, Any, Literal

import pytest

from mathse.settings import Count, Share, settings


@settings
class Oven:
    degrees: Annotated[float, ">= 20 < 300"]
    minutes: Count
    mode: Literal["grill", "bake"]
    trays: tuple[str, ...]
    note: str | None
    fan: Share | None

    def check(self) -> None:
        if self.mode == "grill" and self.minutes > 30:
            raise ValueError("Oven.minutes should be at most 30 under a grill")


GOOD = {"degrees": 180.5, "minutes": 10, "mode": "bake", "trays": ["a"], "note": None, "fan": None}


def test_lists_become_tuples_and_whole_numbers_are_floats() -> None:
    oven = Oven(**{**GOOD, "degrees": 180})
    assert oven.trays == ("a",)
    assert isinstance(oven.degrees, float)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("degrees", "low", "Oven.degrees should be float >= 20 and < 300, got 'low'"),
        ("minutes", 1.5, "Oven.minutes should be int >= 0, got 1.5"),
        ("minutes", True, "Oven.minutes should be int >= 0, got True"),
        ("fan", "on", "Oven.fan should be float >= 0 and <= 1 or None, got 'on'"),
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
    with pytest.raises(ValueError, match="at most 30 under a grill"):
        Oven(**{**GOOD, "mode": "grill", "minutes": 31})


@pytest.mark.parametrize(
    ("field", "refused", "taken"),
    [
        ("degrees", (19, 300, float("nan"), float("inf")), (20, 299.9)),
        ("minutes", (-1,), (0, 10**400)),
        ("fan", (-0.1, 1.1), (0, 1, None)),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_by_name(field: str, refused: Any, taken: Any) -> None:
    for value in refused:
        with pytest.raises(ValueError, match=rf"^Oven\.{field} should be .*, got {value}$"):
            Oven(**{**GOOD, field: value})
    for value in taken:
        Oven(**{**GOOD, field: value})


def test_fields_have_no_defaults_and_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Oven(degrees=1.0)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Oven(**GOOD).minutes = 3  # type: ignore[misc]
