"""A judge's words -> Verdict. What is stated is read; what is not, or is stated in two ways, is unreadable: never a guess.

Two forms with the same three fields: the JSON of the paper's ORM (arXiv 2511.06805, figures 5 to 11), be it fenced, single-quoted,
cut off or in the middle of prose, and the lines of free-text critics (MR-GSM8K, arXiv 2312.17080):

    {"status": "WRONG", "error_step": "Steps 2 and 4: …", "error_analysis": "…"}
    Step 1: … Final Judgement: wrong. First Error Step: 3. Error Analysis: …

A judge's words are hostile: nothing of them is evaluated, and every pattern takes time linear in the text.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from mathse.types import Part, Status, Verdict, parts_of, writable

READING = 2  # part of the recipe of whoever reads verdicts: raise it when the same words come to mean something else

Fields = dict[str, list[str]]  # what is said in each field, as often as it is said

KEY = re.compile(r"""(["'])(\w{1,40})\1\s*+:\s*+""")
VALUE = re.compile(
    r""""(?P<double>(?:[^"\\]|\\.)*+)(?P<closed>"?)"""
    r"""|'(?P<single>(?:[^'\\]|\\.|'(?!\s*+(?:[,}\]]|\Z)))*+)(?P<shut>'?)"""  # a quote that words follow is an apostrophe
    r"""|(?P<bare>\[[^\[\]{}]{1,200}+\]|[^\s"'{}\[\],]{1,40}+)(?=[\s,}\]])""",
    re.DOTALL,
)
BEHIND = re.compile(r"[^\S\n]*+(?:[,}\]\n]|\Z)")
LABEL = re.compile(
    r"(?<![a-z_])(?:(?P<status>final[ _]verdict|(?:final[ _])?judge?ment|verdict|status)"
    r"|(?P<error_step>(?:first[ _])?(?:error|wrong)[ _]step)"
    r"|(?P<error_analysis>error[ _](?:analysis|reason)))[ \t*_]*+[:：][\s*_]*+",
    re.IGNORECASE,
)
STATUS = re.compile(
    r"\W*+(?:(?:the |this )?(?:student's |final )?(?:solution|answer) is )?"
    r"(?:(?P<correct>correct|正确)|(?P<wrong>wrong|incorrect|not correct|错误|不正确))\W*+",
    re.IGNORECASE,
)

NUMBERS = r"(\d{1,4}(?:\s{0,3}(?:,|，|、|&|and|和)\s{0,3}\d{1,4}){0,20})"
NAMED = re.compile(rf"(?:\bsteps?|步骤|第)[\s_#]{{0,3}}{NUMBERS}(?!\d)", re.IGNORECASE)
ALONE = re.compile(rf"[\s\[(#\"'*]*+{NUMBERS}(?:[\s\]).\"'*]*+\Z|\s?[:：)])")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
ORDINAL = re.compile(rf"\b({'|'.join(ORDINALS)}) step\b", re.IGNORECASE)
NO_STEPS = "the solution has no steps"  # why a judge of steps was not asked
NOTHING = {"", "null", "none", "n/a", "无"}
LONGEST_STEP = 2000  # characters; what is longer names no step
SHORTEST_QUOTE = 4  # signs; what is shorter would be found by chance


def parse_verdict(text: str, by: str = "", solution: str = "") -> Verdict:
    """The verdict that a text states. With the `solution` it is about, the step is one of the solution's, as `steps_of` counts.

    >>> parse_verdict("{'status': 'WRONG', 'error_step': '7 * 4 = 30', 'err", solution="The width is 7. 7 * 4 = 30.").error_step
    2
    """
    text = writable(text)
    fields = _quoted(text)
    if "status" not in fields:
        fields = _labelled(text)
    statuses = {_status(said) for said in fields.get("status", [text])}
    status = statuses.pop() if len(statuses) == 1 else None
    named = set(fields.get("error_step", [""]))
    step = _step(next(iter(named)), solution) if len(named) == 1 else None
    if status == "wrong":
        return Verdict("wrong", step, next(iter(fields.get("error_analysis", [])), ""), by=by, raw=text)
    contradicts_itself = step is not None or len(named) > 1
    return Verdict("unreadable" if status is None or contradicts_itself else "correct", by=by, raw=text)


def settled(text: str, solution: str = "") -> Status | None:
    """The status that the words of a JSON verdict have settled, however they go on; None while it is open.

    Wrong and unreadable are settled by the field itself, correct only once the field of the step follows and names none, or the
    JSON ends: a judge that names a wrong step has not said correct. Of two statuses the first one settles it.
    """
    text = text[: max(map(text.rfind, ",}\n")) + 1]  # what no delimiter has ended yet may go on
    said: dict[str, str] = {}
    for name, words in _fields(text):
        if words is None and name in ("status", "error_step"):
            break
        said.setdefault(name, words or "")
    if "status" not in said:
        return None
    status = _status(said["status"])
    if status != "correct":
        return status or "unreadable"
    if "error_step" in said:
        return "correct" if _step(said["error_step"], solution) is None else "unreadable"
    return "correct" if 0 < text.count("}") == text.count("{") else None


def _quoted(text: str) -> Fields:
    """The fields of JSON, strict or not. A status or a step is empty where it is cut off ("Step 1" may have been 12) or goes on
    outside its quotes ("CORRECT" or "WRONG", as a prompt has it)."""
    fields: Fields = defaultdict(list)
    for name, said in _fields(text):
        fields[name].append(said or "")
    return fields


def _fields(text: str) -> Iterator[tuple[str, str | None]]:
    """The name of each field and its words, None where they are not whole; an analysis may be cut off."""
    at = 0
    while key := KEY.search(text, at):
        value = VALUE.match(text, key.end())
        at = value.end() if value else key.end()
        name = key[2].lower()
        whole = value is not None and (value["closed"] or value["shut"] or value["bare"]) and BEHIND.match(text, at)
        if value is None or not (whole or name == "error_analysis"):
            yield name, None
        else:
            said = value["bare"] or _unescaped(value["double"] or value["single"] or "", value["single"] is not None)
            yield name, _something(said)


def _unescaped(said: str, single: bool) -> str:
    """The words of a JSON string, or of the same in single quotes."""
    if single:
        said = re.sub(r'(?<!\\)"', r"\"", said.replace(r"\'", "'"))
    try:
        return writable(json.loads(f'"{said}"', strict=False))
    except ValueError:  # LaTeX with single backslashes, most often
        return said


def _labelled(text: str) -> Fields:
    """The fields of "Label: words": a status or a step ends with its line, an analysis with the next label."""
    fields: Fields = defaultdict(list)
    labels = list(LABEL.finditer(text))
    ends = [*(label.start() for label in labels[1:]), len(text)]
    for label, end in zip(labels, ends, strict=False):
        said, name = text[label.end() : end].strip(), str(label.lastgroup)
        fields[name].append(said if name == "error_analysis" else _something(said.partition("\n")[0]))
    return fields


def _something(said: str) -> str:
    return "" if said.strip(" .*_").lower() in NOTHING else said


def _status(said: str) -> Status | None:
    match = STATUS.fullmatch(said)
    return None if not match else "correct" if match["correct"] else "wrong"


def _step(said: str, solution: str) -> int | None:
    """The step that is named by number, in words or by what it says; None for none, or for one that the solution lacks."""
    said = said[: LONGEST_STEP + 1]
    steps = [part for part in parts_of(solution) if part.step]
    match = NAMED.search(said) or ALONE.match(said)
    ordinal = ORDINAL.search(said)
    if match:
        number = min(map(int, re.findall(r"\d+", match[1])))
    elif ordinal:
        number = ORDINALS.index(ordinal[1].lower()) + 1
    else:
        return _step_that_says(said, steps)
    names = [int(digits[0]) for part in steps if (digits := re.search(r"\d{1,4}", part.head))]
    if len(names) < len(steps) or any(a >= b for a, b in pairwise(names)):
        names = list(range(1, len(steps) + 1))  # the solution's own numbers name no step of it
    if not steps:
        return number or None
    return names.index(number) + 1 if number in names else None


def _step_that_says(said: str, steps: Sequence[Part]) -> int | None:
    """The one step that holds the quoted words, else the first of those that the words hold."""
    quote = _signs(said)
    if not SHORTEST_QUOTE <= len(quote) <= LONGEST_STEP:
        return None
    signs = [_signs(part.body) for part in steps]
    around = [i for i, step in enumerate(signs, start=1) if quote in step]
    within = [i for i, step in enumerate(signs, start=1) if len(step) >= SHORTEST_QUOTE and step in quote]
    return around[0] if len(around) == 1 else within[0] if within and not around else None


def _signs(text: str) -> str:
    """What a quotation does not change of a text: no case, spaces, quotation marks, sentence marks."""
    return "".join(sign for sign in text.casefold() if sign.isalnum() or sign in "+-*/=^<>%")
