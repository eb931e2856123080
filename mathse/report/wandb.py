"""W&B: one run a job, offline unless logged in; each stage's curves on a step axis of their own, found or computed."""

from __future__ import annotations

import json
import logging
import netrc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from mathse.report.examples import Group
from mathse.report.ledger import SUMS
from mathse.report.roles import round_of
from mathse.report.shelf import Shelf, samples
from mathse.report.summary import MONEY, agreed, on_held_out
from mathse.settings import Count, settings
from mathse.store import Artifact, canonical

if TYPE_CHECKING:
    from mathse.config import Experiment

START_TIMEOUT = 30.0  # seconds to reach the server, where one is logged in
NOT_SHOWN = ("store", "report", "tracker", "plan", "dry_run", "explain")  # of the settings: where, not what


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


@settings
class Wandb:
    """See conf/tracker/wandb.yaml."""

    project: str
    entity: str | None
    group: str | None
    arm: str | None
    tags: tuple[str, ...]
    artifacts: Literal["none", "reference", "upload"]
    samples: Count
    points: Annotated[int, ">= 2"]

    def start(self, exp: Experiment, name: str) -> Following | None:
        """A W&B run, or None, with a line that says why, where it cannot start."""
        begun = self._begin(
            Path(exp.store),
            name=name,
            # A job that goes on is a new run in its group: offline runs cannot be resumed.
            group=self.group or os.environ.get("WANDB_RUN_GROUP") or same_setting(exp),
            tags=[exp.scale, exp.backbone.family, exp.stage, *([f"arm: {self.arm}"] * bool(self.arm)), *self.tags],
            config=flat({key: value for key, value in canonical(exp).items() if key not in NOT_SHOWN}),
        )
        return Following(self, *begun) if begun else None

    def table(self, exp: Experiment, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A table of several arms as a run of its own, in the group of its name, where its arms are."""
        begun = self._begin(
            Path(exp.store),
            name=f"table {name}",
            group=self.group or name,
            tags=["table", exp.scale, *self.tags],
            config={"scale": exp.scale, "table": name},
        )
        if begun:
            module, run = begun
            columns = list(rows[0]) if rows else []
            cells = [[row[column] for column in columns] for row in rows]
            run.log({f"tables/{name}": module.Table(columns=columns, data=cells)})
            run.finish(exit_code=0)

    def _begin(self, store: Path, **described: Any) -> tuple[Any, Any] | None:
        """W&B and a run of its; None, with a line that says why, where it does not start."""
        folder = store.resolve() / "wandb"
        os.environ.setdefault("WANDB_SILENT", "true")
        for kind in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_ARTIFACT_DIR"):  # it would write to the home directory
            os.environ.setdefault(kind, str(folder))
        logging.getLogger("wandb").setLevel(logging.ERROR)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            import wandb

            run = wandb.init(
                project=self.project,
                entity=self.entity,
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
                **described,
            )
        except Exception as error:  # whatever W&B has, it is no reason to lose the run
            print(f"W&B does not start, going on without: {' '.join(str(error).split())[:200]}", flush=True)
            return None
        return wandb, run


def same_setting(exp: Experiment) -> str:
    """What the seeds of one setting have in common."""
    return f"{exp.scale}-{exp.backbone.family}-{exp.stage}-K{exp.K}"


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names, which W&B can compare."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        result |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return result


class Following:
    """One W&B run."""

    def __init__(self, how: Wandb, module: Any, run: Any) -> None:
        self.how, self.wandb, self.run = how, module, run
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

    def step(self, artifact: Artifact, role: str, recipe: Mapping[str, Any], *, cached: bool) -> None:
        """The curve of a training, the numbers of a round, the ORM's report card; of found steps too."""
        if artifact.step in ("sft", "train_orm"):
            self._curve(role, artifact.path / "curve.jsonl")
            if self.how.artifacts != "none":
                Shelf(self.wandb, self.run, upload=self.how.artifacts == "upload").keep(artifact, role, recipe, cached)
        k = round_of(role)
        if k:
            numbers = known({**artifact.metrics, **agreed(artifact.metrics)})
            self.run.log({"round": k, **{f"rounds/{key}": value for key, value in numbers.items()}})
        if "calls_paid" in artifact.metrics:
            spent = {key: artifact.metrics[key] for key in MONEY if key in artifact.metrics}
            self.run.summary.update({f"teacher/{artifact.step}/{key}": value for key, value in spent.items()})
        if artifact.step == "test_orm":
            self.run.summary.update({f"orm/test/{key}": value for key, value in known(on_held_out(artifact)).items()})

    def score(self, model: str, benchmark: str, artifact: Artifact, index: int) -> None:
        """A model's accuracy. `accuracy/last` beside K and seed_size of the configuration is a parallel-coordinates plot."""
        accuracy = artifact.metrics["accuracy"]
        self.run.log({"model": index, "models/accuracy": accuracy})
        self.run.summary.update({f"accuracy/{benchmark}/{model}": accuracy, "accuracy/last": accuracy})

    def finish(self, summary: Mapping[str, Any], groups: Sequence[Group], folder: Path) -> None:
        """A table of solutions with their pictures, what the judges are worth, the run's ledger."""
        if self.how.samples:
            self.run.log({"samples": samples(self.wandb, groups, self.how.samples)})
        self.run.summary.update({key: summary[key] for key in ("seconds", "peak_rss_mb")})
        if "teacher" in summary:
            self.run.summary.update({f"teacher/{key}": value for key, value in summary["teacher"]["total"].items()})
        for sums in (*summary["ledger"]["stages"], summary["ledger"]["total"]):  # what is unknown is left out
            numbers = known({name: sums[name] for name in SUMS})
            self.run.summary.update({f"ledger/{sums['stage']}/{name}": value for name, value in numbers.items()})
        if (folder / "orm.json").is_file():
            self.run.summary.update(_orm_numbers(folder / "orm.json"))
        if (folder / "orm.png").is_file():
            self.run.log({"orm/reliability": self.wandb.Image(str(folder / "orm.png"))})

    def close(self, *, failed: bool) -> None:
        """End the run, marked as failed where it failed."""
        self.run.finish(exit_code=1 if failed else 0)

    def _curve(self, name: str, path: Path) -> None:
        self.run.define_metric(f"{name}/step", hidden=True)
        self.run.define_metric(f"{name}/*", step_metric=f"{name}/step")
        points = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        every = -(-len(points) // self.how.points)
        for i, point in enumerate(points):
            if i % every == 0 or "validation_loss" in point or i == len(points) - 1:
                self.run.log({f"{name}/{key}": value for key, value in point.items()})


def known(numbers: Mapping[str, float | None]) -> dict[str, float]:
    """Without what was not measured."""
    return {name: number for name, number in numbers.items() if number is not None}


def _orm_numbers(path: Path) -> dict[str, float]:
    """The numbers of the ORM's report on held-out solutions, of each judge; counts, intervals and parts by family … stay in orm.json."""
    found: dict[str, Any] = {}
    for number, judge in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        numbers = flat({key: value for key, value in (judge.get("held-out") or {}).items() if key != "by"})
        kept = {key.removesuffix(".value"): value for key, value in numbers.items() if key.endswith((".value", "_f1"))}
        found |= {f"orm/held-out/{key}" if not number else f"orm/{number}/{key}": value for key, value in kept.items()}
    return {key: value for key, value in found.items() if isinstance(value, (int, float))}
