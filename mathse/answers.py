"""The final answer out of a solution, and whether two answers are equal.

Most answers are numbers, letters and words, and are compared here, exactly. What is left and looks like a formula goes
to math-verify, which can hang or eat all memory: it runs in one worker process, which is killed when time is up. It is
given LaTeX only: its reader of plain expressions evaluates Python code, its reader of LaTeX is a grammar.

>>> extract("5 + 7 = 12. The answer to this problem is 12.", choices=("10", "12"))
'B'
>>> equal("3/4", "0.75")
True
"""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import threading
from collections.abc import Sequence
from fractions import Fraction
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType

__all__ = ["Grader", "equal", "extract"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST_ANSWER = 200  # characters; no answer is longer, and what is longer is only ever compared as a string

# ---- extraction ----------------------------------------------------------------------------------------------------

SENTINEL = re.compile(r"the answer to this problem is|(?:这道题的|最终)?答案(?:是|为)", re.IGNORECASE)
FINAL_ANSWER = re.compile(r"\bfinal answer\**\s*[:：]", re.IGNORECASE)
ANSWER = re.compile(r"\banswer\**\s*[:：]|答案\s*[:：]", re.IGNORECASE)
BOXED_OR_BRACE = re.compile(r"\\boxed\s*\{|\\.|[{}]")

OPENING = re.compile(r"(?:[\s:：$*`]|\\[(\[])*")  # may span lines: an answer is often displayed under its sentence
# A full stop ends an answer, a decimal point does not; a Chinese comma does, unless it stands between two numbers.
ENDING = re.compile(r"\n|\.(?=\s)|[。；]|，(?!\s*[-\d])")

OPTION = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:choice|option|answer)\s*(?:is\s*)?|选项?\s*)?"
    r"(?:[(（\[](?P<bracketed>[a-z])[)）\]](?:[\w\s.:：、].*)?|(?P<bare>[a-z])(?:[.):：、].*)?)",
    re.IGNORECASE | re.DOTALL,
)
MENTION = re.compile(r"(?:(?i:choice|option)|选项?)\s*[(（]?([A-Z])(?![A-Za-z0-9])")


def extract(text: str, choices: Sequence[str] = ()) -> str | None:
    """The final answer that a solution states, or None if it states none.

    With `choices` it is the letter of the choice meant, or what was said where that is none of the choices.
    """
    answer = _after(SENTINEL, text) or _boxed(text) or _after(FINAL_ANSWER, text) or _after(ANSWER, text)
    return (answer and _letter(answer, choices)) or answer


def _after(phrase: re.Pattern[str], text: str) -> str | None:
    """What follows the last `phrase` that anything follows."""
    for match in reversed(list(phrase.finditer(text))):
        opening = OPENING.match(text, match.end())
        assert opening, "OPENING matches the empty string"
        ending = ENDING.search(text, opening.end())
        said = text[opening.end() : ending.start() if ending else len(text)]
        if answer := _boxed(said) or _bare(said):
            return answer
    return None


def _boxed(text: str) -> str | None:
    r"""What the last closed `\boxed{}` holds, the inner one of two nested."""
    opened: list[int | None] = []  # where the content of each open brace starts, None for a brace that is no box
    last: tuple[int, int] | None = None
    for match in BOXED_OR_BRACE.finditer(text):
        token = match.group()
        if token.endswith("{") and token != r"\{":
            opened.append(match.end() if len(token) > 1 else None)
        elif token == "}" and opened:
            start = opened.pop()
            if start is not None and (last is None or start > last[0]):
                last = (start, match.start())
    return (_bare(text[slice(*last)]) or None) if last else None


def _bare(text: str) -> str:
    """`text` without the marks and the full stop around it."""
    text = text.strip().rstrip(".。").strip(" \t\n$*`").rstrip(".。")
    return text.removeprefix(r"\(").removesuffix(r"\)").removeprefix(r"\[").removesuffix(r"\]").strip()


def _letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that `text` names or whose value it is."""
    if not choices or len(text) > LONGEST_ANSWER:
        return None
    letters = LETTERS[: len(choices)]
    named = OPTION.fullmatch(_plain(text))
    if named:
        letter = named["bracketed"] or named["bare"]
        # "b" may be a side of the triangle and a choice's value; the letters of choices are capitals
        if letter.upper() in letters and (letter.isupper() or text not in choices):
            return letter.upper()
    for letter, choice in zip(letters, choices, strict=False):
        if _plain(choice) == _plain(text):
            return letter
    for letter, choice in zip(letters, choices, strict=False):
        if _decide(choice, text):
            return letter
    mentioned = set(MENTION.findall(text)) & set(letters)
    return mentioned.pop() if len(mentioned) == 1 else None


# ---- equality ------------------------------------------------------------------------------------------------------


def equal(reference: str, answer: str, choices: Sequence[str] = (), *, grader: Grader | None = None) -> bool:
    """Whether `answer` says the same as `reference`; with `choices` each may be a letter or a choice's value.

    Units count where both have one. A percentage is its value or its number: "50%" equals "0.5" and "50".
    A comparison that outlives the grader's limit is not equal. `grader` is one shared by the process unless given.
    """
    letters = _letter(reference, choices), _letter(answer, choices)
    if all(letters):
        return letters[0] == letters[1]
    # one of the two is a choice's value in a writing that only math-verify may know: compare values
    reference, answer = (
        choices[LETTERS.index(letter)] if letter else text
        for letter, text in zip(letters, (reference, answer), strict=True)
    )
    decided = _decide(reference, answer)
    return (grader or _shared).equal(_latex(reference), _latex(answer)) if decided is None else decided


def _decide(reference: str, answer: str) -> bool | None:
    """Whether the two are equal as strings or numbers, or None if it takes algebra to know."""
    if len(reference) > LONGEST_ANSWER or len(answer) > LONGEST_ANSWER:
        return reference.split() == answer.split()
    left, right = _plain(reference), _plain(answer)
    if bool(ASSIGNED.match(left)) != bool(ASSIGNED.match(right)):  # "x = 5" answers "5", but not "y = 5"
        left, right = ASSIGNED.sub("", left), ASSIGNED.sub("", right)
    if not left or not right:
        return False
    if left.casefold() == right.casefold():
        return True
    numbers = _number(left), _number(right)
    if numbers[0] and numbers[1]:
        return _same_number(*numbers[0], *numbers[1])
    return None if _is_formula(left) and _is_formula(right) else False


ASSIGNED = re.compile(r"(?:\\?angle\s*|[∠△])?[A-Za-z]{1,4}\s*=\s*(?=[^=]+$)")

SIGNS = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "（": "(",
        "）": ")",
        "，": ",",
        "：": ":",
        "．": ".",
        "％": "%",
        "º": "°",
        "²": "^2",
        "³": "^3",
    }
)
REWRITES = [
    (re.compile(r"\\(?:left|right|displaystyle|[,;!:])(?![a-z])"), ""),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree|\\circ"), "°"),
    (re.compile(r"\\([%$])"), r"\1"),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?<!\w) | (?!\w)"), ""),  # a space between words and between digits means something
    (re.compile(r"^0(?=[0-9]:)"), ""),  # 07:35
]


def _plain(text: str) -> str:
    """`text` in one writing: no marks around it, plain signs, no LaTeX layout."""
    text = _bare(text).translate(SIGNS)
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text.strip("$")


FRACTION = re.compile(
    r"\\frac\s*(?:\{\s*(?P<top>-?[0-9.,]+)\s*\}\s*\{\s*(?P<bottom>[0-9.,]+)\s*\}|(?P<one>[0-9])\s*(?P<other>[0-9]))"
)
DIGITS = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
NUMBER = re.compile(
    rf"(?P<sign>[-+]?) ?(?:(?P<whole>[0-9]+) (?=[0-9]+/))?(?P<top>{DIGITS})(?:/(?P<bottom>{DIGITS}))?(?P<unit>.*)"
)

_UNITS = {
    "%": "percent",
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
    "元": "yuan",
    "unit": "units",
}
UNITS = {word: unit for unit, words in _UNITS.items() for word in (unit, *words.split())}
UNIT = re.compile(
    r"(?P<power>square|sq\.?|cubic|平方|立方)? ?(?P<name>[^\W\d_]+|°[cf]?|[%$])(?:\^\{?(?P<exponent>[23])\}?)?"
)
POWERS = {"square": "2", "sq": "2", "sq.": "2", "平方": "2", "cubic": "3", "立方": "3"}


def _number(text: str) -> tuple[Fraction, str] | None:
    """The number and the unit ("" for none) that a plain text is, or None if it is more or something else."""
    flat = FRACTION.sub(lambda m: f" {m['top'] or m['one']}/{m['bottom'] or m['other']} ", text)
    match = NUMBER.fullmatch(flat.strip())
    if not match:
        return None
    unit = _unit(match["unit"]) if match["unit"] else ""
    bottom = Fraction((match["bottom"] or "1").replace(",", ""))
    if unit is None or not bottom:
        return None
    value = Fraction(match["whole"] or 0) + Fraction(match["top"].replace(",", "")) / bottom
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


def _same_number(left: Fraction, left_unit: str, right: Fraction, right_unit: str) -> bool:
    if left_unit and right_unit and left_unit != right_unit:
        return False
    if left == right:
        return True
    if left_unit == right_unit:
        return False
    return (left_unit == "%" and left / 100 == right) or (right_unit == "%" and right / 100 == left)


FUNCTIONS = "arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|exp|pi"
COMMANDS = {
    *FUNCTIONS.split("|"),
    *[
        "frac",
        "sqrt",
        "cdot",
        "times",
        "div",
        "pm",
        "left",
        "right",
        "le",
        "leq",
        "ge",
        "geq",
        "ne",
        "neq",
        "lt",
        "gt",
        "infty",
        "cup",
        "cap",
        "in",
        "or",
        "and",
    ],
    *["alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "phi", "omega"],
}
# No integrals, sums or limits: an answer is a value, and they are the cheapest way to keep sympy busy.
FORMULA = re.compile(r"[0-9A-Za-z\s+\-*/^_=<>()\[\]{}|.,;!\\°π√×÷·≤≥≠±∞]+")


def _is_formula(text: str) -> bool:
    """Whether a plain text has to do with calculating: allowed characters, no words, no names of points."""
    # math-verify would read a word as a product of letters, and so find "red" equal to "der" and AB to BA
    return bool(
        FORMULA.fullmatch(text)
        and not re.search(r"[0-9] [0-9]", text)  # "1 2" it would read as 1 + 2
        and re.search(r"[0-9+\-*/^=<>√π]|\\[a-z]", text)
        and all(
            len(word) == 1 or word in COMMANDS or (len(word) <= 3 and word.islower())
            for word in re.findall(r"[A-Za-z]+", text)
        )
    )


def _latex(text: str) -> str:
    """A formula in the LaTeX that math-verify reads."""
    text = _plain(text).replace("**", "^").replace("°", r"^\circ ")
    text = re.sub(r"(?:√|(?<![A-Za-z])\\?sqrt)\s*([0-9]+|[a-z])", r"\\sqrt{\1}", text)
    text = re.sub(r"(?:√|(?<![A-Za-z])\\?sqrt)\s*\(", "sqrt(", text)  # math-verify reads sqrt(3), not \sqrt(3)
    return re.sub(rf"(?<![\\A-Za-z])({FUNCTIONS})(?![A-Za-z])", r"\\\1 ", text)


# ---- the worker ----------------------------------------------------------------------------------------------------


class Grader:
    """math-verify in a process of its own, which is killed and started again when a comparison takes too long.

    The process starts at the first comparison and ends with `close`, the `with` block or the program. Threads may share
    a grader: they take turns. `timeouts` counts the comparisons that were cut off.
    """

    MEMORY = 2 << 30  # bytes that a comparison may take
    START = 120.0  # seconds that importing sympy may take on a busy machine

    def __init__(self, *, seconds: float = 3.0) -> None:
        self.seconds = seconds
        self.timeouts = 0
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Grader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def equal(self, reference: str, answer: str) -> bool:
        """Whether math-verify finds two LaTeX formulas equal within the time limit."""
        with self._lock:
            connection = self._started()
            try:
                connection.send((reference, answer))
                if connection.poll(self.seconds):
                    return bool(connection.recv())
            except (EOFError, OSError):
                pass  # the worker died of its own limits, or was killed from outside
            except BaseException:
                self._stop()  # Ctrl-C between question and answer: the next one must not read this one's answer
                raise
            self.timeouts += 1
            self._stop()
            return False

    def close(self) -> None:
        """Ends the worker; a later comparison starts a new one."""
        with self._lock:
            self._stop()

    def _started(self) -> Connection:
        if self._connection and self._process and self._process.is_alive():
            return self._connection
        self._stop()
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        # a daemon, so that multiprocessing ends it when the program ends
        self._process = spawn.Process(target=_work, args=(theirs, self.MEMORY, self.seconds), daemon=True)
        self._process.start()
        theirs.close()  # else the death of the worker would not be seen as the end of the pipe
        with contextlib.suppress(EOFError, OSError):
            if self._connection.poll(self.START) and self._connection.recv():
                return self._connection
        self._stop()
        raise RuntimeError(
            "the process that compares formulas did not start (its error is printed above). Is math-verify[antlr4_9_3] "
            'installed, and does the main script guard what it runs with `if __name__ == "__main__"`?'
        )

    def _stop(self) -> None:
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.kill()
            self._process.join()
        self._connection = self._process = None


_shared = Grader()


def _work(connection: Connection, memory: int, seconds: float) -> None:
    """The worker: answers each pair of formulas with whether they are equal, until the other end closes."""
    import logging
    import resource
    import signal

    from latex2sympy2_extended import NormalizationConfig
    from math_verify import parse, verify
    from math_verify.parser import LatexExtractionConfig

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    logging.disable()  # math-verify warns that its own timeouts are off
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    # its units are off: they would take the h from 2h
    normal = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
    latex_only = [LatexExtractionConfig(normalization_config=normal)]

    def read(formula: str) -> list[object]:
        return list(
            parse(f"${formula}$", extraction_config=latex_only, fallback_mode="no_fallback", parsing_timeout=None)
        )

    verify(read("1"), read(r"\frac{2}{2}"), timeout_seconds=None)  # the first call builds tables
    connection.send(True)
    with contextlib.suppress(EOFError):
        while True:
            reference, answer = connection.recv()
            # should the parent have been killed, nobody kills us: the CPU limit does, a little after the deadline
            used = resource.getrusage(resource.RUSAGE_SELF)
            soft = int(used.ru_utime + used.ru_stime + seconds) + 2
            resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
            connection.send(bool(verify(read(reference), read(answer), timeout_seconds=None)))
