"""One writing for an answer: without the marks around it, with plain signs instead of LaTeX layout."""

from __future__ import annotations

import re

LONGEST_ANSWER = 200  # characters; no answer is longer, and what is longer is only ever compared as a string


def bare(text: str) -> str:
    """`text` without the marks and the full stop around it."""
    text = text.strip().rstrip(".。").strip(" \t\n$*`").rstrip(".。")
    return text.removeprefix(r"\(").removesuffix(r"\)").removeprefix(r"\[").removesuffix(r"\]").strip()


BOXED_OR_BRACE = re.compile(r"\\boxed\s*\{|\\.|[{}]")


def boxed(text: str) -> str | None:
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
    return (bare(text[slice(*last)]) or None) if last else None


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
    (re.compile(r"\{,\}|,\\!\s*"), ","),  # 14{,}916
    (re.compile(r"(?<=[0-9]), (?=[0-9]{3}(?![0-9]))"), ",+"),  # "32, 349" is two numbers, "32,349" is one
    (re.compile(r"\\\\(?=(?:[dt]?frac|sqrt|left|right|[lg]eq?|neq?|cdot|times|pi)\b)"), r"\\"),  # escaped twice
    (re.compile(r"\\approx(?![a-z])"), "≈"),
    (re.compile(r"\\(?:left|right|displaystyle|[,;!:])(?![a-z])"), ""),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree|\\circ"), "°"),
    (re.compile(r"\\([%$])"), r"\1"),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?<!\w) | (?!\w)"), ""),  # a space between words and between digits means something
    (re.compile(r"^0(?=[0-9]:)"), ""),  # 07:35
]


def plain(text: str) -> str:
    """`text` in one writing: no marks around it, plain signs, no LaTeX layout."""
    text = bare(text).translate(SIGNS)
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text.strip("$")
