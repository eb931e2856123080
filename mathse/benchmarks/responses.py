"""Responses that somebody stored: which problem each answers, and what is wrong with their file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mathse.benchmarks.scoring import Response, Scorable
from mathse.benchmarks.stored import rows_of
from mathse.data.files import Row
from mathse.types import Problem

FAULTS = ("unreadable", "foreign", "duplicate", "empty", "unextracted", "missing")


@dataclass
class Inputs:
    """The responses of a file by problem id, and what is wrong with the file, as the ids or lines concerned."""

    responses: dict[str, Response]
    problems: dict[str, list[str]]

    def counts(self) -> dict[str, dict[str, object]]:
        """How many of each, and the first ten."""
        return {kind: {"count": len(names), "first": names[:10]} for kind, names in self.problems.items() if names}

    def faults(self) -> list[str]:
        """`counts` in words, a line each."""
        return [
            f"{len(names)} {kind}: {', '.join(names[:10])}{' …' * (len(names) > 10)}"
            for kind, names in self.problems.items()
            if names
        ]


def read_responses(path: Path, benchmark: Scorable, problems: Sequence[Problem]) -> Inputs:
    """The first response to each problem; what is missing, twice, foreign, empty or unreadable is named.

    `unextracted`: its answer was not extracted, in a file that keeps extracted answers. Raises ValueError where no row of the file is
    a response to one of the problems.
    """
    known = {problem.id for problem in problems}
    found: dict[str, Response] = {}
    wrong: dict[str, list[str]] = {kind: [] for kind in FAULTS}
    fields: set[str] = set()
    for place, row in _readable(path, benchmark, wrong["unreadable"]):
        fields |= set(row)
        try:
            response = benchmark.response(row)
        except (KeyError, TypeError, AttributeError):
            wrong["unreadable"].append(place)
            continue
        if response.id not in known:
            wrong["foreign"].append(response.id)
        elif response.id in found:
            wrong["duplicate"].append(response.id)
        else:
            found[response.id] = response
            if not response.text.strip():
                wrong["empty"].append(response.id)
    if not found or not fields & {*benchmark.TEXT, benchmark.EXTRACTION, "solution"}:
        raise ValueError(
            f"{path}: no response to any of the {len(problems)} problems; is it a file of this benchmark? A row names its problem as "
            f"{' or '.join(benchmark.ID)} and its response as {' or '.join(benchmark.TEXT)}; this file has "
            f"{', '.join(sorted(fields)[:8]) or 'no rows'}"
            + (f", and problems such as {wrong['foreign'][0]!r} that are not there" if wrong["foreign"] else "")
        )
    if any(response.stored for response in found.values()):
        found = {key: replace(response, own=False) for key, response in found.items()}
        wrong["unextracted"] = [key for key, response in found.items() if response.stored is None]
    wrong["missing"] = [problem.id for problem in problems if problem.id not in found]
    return Inputs(found, wrong)


def _readable(path: Path, benchmark: Scorable, unreadable: list[str]) -> Iterable[tuple[str, Row]]:
    """The rows of a file; of one that is torn or in a wrong encoding, those of its lines that can be read."""
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    if by_id := _by_id(path, benchmark):
        return by_id
    try:
        return rows_of(path)
    except ValueError as error:
        rows = []
        for line_number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            try:
                row = json.loads(line.decode("utf-8-sig")) if line.strip() else None
            except (ValueError, RecursionError):
                unreadable.append(f"line {line_number}")
                continue
            if isinstance(row, dict):
                rows.append((f"line {line_number}", row))
            elif row is not None:
                unreadable.append(f"line {line_number}")
        if not rows:
            raise ValueError(str(error)) from error
        return rows


def _by_id(path: Path, benchmark: Scorable) -> list[tuple[str, Row]]:
    """The rows of a file that is one JSON object of rows, or of texts, by id, whatever its name; none of another."""
    with path.open("rb") as file:
        if not file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            return []
    try:
        whole = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return []
    if not isinstance(whole, dict) or set(whole) & {*benchmark.ID, "solution"}:
        return []
    rows = {key: {benchmark.TEXT[0]: row} if isinstance(row, str) else row for key, row in whole.items()}
    return [(f"row {key}", {benchmark.ID[0]: key, **row}) for key, row in rows.items() if isinstance(row, dict)]
