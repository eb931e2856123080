"""W&B: one run a job, offline unless logged in, each stage's curves on its own step axis, logged whether a step was found or computed."""

from __future__ import annotations

import json
import logging
import netrc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.report.summary import Scored
from mathse.store import Artifact, canonical
from mathse.types import Judged, Model, read_jsonl

if TYPE_CHECKING:
    from mathse.config import Experiment

SAMPLES = 30


def mode() -> str:
    """`WANDB_MODE` if it is set; otherwise online where one is logged in, and offline elsewhere. Nobody is ever asked."""
    chosen = os.environ.get("WANDB_MODE")
    if chosen:
        return chosen
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    try:
        logged_in = netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        logged_in = False
    return "online" if logged_in else "offline"


def start(exp: Experiment, name: str) -> Tracker | None:
    """A W&B run, or None, with a line that says why, where it cannot start."""
    os.environ.setdefault("WANDB_SILENT", "true")
    logging.getLogger("wandb").setLevel(logging.ERROR)
    try:
        import wandb

        Path(exp.store).mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project="mathse",
            name=name,
            group=f"{exp.stage}-{exp.scale}",
            tags=[exp.scale, exp.stage, exp.backbone.family],
            config=flat(canonical(exp)),
            dir=exp.store,
            mode=mode(),  # type: ignore[arg-type]
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_stats=True,
                x_disable_meta=True,
            ),
        )
    except Exception as error:  # whatever W&B has, it is no reason to lose the run
        print(f"W&B does not start, going on without: {error}", flush=True)
        return None
    return Tracker(wandb, run)


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names, which W&B can compare."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        result |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return result


class Tracker:
    """One W&B run."""

    def __init__(self, module: Any, run: Any) -> None:
        self.wandb, self.run = module, run
        self.run.define_metric("round/*", step_metric="round/k")
        self.run.define_metric("model/*", step_metric="model/index")

    def step(self, artifact: Artifact, k: int | None) -> None:
        """Curves of the ORM's training, and the numbers of a round."""
        if artifact.step == "train_orm":
            self._curve("orm", artifact)
        if k:
            self.run.log({"round/k": k, **{f"round/{key}": value for key, value in artifact.metrics.items()}})

    def score(self, model: Model, artifact: Artifact, index: int) -> None:
        """A model's accuracy and the curve of its training."""
        if model.adapter:
            self._curve(model.name, model.adapter)
        accuracy = artifact.metrics["accuracy"]
        self.run.log({"model/index": index, "model/accuracy": accuracy})
        self.run.summary[f"accuracy/{model.name}"] = accuracy
        self.run.summary["accuracy/last"] = accuracy

    def _curve(self, name: str, artifact: Artifact) -> None:
        self.run.define_metric(f"{name}/*", step_metric=f"{name}/step")
        with (artifact.path / "curve.jsonl").open(encoding="utf-8") as lines:
            for point in map(json.loads, lines):
                self.run.log({f"{name}/{key}": value for key, value in point.items()})

    def finish(self, summary: Mapping[str, Any], rounds: Sequence[Artifact], scores: Sequence[Scored]) -> None:
        """A table of solutions with their pictures, and the run's totals."""
        table = self.wandb.Table(
            columns=["stage", "picture", "question", "solution", "reference", "status", "step", "analysis"]
        )
        pictures: dict[str, Any] = {}
        judged = [(f"round {k}", read_jsonl(Judged, r.path / "judged.jsonl")) for k, r in enumerate(rounds, start=1)]
        judged += [("test", scores[-1].rows)] if scores else []
        for stage, rows in judged:
            for row in rows[: SAMPLES // len(judged)]:
                problem, verdict = row.solution.problem, row.verdict
                path = problem.images[0] if problem.images else None
                if path and path not in pictures:
                    pictures[path] = self.wandb.Image(path)
                shown = pictures.get(path) if path else None
                said = (verdict.status, verdict.error_step, verdict.analysis)
                table.add_data(stage, shown, problem.question, row.solution.text, problem.answer, *said)
        self.run.log({"samples": table})
        self.run.summary["seconds"] = summary["seconds"]
        self.run.summary["peak_rss_mb"] = summary["peak_rss_mb"]
        for key, value in summary["orm"].items():
            self.run.summary[f"orm/{key}"] = value

    def close(self, *, failed: bool) -> None:
        """End the run, marked as failed where it failed."""
        self.run.finish(exit_code=1 if failed else 0)
