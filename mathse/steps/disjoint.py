"""No problem in two sets that have to be apart: what is asked and shown is compared, wherever the problems come from.

`remaining` and `decontaminate` part sets by rules of their own. This looks at what they left, in each run, and costs a step only where
something is found: the ORM's problems are in neither D nor a test set, and a source that promises disjoint splits is not
taken at its word.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathse.store import Artifact, means
from mathse.types import Problem, read_jsonl, write_jsonl

if TYPE_CHECKING:
    from mathse.feedback import Run


def words_of(problem: Problem) -> tuple[str, ...]:
    """What is asked: the words but for case and spaces, and the choices in any order."""
    return _plain(problem.question), *sorted(map(_plain, problem.choices))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def shown_by(problem: Problem) -> tuple[str, ...]:
    """What is shown: a hash of each picture's pixels, whatever file they are in."""
    return tuple(map(_pixels, problem.images))


@functools.lru_cache(maxsize=100_000)
def _pixels(path: str) -> str:
    from mathse.backbones.pictures import open_picture

    try:
        picture = open_picture(path)
    except ValueError:  # what cannot be shown is compared as a file
        return hashlib.sha256(Path(path).read_bytes() if Path(path).is_file() else path.encode()).hexdigest()
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()


def asked_by_both(problems: Sequence[Problem], others: Sequence[Problem]) -> list[Problem]:
    """Those of `problems` that ask and show the same as one of `others`. Pictures are opened only where the words are the same."""
    words = {words_of(problem) for problem in problems} & {words_of(problem) for problem in others}
    known = {(words_of(problem), shown_by(problem)) for problem in others if words_of(problem) in words}
    return [
        problem
        for problem in problems
        if words_of(problem) in words and (words_of(problem), shown_by(problem)) in known
    ]


def apart_from(run: Run, problems: Artifact, others: Sequence[Artifact]) -> Artifact:
    """The problems without those that one of `others` has too: the artifact itself where there are none, which is looked at each time.

    In a dry run what is not there yet cannot be looked at.
    """
    if not all((some.path / "problems.jsonl").exists() for some in (problems, *others)):
        return problems
    if not asked_by_both(_problems([problems]), _problems(others)):
        return problems
    return run(disjoint, problems=problems, others=list(others))


@means()
def disjoint(out: Path, *, problems: Artifact, others: list[Artifact]) -> dict[str, float]:
    """The problems that none of `others` has too -> problems.jsonl; the rest is counted in `dropped`."""
    known = _problems([problems])
    twice = {problem.id for problem in asked_by_both(known, _problems(others))}
    left = [problem for problem in known if problem.id not in twice]
    write_jsonl(out / "problems.jsonl", left)
    return {"problems": len(left), "dropped": len(known) - len(left)}


def _problems(artifacts: Sequence[Artifact]) -> list[Problem]:
    return [problem for some in artifacts for problem in read_jsonl(Problem, some.path / "problems.jsonl")]
