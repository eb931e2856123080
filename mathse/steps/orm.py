"""The ORM's training and its test on held-out solutions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mathse.backbones import Backbone
from mathse.backbones.qlora import Lora
from mathse.feedback import Source
from mathse.feedback.asking import JUDGE, REFERENCE, SAME, ask_for_verdict
from mathse.fit import Fit
from mathse.steps.sft import share, train
from mathse.steps.shards import in_chunks
from mathse.store import Artifact, Runtime, means
from mathse.types import Judged, Solution, Turn, Verdict, read_jsonl


def verdict_text(verdict: Verdict, analysis: bool, use_reference: bool) -> str:
    """What the ORM should write: the paper's three fields, or the status alone for the binary one (Table 5); before them, where it
    sees the reference answer, whether the two answers are the same."""
    wrong = verdict.status == "wrong"
    fields: dict[str, str | None] = {"status": verdict.status.upper()}
    if analysis:
        fields["error_step"] = f"Step {verdict.error_step}" if wrong else None
        fields["error_analysis"] = verdict.analysis if wrong else None
    return (SAME[verdict.status] if use_reference else "") + json.dumps(fields, ensure_ascii=False)


@means(version=2, prompts=(JUDGE, REFERENCE, *SAME.values()))
def train_orm(
    out: Path,
    *,
    backbone: Backbone,
    data: Artifact,
    fit: Fit,
    lora: Lora,
    analysis: bool,
    use_reference: bool,
    held_out: float,
    seed: int,
    runtime: Runtime,
) -> dict[str, float]:
    """Fine-tune the backbone into a judge on annotated solutions -> adapter/. Problems below `held_out` are left for the test."""
    rows = [row for row in read_jsonl(Judged, data.path / "judged.jsonl") if share(_salted(row)) >= held_out]
    chats = [
        (
            (
                *ask_for_verdict(row.solution, use_reference),
                Turn("assistant", verdict_text(row.verdict, analysis, use_reference)),
            ),
            row.solution.problem.id,
        )
        for row in rows
    ]
    return train(
        out, backbone, chats, fit, lora, None, seed, runtime, label=f"training the ORM on {len(rows)}", orm=True
    )


def _salted(row: Judged) -> str:
    # Not the hash that chooses the validation rows: those would all be test problems otherwise.
    return f"orm test/{row.solution.problem.id}"


def test_orm(out: Path, *, source: Source, data: Artifact, held_out: float, runtime: Runtime) -> dict[str, float]:
    """Ask the ORM about held-out solutions -> judged.jsonl; the metrics hold its verdicts against the teacher's.

    `correct_accuracy` and `wrong_accuracy` are Table 5's positive and negative accuracy; `step_hit_rate` is the share of the wrong
    solutions called wrong whose first wrong step is named; unreadable verdicts count as neither correct nor wrong, so as misses.
    """
    truth = [row for row in read_jsonl(Judged, data.path / "judged.jsonl") if share(_salted(row)) < held_out]

    def work(some: Sequence[Solution]) -> list[Judged]:
        return [Judged(solution, verdict) for solution, verdict in zip(some, source(some, runtime), strict=True)]

    judged = in_chunks(
        out,
        [row.solution for row in truth],
        work,
        Judged,
        file="judged.jsonl",
        chunk=runtime.batch_size,
        label="testing the ORM",
        unit="solutions",
    )
    return score([row.verdict for row in truth], [row.verdict for row in judged])


def score(truth: Sequence[Verdict], said: Sequence[Verdict]) -> dict[str, float]:
    """The ORM's report card, see `test_orm`."""
    pairs = list(zip(truth, said, strict=True))
    correct = [(t, s) for t, s in pairs if t.status == "correct"]
    wrong = [(t, s) for t, s in pairs if t.status == "wrong"]
    caught = [(t, s) for t, s in wrong if s.status == "wrong"]

    def share_of(rows: Sequence[tuple[Verdict, Verdict]], hits: int) -> float:
        return hits / len(rows) if rows else 0.0

    right_correct = sum(s.status == "correct" for _, s in correct)
    return {
        "n_correct": len(correct),
        "n_wrong": len(wrong),
        "correct_accuracy": share_of(correct, right_correct),
        "wrong_accuracy": share_of(wrong, len(caught)),
        "accuracy": share_of(pairs, right_correct + len(caught)),
        "step_hit_rate": share_of(caught, sum(t.error_step == s.error_step for t, s in caught)),
        "unreadable": share_of(pairs, sum(s.status == "unreadable" for _, s in pairs)),
    }
