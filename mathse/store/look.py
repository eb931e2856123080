"""What the commands of a store print."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mathse.progress import duration, progress
from mathse.report.roles import role_of
from mathse.report.text import aligned, words
from mathse.store.artifact import Artifact, changed
from mathse.store.clean import Sorted
from mathse.store.contents import Contents, Stored, mebibytes
from mathse.store.difference import shown
from mathse.store.locks import busy, doing
from mathse.store.recipe import name_of

MOST = 30  # names that are printed of a kind, before "and so many more"
SORTS = {
    "used": lambda stored: -stored.used,
    "size": lambda stored: -stored.size,
    "seconds": lambda stored: -_seconds(stored),
    "name": lambda stored: stored.name,
}


def listing(contents: Contents, asked: Sequence[str], sort: str) -> str:
    """All artifacts as a table, or those whose name or a run of theirs begins with a word that is asked for."""
    if sort not in SORTS:
        raise ValueError(f"sort should be one of {', '.join(SORTS)}, got {sort!r}")
    roles = _roles(contents)
    chosen, begun = (
        {name: some for name, some in all_of.items() if not asked or _is_asked(contents, some, asked)}
        for all_of in (contents.artifacts, contents.unfinished)
    )
    if asked and not (chosen or begun):
        raise ValueError(f"no artifact in {contents.root}, and no run of one, begins with {' or '.join(asked)}")
    rows = [["artifact", "what came of it", "used", "size", "spent", "runs"]]
    for stored in sorted(chosen.values(), key=SORTS[sort]):
        runs = contents.used_by(stored.name)
        rows.append(
            [
                stored.name,
                _what(stored, roles.get(stored.name, "")),
                _ago(stored),
                mebibytes(stored.size),
                duration(_seconds(stored)),
                runs[0] if len(runs) == 1 else str(len(runs) or "none"),
            ]
        )
    for name, stored in begun.items():
        at_work = doing(contents.root / name) if busy(contents.root / name) else "nobody is at it"
        rows.append([name, f"unfinished; {at_work}", _ago(stored), mebibytes(stored.size), "", ""])
    return "\n".join([aligned(rows), "", _totals(contents, list(chosen.values())), *_runs(contents)])


def _is_asked(contents: Contents, stored: Stored, asked: Sequence[str]) -> bool:
    names = (stored.name, *contents.used_by(stored.name))
    return any(name.startswith(word) for name in names for word in asked)


def _totals(contents: Contents, chosen: Sequence[Stored]) -> str:
    size, seconds = sum(some.size for some in chosen), sum(map(_seconds, chosen))
    unused = [some for some in chosen if not contents.used_by(some.name)]
    return (
        f"{len(chosen)} artifacts, {mebibytes(size)}, made in {duration(seconds)}; "
        f"{len(unused)} of them, {mebibytes(sum(some.size for some in unused))}, are of no finished run"
    )


def _runs(contents: Contents) -> list[str]:
    """What each run uses, and what would have gone if it had been alone: its own part."""
    if not contents.runs:
        return []
    users = Counter(step for run in contents.runs for step in set(run.steps))
    rows = [["run", "steps", "size", "of it shared with others", "missing"]]
    for run in contents.runs:
        there = [contents.artifacts[step] for step in dict.fromkeys(run.steps) if step in contents.artifacts]
        size, shared = sum(some.size for some in there), sum(some.size for some in there if users[some.name] > 1)
        missing = len(set(run.steps)) - len(there)
        rows.append([run.name, str(len(run.steps)), mebibytes(size), mebibytes(shared), str(missing or "")])
    return ["", aligned(rows)]


def one(contents: Contents, stored: Stored, *, whole: bool) -> str:
    """One artifact: recipe, metrics, files, what it was made from, what was made from it, and the runs."""
    record = stored.record
    if record is None:
        raise ValueError(f"{stored.path}: its record is missing or broken; delete it and it will be computed again")
    roles = _roles(contents)

    def named(names: Sequence[str]) -> list[str]:
        known = contents.artifacts
        return [
            f"  {name}  {_what(known[name], roles.get(name, '')) if name in known else 'missing'}" for name in names
        ]

    leaves = [(key, value if whole else shown(value)) for key, value in _leaves(record["inputs"])]
    users = [some.name for some in contents.artifacts.values() if stored.name in some.inputs]
    files = [f"  {name}  {mebibytes((stored.path / name).stat().st_size)}" for name in _there(stored)]
    return "\n".join(
        [
            f"{stored.name}  {_what(stored, roles.get(stored.name, ''))}",
            f"made {record.get('made')} in {duration(_seconds(stored))}, last used {_ago(stored)} ago; {mebibytes(stored.size)}",
            f"by {' '.join(record.get('command') or ['?'])} at commit {record.get('commit')}",
            f"recipe: {record['step']}, version {record['version']}",
            *_columns([*leaves, *((f"prompts[{i}]", shown(p)) for i, p in enumerate(record["prompts"]))]),
            *(["metrics", *_columns([(key, f"{value:g}") for key, value in record["metrics"].items()])]),
            *(["files", *files]),
            *(["made from", *named(stored.inputs)] if stored.inputs else []),
            *(["made from it", *named(users)] if users else []),
            *(["used by", *(f"  {run}" for run in contents.used_by(stored.name))]),
        ]
    )


def verified(contents: Contents) -> tuple[bool, str]:
    """Whether anything is not as it was made, and the whole in words."""
    broken: list[str] = []
    files = 0
    with progress("hashing", len(contents.artifacts), "artifacts") as seen:
        for stored in contents.artifacts.values():
            wrong = _wrong(stored)
            files += len((stored.record or {}).get("files", ()))
            if wrong:
                runs = contents.used_by(stored.name)
                of = f"; of use to {', '.join(runs)}" if runs else ""
                broken.append(f"{stored.path}: {wrong}{of}")
            seen.advance(1)
    missing = [(run.name, step) for run in contents.runs for step in run.steps if step not in contents.artifacts]
    lines = [f"{run}: {step} is not in the store; the run's command computes it again" for run, step in missing]
    size = mebibytes(sum(some.size for some in contents.artifacts.values()))
    about = f"{len(contents.artifacts)} artifacts, {files} files, {size}"
    if broken:
        lines += [f"{about}: {len(broken)} broken", *broken, "delete the folders that are named and run again:"]
        return True, "\n".join([*lines, "only they are computed again, and nothing that was made from them changes"])
    return False, "\n".join([*lines, f"{about}: all as they were made"])


def _wrong(stored: Stored) -> str:
    record = stored.record
    if record is None or not isinstance(record.get("files"), dict):
        return "the record is missing or broken"
    files = changed(stored.path, record["files"])
    if files:
        return f"missing or changed since it was made: {_some(files)}"
    if name_of({key: record.get(key) for key in ("step", "version", "prompts", "inputs")}) != stored.name:
        return "the recipe in its record is not the one that it is named by"
    return ""


def sorted_out(contents: Contents, found: Sorted, days: float, *, deleted: bool) -> str:
    """What is kept and what goes, or went."""
    verb = "deleted" if deleted else "may go"
    kinds = [
        ("kept, of use to a known run or named", found.needed),
        (f"kept, of no known run but used in the last {days:g} days (days=0 gives them up)", found.young),
        (f"kept, unfinished work of the last {days:g} days: the same command goes on with it", found.unfinished_young),
        ("kept, being computed now", found.busy),
        (f"{verb}, of no known run", found.going),
        (f"{verb}, unfinished work", found.unfinished_going),
    ]
    rows = [["", "artifacts", "size", "spent"]]
    rows += [
        [words, str(len(some)), mebibytes(_size(some)), duration(sum(map(_seconds, some)))] for words, some in kinds
    ]
    lines = [aligned(rows)]
    roles = _roles(contents)
    for stored in (*found.going, *found.unfinished_going)[:MOST]:
        lines.append(
            f"  {stored.name}  {mebibytes(stored.size)}, used {_ago(stored)} ago; {_what(stored, roles.get(stored.name, ''))}"
        )
    more = len(found.going) + len(found.unfinished_going) - MOST
    lines += [f"  and {more} more"] * (more > 0)
    lines += [f"{run} needs {step}, which is not there" for step, run in found.missing]
    freed = mebibytes(_size((*found.going, *found.unfinished_going)))
    lines.append(f"{freed} freed" if deleted else f"{freed} would be freed; delete=true does it")
    return "\n".join(lines)


def _size(some: Sequence[Stored]) -> int:
    return sum(stored.size for stored in some)


def _seconds(stored: Stored) -> float:
    return float((stored.record or {}).get("seconds") or 0.0)


def _ago(stored: Stored) -> str:
    return duration(max(0.0, time.time() - stored.used))


def _there(stored: Stored) -> list[str]:
    return sorted(str(path.relative_to(stored.path)) for path in stored.path.rglob("*") if path.is_file())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _what(stored: Stored, role: str) -> str:
    if stored.record is None:
        return "the record is missing or broken"
    try:
        return words(Artifact(stored.name, stored.path, stored.record["metrics"]), role)
    except KeyError:  # of an older version
        return role


def _roles(contents: Contents) -> dict[str, str]:
    """What each step of a known run is for; see mathse/report/roles.py."""
    roles: dict[str, str] = {}
    for run in contents.runs:
        records = {step: contents.artifacts[step].record or {} for step in run.steps if step in contents.artifacts}
        judges = [
            record["inputs"]["source"] for name, record in records.items() if name.startswith("judge-") and record
        ]
        of_run: dict[str, str] = {}
        for name, record in records.items():
            if record:
                of_run[name] = role_of(record, of_run, judges[-1] if judges else None)  # the run's own judge comes last
        roles |= of_run
    return roles


def _columns(pairs: Sequence[tuple[str, Any]]) -> list[str]:
    width = max((len(key) for key, _ in pairs), default=0)
    return [f"  {key:<{width}}  {value}" for key, value in pairs]


def _leaves(value: Any, at: str = "") -> list[tuple[str, Any]]:
    """A value as dotted names with plain values; artifacts and empty lists count as plain."""
    if isinstance(value, Mapping) and set(value) != {"artifact"}:
        return [leaf for key, member in value.items() for leaf in _leaves(member, f"{at}.{key}" if at else str(key))]
    if isinstance(value, list) and value:
        return [leaf for i, member in enumerate(value) for leaf in _leaves(member, f"{at}[{i}]")]
    return [(at, value)]
