"""The judges among the steps of a run or a store, each with its verdicts and the truth about them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mathse.feedback.answer import matches
from mathse.report.orm.cuts import REFLECTION, STAGE_1, cut, place
from mathse.report.orm.numbers import (
    Bin,
    Calibration,
    Checked,
    Estimate,
    Share,
    Trade,
    calibration,
    card,
    curve,
    precision_at,
)
from mathse.report.records import training_of
from mathse.store import Artifact
from mathse.types import Judged, Solution, Verdict, read_jsonl


@dataclass
class Instrument:
    """One judge's verdicts: on held-out solutions, where it has some, and on those of the loop."""

    name: str
    held_out: list[Checked] = field(default_factory=list)
    loop: list[Checked] = field(default_factory=list)

    @functools.cached_property
    def parts(self) -> dict[str, Part]:
        """Those that there are: held out, of the rounds, and the teacher's, which a threshold for the rounds is not chosen on."""
        taught = [row for row in self.loop if place(row) in (STAGE_1, REFLECTION)]
        rounds = [row for row in self.loop if place(row) not in (STAGE_1, REFLECTION)]
        parts = {"held-out": self.held_out, "rounds": rounds, "teacher": taught}
        return {name: Part(rows) for name, rows in parts.items() if rows}

    @property
    def scored(self) -> dict[str, Part]:
        """Those whose verdicts have scores."""
        return {name: part for name, part in self.parts.items() if part.calibration}

    @functools.cached_property
    def base_rates(self) -> dict[str, tuple[Share, Estimate]]:
        """For each round the share of right solutions, and the precision that the held-out solutions let one expect there."""
        rates = {name: card(rows)["right"] for name, rows in cut(self.loop, "round").items()}
        return {name: (rate, precision_at(self.held_out, rate.value)) for name, rate in rates.items() if self.held_out}


@dataclass(frozen=True)
class Part:
    """Rows, and what takes long to compute of them."""

    rows: list[Checked]

    @functools.cached_property
    def calibration(self) -> Calibration | None:
        return calibration(self.rows)

    @functools.cached_property
    def curve(self) -> list[Trade]:
        return curve(self.rows)

    @property
    def bins(self) -> list[Bin]:
        return self.calibration.bins if self.calibration else []

    @property
    def stands(self) -> tuple[float, float]:
        """Yield and purity of what was accepted, NaN where that is nothing."""
        found = card(self.rows)
        return found["right_accepted"].value, found["precision"].value


def instruments(steps: Iterable[tuple[Artifact, Mapping[str, Any]]]) -> list[Instrument]:
    """Every judge among the steps (each with its recipe) but answer match, which is one of the truths itself."""
    found: dict[str, Instrument] = {}
    for artifact, recipe in steps:
        source = recipe["inputs"].get("source") or {}
        kind = recipe["step"].rpartition(".")[2]
        if kind not in ("judge", "test_orm") or str(source.get("_target_")).endswith(".AnswerMatch"):
            continue
        rows = read_jsonl(Judged, artifact.path / "judged.jsonl")
        if not rows:
            continue
        name = called(rows[0].verdict.by, source, artifact.path.parent)
        instrument = found.setdefault(name, Instrument(name))
        if kind == "judge":
            new = [Checked(row.solution, _said(row, source), by_answer(row.solution)) for row in rows]
            instrument.loop = _once([*instrument.loop, *new])
        else:
            data = artifact.path.parent / recipe["inputs"]["data"]["artifact"] / "judged.jsonl"
            truth = {row.solution.id: row.verdict for row in read_jsonl(Judged, data)}
            if training_of(source, artifact.path.parent).get("analysis") is False:  # a binary ORM names no step
                truth = {name: dataclasses.replace(verdict, error_step=None) for name, verdict in truth.items()}
            new = [Checked(row.solution, row.verdict, truth[row.solution.id]) for row in rows]
            instrument.held_out = _once([*instrument.held_out, *new])
    return list(found.values())


def called(by: str, source: Mapping[str, Any], root: Path) -> str:
    """A judge's name for people: an ORM with what tells it from others in a store. Its training's record is looked for in `root`."""
    made = training_of(source, root)
    source = source.get("orm") or source  # within `both`
    about = [made["backbone"]["_target_"].split(".")[-2], f"seed {made['seed']}"] if "backbone" in made else []
    about += ["binary"] if made.get("analysis") is False else []
    if "use_reference" in source:
        about.append("shown the answer" if source["use_reference"] else "not shown the answer")
    if source.get("threshold") is not None:
        about.append(f"threshold {source['threshold']:g}")
    return f"{by} ({', '.join(about)})" if about else by


def _said(row: Judged, source: Mapping[str, Any]) -> Verdict:
    """The verdict with the score that the judge goes by: within `both` it is the ORM's, and answer match overrules it at any threshold."""
    overruled = "orm" in source and row.verdict.score is not None and not matches(row.solution)
    return dataclasses.replace(row.verdict, score=0.0) if overruled else row.verdict


def _once(rows: Sequence[Checked]) -> list[Checked]:
    """Each solution's verdict once, one with a score where there is one: a store may hold what earlier versions asked too."""
    ordered = sorted(rows, key=lambda row: row.said.score is not None)
    return list({(row.solution.id, row.solution.text): row for row in ordered}.values())


def by_answer(solution: Solution) -> Verdict:
    """The truth that the reference answer tells."""
    return Verdict("correct" if matches(solution) else "wrong", by="answer")
