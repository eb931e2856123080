"""Problems in, and parts of them: what is read, drawn, and still to be solved."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mathse.data import Data
from mathse.data.dropped import DROPPED, in_words, read_dropped
from mathse.store import Artifact, means
from mathse.types import Judged, Problem, read_jsonl, without, write_jsonl


def load(out: Path, *, data: Data) -> dict[str, float]:
    """The problems of a source -> problems.jsonl, pictures beside it; counted is also what the source dropped, and why."""
    problems = data.write(out)
    write_jsonl(out / "problems.jsonl", problems)
    if not (out / DROPPED).exists():
        return {"problems": len(problems)}
    reasons = Counter(row.reason for row in read_dropped(out))
    counts = {f"dropped: {reason}": count for reason, count in sorted(reasons.items())}
    return {"problems": len(problems), "read": len(problems) + reasons.total(), "dropped": reasons.total(), **counts}


def check_dropped(data: Data, problems: Artifact) -> None:
    """Raises ValueError where a strict source had to drop rows. What was read is stored all the same, so that being strict is no other
    recipe: nothing is computed anew for it."""
    dropped = read_dropped(problems.path) if getattr(data, "strict", False) else []
    if dropped:
        raise ValueError(
            f"{len(dropped)} of {problems.metrics['read']:.0f} rows are no problems: {in_words(dropped)}; mend them, or leave them out "
            "with data.strict=false"
        )


def fitting(out: Path, *, problems: Artifact, most_pictures: int) -> dict[str, float]:
    """The problems that have at most so many pictures; the others are left out and counted."""
    known = read_jsonl(Problem, problems.path / "problems.jsonl")
    fits = [problem for problem in known if len(problem.images) <= most_pictures]
    if not fits:
        raise ValueError(
            f"all {len(known)} problems have more pictures than the backbone takes ({most_pictures}); "
            "take another backbone (CogVLM2: backbone.several=tile) or other data"
        )
    write_jsonl(out / "problems.jsonl", fits)
    return {"problems": len(fits), "left_out": len(known) - len(fits)}


def draw(out: Path, *, problems: Artifact, size: int, seed: int | str) -> dict[str, float]:
    """A random part of the problems, each source in its share. Nested: the same seed's 50 are among its 100."""
    known = read_jsonl(Problem, problems.path / "problems.jsonl")
    if size > len(known):
        name = "orm_problems" if seed == "orm" else "seed_size"
        raise ValueError(
            f"{name}={size}, but only {len(known)} problems are there for it; make it smaller, or data larger"
        )
    chosen = {problem.id for problem in stratified(known, seed)[:size]}
    drawn = [problem for problem in known if problem.id in chosen]
    write_jsonl(out / "problems.jsonl", drawn)
    return {"problems": len(drawn)}


def stratified(problems: Sequence[Problem], seed: int | str) -> list[Problem]:
    """All problems in an order whose every beginning holds each source in its share: by rank within the source, then by hash."""

    def rank(problem: Problem) -> str:
        return hashlib.sha256(f"{seed}/{problem.id}".encode()).hexdigest()

    placed: list[tuple[float, str, Problem]] = []
    for source in {problem.source for problem in problems}:
        members = sorted((problem for problem in problems if problem.source == source), key=rank)
        placed += [((i + 0.5) / len(members), rank(problem), problem) for i, problem in enumerate(members)]
    return [problem for _, _, problem in sorted(placed, key=lambda entry: entry[:2])]


@means(version=2)
def remaining(out: Path, *, problems: Artifact, solved: list[Artifact]) -> dict[str, float]:
    """The problems without those drawn or solved: `solved` are artifacts of problems, or of judged solutions (the accepted count).

    What asks the same as a drawn problem goes with it and is counted in `twins`: the ORM learns from problems that the loop never sees.
    """
    rest = read_jsonl(Problem, problems.path / "problems.jsonl")
    twins = 0
    for artifact in solved:
        if (artifact.path / "problems.jsonl").exists():
            drawn = read_jsonl(Problem, artifact.path / "problems.jsonl")
            ids, asked = {problem.id for problem in drawn}, {same_question(problem) for problem in drawn}
            others = [problem for problem in rest if problem.id not in ids]
            rest = [problem for problem in others if same_question(problem) not in asked]
            twins += len(others) - len(rest)
        else:
            rest = without(rest, accepted([artifact]))
    write_jsonl(out / "problems.jsonl", rest)
    return {"problems": len(rest), "twins": twins}


def same_question(problem: Problem) -> str:
    """A key that two problems share if they ask the same of the same pictures, whatever their ids: case and spaces do not count."""
    parts = [" ".join(text.casefold().split()) for text in (problem.question, *problem.choices)]
    pictures = [hashlib.sha256(Path(image).read_bytes()).hexdigest() for image in problem.images]
    return "\n".join([*parts, *pictures])


def judged_rows(artifacts: Sequence[Artifact]) -> list[Judged]:
    """All judged solutions of the artifacts, in order."""
    return [row for artifact in artifacts for row in read_jsonl(Judged, artifact.path / "judged.jsonl")]


def accepted(artifacts: Sequence[Artifact]) -> list[Judged]:
    """The solutions judged correct."""
    return [row for row in judged_rows(artifacts) if row.verdict.status == "correct"]


def rejected(artifacts: Sequence[Artifact]) -> list[Judged]:
    """The solutions judged wrong. Unreadable verdicts are neither."""
    return [row for row in judged_rows(artifacts) if row.verdict.status == "wrong"]
