"""`python -m mathse.check_table FILE`: what cannot be true in a table of accuracies.

FILE is CSV, or Markdown with any number of tables. Found are

    a percentage that no k of n gives (a column that goes over 100 holds none); n stands in a row or a column "n", in the
    column's name or in the heading above the table ("n=2000"), or is the known size of the benchmark named there
    an average ("avg", "average", "mean") or a sum ("sum", "total") that does not follow from the cells before it
    one row and column with two values in two tables of the file
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mathse.command import command, usage

SIZES = {
    "mathvl-test": 2000,
    "mathvista": 1000,
    "mathvista gps": 208,
    "gps": 208,
    "mathverse": 3940,
    "mathvision": 3040,
}
N = re.compile(r"\bn ?= ?([0-9][0-9,]*)")
CELL = re.compile(r"[+]?(-?[0-9]+(?:\.[0-9]+)?) ?%?")
MEANS, SUMS = ("avg", "average", "mean"), ("sum", "total")


@dataclass(frozen=True)
class Table:
    """A table: its rows, the columns' names first, and where it stands; `heading` is what is written above it."""

    rows: list[list[str]]
    line: int
    heading: str = ""


def tables_of(path: Path) -> list[Table]:
    """The tables of a CSV or Markdown file. Raises ValueError where there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    lines = text.splitlines()
    if path.suffix.lower() == ".csv":
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if any(row)]
        found = [Table(rows, 1)] if len(rows) > 1 else []
    else:
        found = list(_markdown(lines))
    if not found:
        raise ValueError(f"{path}: there is no table in it; it should be CSV, or Markdown with | cells |")
    return found


def _markdown(lines: Sequence[str]) -> Iterator[Table]:
    heading, rows = "", list[list[str]]()
    for number, line in enumerate([*lines, ""], start=1):
        if line.lstrip().startswith("|"):
            cells = [re.sub(r"[*_`]", "", cell).strip() for cell in line.strip().strip("|").split("|")]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                rows.append(cells)
            continue
        if len(rows) > 1:
            yield Table(rows, number - len(rows) - 1, heading)
        rows = []
        heading = line if line.startswith("#") else heading


def number(cell: str) -> Decimal | None:
    """The number that a cell is, or None. A note in brackets behind it is no part of it."""
    match = CELL.fullmatch(re.sub(r"\s*\(.*\)$", "", cell))
    return Decimal(match[1]) if match else None


def possible(percent: Decimal, n: int) -> bool:
    """Whether some k of n is this percentage, rounded as it is written; a zero at its end may be padding."""
    percent = percent.normalize()
    nearest = round(percent * n / 100)
    return any(
        abs(Decimal(100 * k) / n - percent) <= _half(percent)
        for k in (nearest - 1, nearest, nearest + 1)
        if 0 <= k <= n
    )


def _half(value: Decimal) -> Decimal:
    """Half a unit of the last place written."""
    return Decimal(1).scaleb(min(0, int(value.as_tuple().exponent))) / 2


def slips(tables: Sequence[Table]) -> list[str]:
    """What cannot be true, one line each."""
    found = []
    seen: dict[tuple[str, str], tuple[Decimal, int]] = {}
    for table in tables:
        names = table.rows[0]
        sizes = _sizes(table)
        counts = {
            place
            for cells in table.rows[1:]
            for place, cell in enumerate(cells)
            if cells[0].lower() != "n" and (number(cell) or 0) > 100
        }
        for cells in table.rows[1:]:
            label, where = cells[0], f"line {table.line}, {cells[0]}"
            if label.lower() == "n":
                continue
            values = [number(cell) for cell in cells]
            for place in range(1, min(len(cells), len(names))):
                value, name = values[place], names[place]
                if value is None or name.lower() == "n":
                    continue
                kind = re.split(r"\W", name.lower())[0]
                if kind in (*MEANS, *SUMS):
                    found += _follows(where, name, value, values[1:place], kind in MEANS)
                elif place not in counts and (n := _row_size(names, cells) or sizes[place]) and not possible(value, n):
                    found.append(f"{where}, {name}: {value} % is no k of {n} (k would be {value * n / 100:.2f})")
                earlier = seen.setdefault((label.lower(), name.lower()), (value, table.line))
                if earlier[0] != value:
                    found.append(f"{where}, {name}: {value}, but {earlier[0]} in the table of line {earlier[1]}")
    return found


def _follows(where: str, name: str, said: Decimal, parts: Sequence[Decimal | None], mean: bool) -> list[str]:
    known = [part for part in parts if part is not None]
    if len(known) < 2 or len(known) < len(parts):
        return []
    exact = sum(known, Decimal(0)) / (len(known) if mean else 1)
    # each part may be off by half of its last place, and so is what is said
    slack = sum(map(_half, known), Decimal(0)) / (len(known) if mean else 1) + _half(said)
    return [] if abs(exact - said) <= slack else [f"{where}, {name}: {said}, but its cells give {exact:.2f}"]


def _sizes(table: Table) -> list[int | None]:
    """The n of each column, as far as it is said."""
    row = next((cells for cells in table.rows[1:] if cells[0].lower() == "n"), [])
    above = N.search(table.heading)
    sizes: list[int | None] = []
    for place, name in enumerate(table.rows[0]):
        own = number(row[place]) if place < len(row) else None
        said = N.search(name) or above
        known = SIZES.get(re.sub(r"\s*\(.*\)$", "", name.lower()))
        known = known or next((n for key, n in SIZES.items() if key in table.heading.lower()), None)
        sizes.append(int(own) if own else int(said[1].replace(",", "")) if said else known)
    return sizes


def _row_size(names: Sequence[str], cells: Sequence[str]) -> int | None:
    """The n that stands in a column of that name."""
    place = next((place for place, name in enumerate(names) if name.lower() == "n" and place < len(cells)), None)
    n = number(cells[place].replace(",", "")) if place is not None else None
    return int(n) if n else None


@command
def main(words: Sequence[str]) -> int:
    """0 where nothing was found, 1 where something was, 2 where the file is none."""
    usage(__doc__, words)
    if len(words) != 1:
        raise ValueError("usage: python -m mathse.check_table FILE")
    found = slips(tables_of(Path(words[0])))
    print("\n".join(found) or "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
