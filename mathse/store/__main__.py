"""`python -m mathse.store ls|show|diff|verify|gc …`: looks after a store.

    ls [WORD …] [sort=used|size|seconds|name]   what there is, or what of it begins with WORD (or its run does)
    show NAME [whole=true]                      an artifact: recipe, metrics, files, what it was made from and what was made from it
    diff A B                                    which parts of two recipes differ, down to the first cause
    verify                                      hashes all files: what is broken, and what to do
    gc [delete=true] [keep=A,B] [days=7]        what no run needs; deletes it if told so

Each takes store=DIR (runs) and reports=DIR (reports/ in the store): a run whose report is there keeps what it needs. NAME may be the
beginning of a name. Nothing is deleted while a run works in the store, and nothing that was of use in the last `days`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mathse.command import command, usage
from mathse.store import clean, look
from mathse.store.contents import Contents, read
from mathse.store.difference import causes, differences, tree

Words = dict[str, str]


def ls(contents: Contents, names: Sequence[str], given: Words) -> str:
    """All artifacts, or those asked for, and the runs."""
    return look.listing(contents, names, given.get("sort", "used"))


def show(contents: Contents, names: Sequence[str], given: Words) -> str:
    """One artifact."""
    (name,) = _exactly(1, names, "show NAME")
    return look.one(contents, contents.find(name), whole=_flag(given, "whole"))


def diff(contents: Contents, names: Sequence[str], given: Words) -> str:
    """What differs between two recipes."""
    a, b = (contents.find(name) for name in _exactly(2, names, "diff A B"))
    found = differences(contents.root, a.record or {}, b.record or {})
    if not found:
        return f"{a.name} and {b.name} have the same recipe"
    first = [f"  {cause}{f'  (in {step})' * bool(step)}" for cause, step in causes(found).items()]
    return "\n".join([f"{a.name} -> {b.name}", *tree(found), "first causes", *first])


def verify(contents: Contents, names: Sequence[str], given: Words) -> str:
    """That all is as it was made. Raises Broken with the whole where something is not."""
    _exactly(0, names, "verify")
    found, text = look.verified(contents)
    if found:
        raise Broken(text)
    return text


def gc(contents: Contents, names: Sequence[str], given: Words) -> str:
    """What may go; with delete=true it is gone."""
    _exactly(0, names, "gc [delete=true] [keep=A,B] [days=7]")
    try:
        days = float(given.get("days", "7"))
    except ValueError:
        days = -1.0
    if not days >= 0:  # nan is no number either
        raise ValueError(f"days should be a number, 0 or more, got {given['days']!r}")
    found = clean.sort(contents, [word for word in given.get("keep", "").split(",") if word], days)
    deleted = _flag(given, "delete")
    if deleted:
        clean.delete(contents, found)
    return look.sorted_out(contents, found, days, deleted=deleted)


class Broken(Exception):
    """Something in the store is not as it was made."""


Command = Callable[[Contents, Sequence[str], Words], str]
COMMANDS: dict[str, tuple[Command, tuple[str, ...]]] = {
    "ls": (ls, ("sort",)),
    "show": (show, ("whole",)),
    "diff": (diff, ()),
    "verify": (verify, ()),
    "gc": (gc, ("delete", "keep", "days")),
}


def store(words: Sequence[str]) -> str:
    """What the command's words ask for, to be printed. Raises ValueError saying which word is wrong, and Broken."""
    names = [word for word in words if "=" not in word]
    given = dict(word.partition("=")[::2] for word in words if "=" in word)
    if not names or names[0] not in COMMANDS:
        raise ValueError(f"{names[0] if names else 'nothing'} is asked; it should be one of {', '.join(COMMANDS)}")
    command, own = COMMANDS[names[0]]
    odd = [key for key in given if key not in (*own, "store", "reports")]
    if odd:
        raise ValueError(f"{names[0]} takes no {odd[0]}=; its words are {'=, '.join((*own, 'store', 'reports'))}=")
    root = Path(given.get("store", "runs"))
    return command(read(root, Path(given.get("reports", root / "reports"))), names[1:], given)


def _exactly(count: int, names: Sequence[str], usage: str) -> Sequence[str]:
    if len(names) != count:
        raise ValueError(f"usage: python -m mathse.store {usage}")
    return names


def _flag(given: Words, key: str) -> bool:
    value = given.get(key, "false")
    if value not in ("true", "false"):
        raise ValueError(f"{key} should be true or false, got {value!r}")
    return value == "true"


@command
def main(words: Sequence[str]) -> int:
    """The command; 1 where the store is broken."""
    usage(__doc__, words or ["--help"])
    try:
        print(store(words))
    except Broken as broken:
        print(broken)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
