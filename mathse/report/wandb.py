"""W&B: one run a job, offline unless logged in; each stage's curves on a step axis of their own, found or computed."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import netrc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mathse.report.examples import Example, Group
from mathse.report.files import shown
from mathse.report.roles import round_of
from mathse.report.summary import MONEY
from mathse.store import Artifact, canonical

if TYPE_CHECKING:
    from mathse.config import Experiment

SAMPLES = 30
POINTS = 1000  # of a curve; longer ones are thinned
START_TIMEOUT = 30.0  # seconds to reach the server, where one is logged in
COLUMNS = (
    "where",
    "picture",
    "question",
    "reference",
    "author",
    "solution",
    "status",
    "wrong step",
    "analysis",
    "repair",
)


def mode() -> str:
    """`WANDB_MODE` if it is set; otherwise online where one is logged in, offline elsewhere. Nobody is ever asked."""
    chosen = os.environ.get("WANDB_MODE")
    if chosen:
        return chosen
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        logged_in = netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        logged_in = False
    return "online" if logged_in else "offline"


def start(exp: Experiment, name: str) -> Tracker | None:
    """A W&B run, or None, with a line that says why, where it cannot start."""
    folder = Path(exp.store).resolve() / "wandb"
    os.environ.setdefault("WANDB_SILENT", "true")
    for kind in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_ARTIFACT_DIR"):  # it would write to the home directory
        os.environ.setdefault(kind, str(folder))
    logging.getLogger("wandb").setLevel(logging.ERROR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        import wandb

        run = wandb.init(
            project="mathse",
            name=name,
            # The seeds of one setting; a job that goes on is a new run in its group: offline runs cannot be resumed.
            group=f"{exp.scale}-{exp.backbone.family}-{exp.stage}-K{exp.K}",
            tags=[exp.scale, exp.backbone.family, exp.stage],
            config=flat(canonical(exp)),
            dir=str(folder.parent),
            mode=mode(),  # type: ignore[arg-type]  # WANDB_MODE may hold anything; W&B says what it may be
            settings=wandb.Settings(
                silent=True,
                console="off",
                save_code=False,
                disable_git=True,
                disable_code=True,
                init_timeout=START_TIMEOUT,
                x_disable_stats=True,
                x_disable_meta=True,
            ),
        )
    except Exception as error:  # whatever W&B has, it is no reason to lose the run
        print(f"W&B does not start, going on without: {' '.join(str(error).split())[:200]}", flush=True)
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
        for axis, metrics in (("round", "rounds/*"), ("model", "models/*")):
            run.define_metric(axis, hidden=True)
            run.define_metric(metrics, step_metric=axis)

    @property
    def where(self) -> str:
        """Its address, or how to send it there."""
        if self.run.offline:
            folder = Path(self.run.dir).parent
            return f"wandb sync {folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}"
        return self.run.url or ""

    def step(self, artifact: Artifact, role: str) -> None:
        """The curve of a training, the numbers of a round, the ORM's report card; of found steps too."""
        if artifact.step in ("sft", "train_orm"):
            self._curve(role, artifact.path / "curve.jsonl")
        k = round_of(role)
        if k:
            self.run.log({"round": k, **{f"rounds/{key}": value for key, value in artifact.metrics.items()}})
        if "calls_paid" in artifact.metrics:
            spent = {key: artifact.metrics[key] for key in MONEY if key in artifact.metrics}
            self.run.summary.update({f"teacher/{artifact.step}/{key}": value for key, value in spent.items()})
        if artifact.step == "test_orm":
            self.run.summary.update({f"orm/test/{key}": value for key, value in artifact.metrics.items()})

    def score(self, name: str, artifact: Artifact, index: int) -> None:
        """A model's accuracy."""
        accuracy = artifact.metrics["accuracy"]
        self.run.log({"model": index, "models/accuracy": accuracy})
        self.run.summary.update({f"accuracy/{name}": accuracy, "accuracy/last": accuracy})

    def finish(self, summary: Mapping[str, Any], groups: Sequence[Group]) -> None:
        """A table of solutions with their pictures, and the run's totals."""
        self.run.log({"samples": self._samples(groups)})
        self.run.summary.update({key: summary[key] for key in ("seconds", "peak_rss_mb")})
        if "teacher" in summary:
            self.run.summary.update({f"teacher/{key}": value for key, value in summary["teacher"]["total"].items()})

    def close(self, *, failed: bool) -> None:
        """End the run, marked as failed where it failed."""
        self.run.finish(exit_code=1 if failed else 0)

    def _curve(self, name: str, path: Path) -> None:
        self.run.define_metric(f"{name}/step", hidden=True)
        self.run.define_metric(f"{name}/*", step_metric=f"{name}/step")
        points = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        every = max(1, len(points) // POINTS)
        for i, point in enumerate(points):
            if i % every == 0 or "validation_loss" in point or i == len(points) - 1:
                self.run.log({f"{name}/{key}": value for key, value in point.items()})

    def _samples(self, groups: Sequence[Group]) -> Any:
        # A turn of each group, then another: where there are more than fit, every stage is there.
        turns = itertools.zip_longest(*([(group.title, example) for example in group.examples] for group in groups))
        chosen = [entry for turn in turns for entry in turn if entry][:SAMPLES]
        table = self.wandb.Table(columns=list(COLUMNS))
        pictures: dict[str, Any] = {}
        for title, example in sorted(chosen, key=lambda entry: [group.title for group in groups].index(entry[0])):
            table.add_data(title, *self._cells(example, pictures))
        return table

    def _cells(self, example: Example, pictures: dict[str, Any]) -> tuple[Any, ...]:
        solution, verdict = example.judged.solution, example.judged.verdict
        problem = solution.problem
        return (
            self._picture(problem.images[0], pictures) if problem.images else None,
            shown(problem.question),
            shown(problem.answer),
            shown(solution.author),
            shown(solution.text),
            verdict.status,
            verdict.error_step,
            shown(verdict.analysis),
            shown(example.repair.solution.text) if example.repair else "",
        )

    def _picture(self, path: str, pictures: dict[str, Any]) -> Any:
        """The picture for W&B, each content once; None where it cannot be read."""
        from PIL import Image

        try:
            digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            if digest not in pictures:
                with Image.open(path) as picture:
                    picture.load()
                    pictures[digest] = self.wandb.Image(picture)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None
        return pictures[digest]
