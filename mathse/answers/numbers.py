"""Numbers with and without a unit, as fractions: decimals, mixed numbers, percentages, Chinese numerals."""

from __future__ import annotations

import re
from fractions import Fraction

from mathse.answers.writing import LONGEST_ANSWER

FRACTION = re.compile(
    r"\\frac\s*(?:\{\s*(?P<top>-?[0-9.,]+)\s*\}\s*\{\s*(?P<bottom>[0-9.,]+)\s*\}|(?P<one>[0-9])\s*(?P<other>[0-9]))"
)
DIGITS = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?: [0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
NUMBER = re.compile(
    rf"(?P<sign>[-+]?) ?(?:(?P<whole>[0-9]+) (?=[0-9]+/))?(?P<top>{DIGITS})(?:/(?P<bottom>{DIGITS}))?(?P<unit>.*)"
)

NO_SEPARATORS = str.maketrans("", "", ", ")

_UNITS = {
    "%": "percent percents percentage pct",
    "°": "degree degrees deg 度",
    "°c": "℃ 摄氏度",
    "°f": "℉",
    "mm": "millimeter millimeters millimetre millimetres 毫米",
    "cm": "centimeter centimeters centimetre centimetres 厘米",
    "dm": "decimeter decimeters decimetre decimetres 分米",
    "m": "meter meters metre metres 米",
    "km": "kilometer kilometers kilometre kilometres 千米 公里",
    "in": "inch inches",
    "ft": "foot feet",
    "yd": "yard yards",
    "mi": "mile miles",
    "mg": "milligram milligrams 毫克",
    "g": "gram grams 克",
    "kg": "kilogram kilograms 千克 公斤",
    "lb": "lbs pound pounds",
    "oz": "ounce ounces",
    "ml": "milliliter milliliters millilitre millilitres 毫升",
    "l": "liter liters litre litres 升",
    "s": "sec secs second seconds 秒",
    "min": "mins minute minutes 分钟",
    "h": "hr hrs hour hours 小时",
    "day": "days 天",
    "week": "weeks",
    "year": "years 年",
    "$": "dollar dollars usd",
    "cent": "cents",
    "€": "euro euros eur",
    "元": "yuan",
    "unit": "units",
    "个": "",
}
UNITS = {word: unit for unit, words in _UNITS.items() for word in (unit, *words.split())}
UNIT = re.compile(
    r"(?P<power>square|sq\.?|cubic|平方|立方)? ?(?P<name>[^\W\d_]+|°[cf]?|[%$€])(?:\^\{?(?P<exponent>[23])\}?)?"
)
POWERS = {"square": "2", "sq": "2", "sq.": "2", "平方": "2", "cubic": "3", "立方": "3"}


def number(text: str) -> tuple[Fraction, str] | None:
    """The number and the unit ("" for none) that a plain text is, or None if it is more or something else."""
    if len(text) > LONGEST_ANSWER:
        return None
    flat = FRACTION.sub(lambda m: f" {m['top'] or m['one']}/{m['bottom'] or m['other']} ", text)
    match = NUMBER.fullmatch(flat.strip())
    if not match:
        return chinese(text)
    unit = _unit(match["unit"]) if match["unit"] else ""
    bottom = Fraction((match["bottom"] or "1").translate(NO_SEPARATORS))
    if unit is None or not bottom:
        return None
    value = Fraction(match["whole"] or 0) + Fraction(match["top"].translate(NO_SEPARATORS)) / bottom
    return (-value if match["sign"] == "-" else value), unit


def _unit(text: str) -> str | None:
    """The one name of the unit that follows a number, or None if that is no unit we know."""
    if re.match(r"[sghl](?![a-z])", text, re.IGNORECASE):  # "2h" may be twice the height, "2 h" is two hours
        return None
    names = []
    for part in re.split(r"/| per ", text.strip().casefold()):
        match = UNIT.fullmatch(part)
        if not match or match["name"] not in UNITS:
            return None
        exponent = match["exponent"] or POWERS.get(match["power"] or "", "")
        names.append(UNITS[match["name"]] + exponent)
    return "/".join(names)


def same_number(left: Fraction, left_unit: str, right: Fraction, right_unit: str) -> bool:
    """Whether two numbers are the same; units count where both have one, and 50% is 0.5 as well as 50."""
    if left_unit and right_unit and left_unit != right_unit:
        return False
    if left == right or _rounded(left, right) or _rounded(right, left):
        return True
    if left_unit == right_unit:
        return False
    return (left_unit == "%" and left / 100 == right) or (right_unit == "%" and right / 100 == left)


def _rounded(endless: Fraction, decimal: Fraction) -> bool:
    """Whether 0.083333 stands for 1/12: a fraction that no decimal can say, to six places."""
    return abs(endless - decimal) < Fraction(1, 2 * 10**6) and not _ends(endless) and _ends(decimal)


def _ends(value: Fraction) -> bool:
    """Whether a decimal can say the value: its denominator has no prime factors but 2 and 5."""
    return 10**LONGEST_ANSWER % value.denominator == 0


CHINESE_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
CHINESE_TENS = {"十": 10, "百": 100, "千": 1000}
CHINESE_WHOLE = "[零〇一二两三四五六七八九十百千万亿]{1,16}"
CHINESE = re.compile(
    rf"(?P<sign>负?)(?:(?P<bottom>{CHINESE_WHOLE})分之(?P<top>{CHINESE_WHOLE})"
    rf"|(?P<whole>{CHINESE_WHOLE})(?:点(?P<decimals>[零〇一二三四五六七八九]{{1,16}}))?)(?P<unit>.*)"
)


def chinese(text: str) -> tuple[Fraction, str] | None:
    """The number and the unit that Chinese numerals say: 三分之二, 百分之五十, 十二点五厘米."""
    match = CHINESE.fullmatch(text)
    if not match:
        return None
    unit = _unit(match["unit"]) if match["unit"] else ""
    if unit is None:
        return None
    if match["bottom"]:
        bottom = _chinese_whole(match["bottom"])
        if not bottom:
            return None
        value = Fraction(_chinese_whole(match["top"]), bottom)
    else:
        value = Fraction(_chinese_whole(match["whole"]))
        for place, sign in enumerate(match["decimals"] or "", start=1):
            value += Fraction(CHINESE_DIGITS[sign], 10**place)
    return (-value if match["sign"] else value), unit


def _chinese_whole(text: str) -> int:
    if not set(text) & {*CHINESE_TENS, "万", "亿"}:
        return int("".join(str(CHINESE_DIGITS[sign]) for sign in text))
    total = part = digit = 0  # what 亿 and 万 closed, the group that is being read, the digit before its 十 百 千
    for sign in text:
        if sign in CHINESE_DIGITS:
            digit = CHINESE_DIGITS[sign]
        elif sign in CHINESE_TENS:
            part += (digit or 1) * CHINESE_TENS[sign]
            digit = 0
        else:
            total = (total + part + digit) * (10**4 if sign == "万" else 10**8)
            part = digit = 0
    return total + part + digit
