"""What a run says: a line per step, a table at the end, summary.json, report.html and report.md, W&B.

`python -m mathse.report RUN [RUN …] out=DIR` makes the report of one run, or of several side by side, from what is stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mathse.audit import Auditor
from mathse.progress import View, viewed
from mathse.report.files import write_text
from mathse.report.ledger import ledger
from mathse.report.problems import about_data
from mathse.report.reflection import quality
from mathse.report.roles import place_of, role_of, round_of, stage_of
from mathse.report.run import AUDIT, SUMMARY, UNFINISHED, Run
from mathse.report.summary import Scored, on_held_out, paid, summarise
from mathse.report.text import closing, line
from mathse.steps.data import judged_rows
from mathse.store import Artifact, canonical
from mathse.tracking import Told
from mathse.types import Model

if TYPE_CHECKING:
    from mathse.config import Experiment

REFLECTION = {"never": "", "final": ", reflection", "every_round": " with reflection"}
NOT_IDENTITY = ("audit", "plan", "runtime", "store", "report", "tracker", "dry_run", "explain")


class Reporter:
    """Hears of every step and score of one run, and writes it all up at the end; a `Watcher` of the store.

    `overrides` are the run's own, where those of the command line are a sweep's.
    """

    def __init__(self, exp: Experiment, overrides: Sequence[str] | None = None) -> None:
        self.exp = exp
        self.overrides = sys.argv[1:] if overrides is None else overrides
        self.begun = time.monotonic()
        self.judge = canonical(exp.judge)
        self.steps: list[dict[str, Any]] = []
        self.artifacts: dict[str, Artifact] = {}
        self.recipes: dict[str, Mapping[str, Any]] = {}
        self.roles: dict[str, str] = {}
        self.rounds: list[Artifact] = []
        self.orm: dict[str, float | None] = {}
        self.scores: list[Scored] = []
        self.auditor = Auditor(exp.audit)
        self.name = run_name(exp)
        self.folder = Path(exp.report) / self.name
        self.tell = Told()
        self.view = View()
        self.open_until = contextlib.ExitStack()

    def __enter__(self) -> Reporter:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"report={self.exp.report}: cannot be written ({error.strerror}); give another folder"
            ) from error
        self.view = self.open_until.enter_context(viewed())
        print(f"{self.name}: {describe(self.exp)}", flush=True)
        self.tell = Told(self.exp.tracker.start(self.exp, self.name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tell.close(failed=kind is not None)
        self.open_until.close()
        if kind and all(stage_of(name.rpartition("-")[0], role) == "problems" for name, role in self.roles.items()):
            (self.folder / UNFINISHED).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a refused run leaves no empty folder; what others hold stays
                self.folder.rmdir()

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """A step is going to be computed."""
        role = role_of(recipe, self.roles, self.judge)
        step = f"step {len(self.steps) + 1}, {recipe['step'].rpartition('.')[2]} {role}".rstrip()
        self.view.now(place_of(recipe, role, self.exp.K), step)

    def step(self, artifact: Artifact, recipe: Mapping[str, Any], *, cached: bool, seconds: float) -> None:
        """A step was found or computed."""
        self.view.now("", "")
        if artifact.name in self.artifacts:  # judge and feedback may both ask for the ORM
            return
        role = role_of(recipe, self.roles, self.judge)
        self.artifacts[artifact.name], self.recipes[artifact.name] = artifact, recipe
        self.roles[artifact.name] = role
        self.steps.append({"name": artifact.name, "cached": cached, "seconds": round(seconds, 3)})
        so_far = {**self._head(), "judge": self.judge, "steps": self.steps}
        write_text(self.folder / UNFINISHED, json.dumps(so_far, indent=1) + "\n")
        if round_of(role):
            self.rounds.append(artifact)
        if artifact.step == "test_orm" and not self.orm:  # the judge's comes first, should the feedback have its own
            self.orm = on_held_out(artifact)
        print(line(len(self.steps), artifact, role, cached=cached, seconds=seconds), flush=True)
        self.tell(lambda tracker: tracker.step(artifact, role, recipe, cached=cached))
        if artifact.step == "judge":
            self._audit(artifact, role)

    def score(self, model: Model, artifact: Artifact) -> None:
        """A model was evaluated."""
        self.scores.append(Scored(model.name, artifact))
        self.view.score(model.name, artifact.metrics["accuracy"])
        benchmark, index = self.exp.benchmark.name, len(self.scores) - 1
        self.tell(lambda tracker: tracker.score(model.name, benchmark, artifact, index))
        self._say(self.auditor.accuracy(model.name, artifact.metrics["accuracy"]))

    def _audit(self, artifact: Artifact, role: str) -> None:
        """Look at what was judged. Raises Alarm where the audit stops the run."""
        if role not in ("teacher", "reflection") and not round_of(role):
            return
        rows = judged_rows([artifact])
        self.auditor.accepted(rows)
        self._say(self.auditor.round(rows) if round_of(role) else [f"{role}: {self.auditor.purity}"])

    def _say(self, words: Sequence[str]) -> None:
        for some in words:
            print(f"     audit      {some}", flush=True)
        write_text(self.folder / AUDIT, json.dumps(self.auditor.as_json(), indent=1) + "\n")
        self.auditor.check()

    def finish(self) -> None:
        """Write and print the results; the last line printed is the path of summary.json."""
        from mathse.report.examples import groups
        from mathse.report.write import write_run

        self.view.now("", "writing the report")
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        found = {step["name"] for step in self.steps if step["cached"]}
        summary = {
            **self._head(),
            **summarise(self.exp.benchmark.name, self.scores, self.rounds, self.orm),
            **self._reflection(),
            **about_data(self.exp, list(self.artifacts.values())),
            **paid(list(self.artifacts.values()), found),
            "ledger": ledger(self.artifacts.values(), self.roles, found),
            "steps": self.steps,
            "seconds": round(time.monotonic() - self.begun, 1),
            "peak_rss_mb": peak // 1024,
        }
        write_text(self.folder / SUMMARY, json.dumps(summary, indent=1) + "\n")
        (self.folder / UNFINISHED).unlink(missing_ok=True)
        run = self.run(summary)
        write_run(self.folder, run)
        self.tell(lambda tracker: tracker.finish(summary, groups(run), self.folder))
        tracked = self.tell.where
        self.tell.close(failed=False)  # before the last line, which nothing may follow
        self.view.now("", "")
        print(closing(summary, self.folder, self.exp.store, tracked), flush=True)
        print(self.folder / SUMMARY, flush=True)

    def run(self, summary: Mapping[str, Any]) -> Run:
        """What was heard, as reports take it."""
        return Run(
            self.name,
            summary,
            self.artifacts,
            self.recipes,
            self.roles,
            self.scores,
            self.rounds,
            self.auditor.as_json(),
        )

    def _head(self) -> dict[str, Any]:
        """What is known of a run before its first step."""
        return {
            "command": shlex.join(["python", os.path.basename(sys.argv[0]), *self.overrides]),
            "seed": self.exp.seed,
            "scale": self.exp.scale,
            "backbone": self.exp.backbone.family,
            "stage": self.exp.stage,
            "K": self.exp.K,
        }

    def _reflection(self) -> dict[str, Any]:
        """reflection of summary.json; empty where the run has none."""
        diagnosed = [artifact for artifact in self.artifacts.values() if artifact.step == "diagnose"]
        judged = [artifact for artifact in self.artifacts.values() if artifact.step == "judge"]
        repaired = [artifact for artifact in judged if self.roles[artifact.name] == "reflection"]
        return {"reflection": quality(judged_rows(diagnosed), judged_rows(repaired))} if diagnosed else {}


def run_name(exp: Experiment) -> str:
    """Readable, and another one for other settings: e.g. reflect-qwen2vl-K2-seed0-1a2b3c4d."""
    identity = {key: value for key, value in canonical(exp).items() if key not in NOT_IDENTITY}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return f"{exp.stage}-{exp.backbone.family}-K{exp.K}-seed{exp.seed}-{digest}"


def describe(exp: Experiment) -> str:
    """The run in one line."""
    stages = "distil" + (f", {exp.K} round" + "s" * (exp.K > 1) if exp.K else "") + REFLECTION[exp.reflection.schedule]
    return f"scale {exp.scale}, backbone {exp.backbone.family}, {stages}, seed {exp.seed}"
