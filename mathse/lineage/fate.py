"""Forwards: what became of a solution. Accepted: who learned from it; rejected: where it was diagnosed, repaired, and so on."""

from __future__ import annotations

from collections.abc import Iterator

from mathse.lineage import Steps, Written, kind_of
from mathse.steps.reflect import ON
from mathse.types import Judged, Verdict

Line = tuple[int, str]  # how deep, and words


def fate(steps: Steps, written: Written, depth: int = 0) -> Iterator[Line]:
    """Lines on all that was done with the solution in the steps that are stored."""
    if kind_of(written.step) == "evaluate":
        verdict = steps.judged(written.step)[written.solution.id].verdict
        yield depth, f"scored by {verdict.by}: {said(verdict)}; nothing is learned from a test problem's solution"
        return
    if kind_of(written.step) == "write_up":
        yield from _learned(steps, written.step, depth)
        return
    judges = steps.readers(written.step, "judge")
    if not judges:
        yield depth, "not judged yet"
    for name in judges:
        row = steps.judged(name).get(written.solution.id)
        if row is None:
            yield depth, f"{name}: its solution is missing there"
            continue
        yield depth, f"{name}, by {row.verdict.by}: {said(row.verdict)}"
        if row.verdict.status == "correct":
            yield from _learned(steps, name, depth + 1, row)
        elif row.verdict.status == "wrong":
            yield from _repaired(steps, name, row, depth + 1)
        yield from _annotated(steps, name, row, depth + 1)


def said(verdict: Verdict) -> str:
    """A verdict in words."""
    score = "" if verdict.score is None else f", score {verdict.score:.3f}"
    step = "" if verdict.error_step is None else f", step {verdict.error_step}"
    return f"{verdict.status}{score}{step}" + (f": {' '.join(verdict.analysis.split())}" if verdict.analysis else "")


def _learned(steps: Steps, judged: str, depth: int, row: Judged | None = None) -> Iterator[Line]:
    from mathse.steps.sft import share

    for name in sorted(steps.readers(judged, "sft"), key=lambda name: len(steps.inputs(name)["data"])):  # M_0, M_1 …
        tests = steps.readers(name, "evaluate")
        scores = [f"{100 * steps.records[test]['metrics']['accuracy']:.1f} % in {test}" for test in tests]
        held_out = row is not None and share(row.solution.problem.id) < steps.inputs(name)["fit"]["validation"]
        scores += ["only to validate on"] * held_out
        yield depth, f"in D_SFT of {steps.model_of(name)}, {name}" + (f": {', '.join(scores)}" if scores else "")
    for name in steps.readers(judged, "write_up"):
        if row and row.solution.id in steps.judged(name):
            yield depth, f"{name}: written up with what it repairs"
            yield from _learned(steps, name, depth + 1)


def _repaired(steps: Steps, judged: str, row: Judged, depth: int) -> Iterator[Line]:
    solution = row.solution
    for name in steps.readers(judged, "diagnose"):
        diagnosed = steps.judged(name).get(solution.id)
        if diagnosed is None:
            yield depth, f"{name}: not sent on, its problem was solved elsewhere or a later failure was taken"
            continue
        yield depth, f"{name}, by {diagnosed.verdict.by}: {said(diagnosed.verdict)}"
        for reflect in steps.readers(name, "reflect"):
            repair = steps.solutions(reflect).get(f"{solution.problem.id}/{ON}{solution.author}/{solution.index}")
            if repair is None:
                yield depth + 1, f"{reflect}: no readable repair came back"
                continue
            written = Written(reflect, repair)
            yield depth + 1, f"repaired: {written.id}"
            yield from fate(steps, written, depth + 2)


def _annotated(steps: Steps, judged: str, row: Judged, depth: int) -> Iterator[Line]:
    for name in steps.readers(judged, "annotate"):
        annotated = steps.judged(name).get(row.solution.id)
        if annotated is not None:
            yield depth, f"{name}, what the ORM learns from: {said(annotated.verdict)}"
            yield from ((depth + 1, f"learned from or tested on by {orm}") for orm in steps.readers(name, "train_orm"))
