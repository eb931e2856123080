"""What each step can be expected to do, by the metrics of its inputs: so many calls, texts and rows, and the metrics it would leave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathse.backbones import Backbone
from mathse.backbones.qlora import Lora
from mathse.feedback.orm import TrainedOrm
from mathse.feedback.teacher import SCHEMA, ask_for_annotation
from mathse.fit import Fit
from mathse.generation import Sampling
from mathse.plan.assumptions import Assumptions, Work
from mathse.plan.lines import Line
from mathse.report.roles import STUDENT
from mathse.steps.annotate import chosen
from mathse.steps.data import rejected
from mathse.steps.generate import ask
from mathse.steps.reflect import ask_for_reflection
from mathse.store import Artifact
from mathse.teacher.calls import DATABASE, Calls
from mathse.teacher.openai import ApiTeacher
from mathse.teacher.prices import PICTURE
from mathse.types import Chat, Model, Problem, read_jsonl

Metrics = Mapping[str, float]


def exists(value: Any) -> bool:
    """Whether all artifacts in a step's input are stored."""
    members = value if isinstance(value, (list, tuple)) else [value]
    return all(member.path.exists() for member in members if isinstance(member, Artifact))


@dataclass
class Expected:
    """The steps of a run by name, as methods that fill in the line of the bill and give the metrics that would be left.

    `ranks`: of the adapters that are not there yet, by artifact."""

    assumed: Assumptions
    ranks: dict[str, int]

    # ---- problems ----

    def load(self, line: Line, data: Any) -> Metrics:
        count = self.assumed.test_problems if line.role == "test" else self.assumed.problems
        assert count is not None
        return {"problems": count}

    def decontaminate(self, line: Line, problems: Artifact, **rest: Any) -> Metrics:
        return problems.metrics

    def fitting(self, line: Line, problems: Artifact, **rest: Any) -> Metrics:
        return problems.metrics

    def draw(self, line: Line, problems: Artifact, size: int, seed: Any) -> Metrics:
        if size > problems.metrics["problems"]:
            raise ValueError(
                f"{size} problems are asked for (seed_size or orm_problems) but only {problems.metrics['problems']:.0f} are there; "
                "make data larger, or say how many there will be with plan.problems=…"
            )
        return {"problems": size}

    def remaining(self, line: Line, problems: Artifact, solved: list[Artifact]) -> Metrics:
        taken = sum(one.metrics.get("problems", one.metrics.get("accepted", 0)) for one in solved)
        return {"problems": max(0, problems.metrics["problems"] - taken)}

    # ---- the teacher ----

    def distill(self, line: Line, problems: Artifact, teacher: Any) -> Metrics:
        chats = None
        if problems.path.exists():
            chats = [ask(problem) for problem in read_jsonl(Problem, problems.path / "problems.jsonl")]
        self._asked(line, teacher, round(problems.metrics["problems"]), chats)
        return {"solutions": problems.metrics["problems"]}

    def annotate(self, line: Line, judged: list[Artifact], teacher: Any, size: int | None, **rest: Any) -> Metrics:
        counts = [sum(one.metrics[name] for one in judged) for name in ("rejected", "accepted")]
        count = round(min(*counts, math.inf if size is None else size // 2))
        chats = None
        if exists(judged):
            chats = [ask_for_annotation(row.solution) for row in chosen(judged, size, **rest)[0]]
            count = len(chats)
        self._asked(line, teacher, count, chats, SCHEMA)
        return {"wrong": count, "right": count}

    def reflect(self, line: Line, diagnosed: Artifact, teacher: Any, **rest: Any) -> Metrics:
        count = round(diagnosed.metrics["diagnosed"])
        chats = [ask_for_reflection(row) for row in rejected([diagnosed])] if diagnosed.path.exists() else None
        self._asked(line, teacher, count, chats)
        return {"solutions": count}

    def _asked(
        self, line: Line, teacher: Any, count: int, chats: Sequence[Chat] | None, schema: dict[str, Any] | None = None
    ) -> None:
        """Count `count` calls; where the chats are known, look them up in the cache."""
        line.calls = count
        if not isinstance(teacher, ApiTeacher):
            return
        picture = teacher.price.picture if teacher.price else PICTURE
        words = self.assumed.written["analysis" if line.step == "annotate" else "solution"]
        wrote, cap, text = min(words, teacher.max_tokens), teacher.max_tokens, self.assumed.read[line.step]
        if chats is None:
            read, most_read, left = count * (text + picture), count * (4 * text + picture), count
        else:
            calls = teacher.calls(chats, schema)
            if (Path(teacher.cache) / DATABASE).exists():
                with Calls(Path(teacher.cache)) as known:
                    calls = [call for call in calls if known.find(call.key) is None]
            read = sum(call.likely(picture) - cap for call in calls)
            most_read, left = sum(call.most_read(picture) for call in calls), len(calls)
            line.kept = count - left
        line.tokens_in, line.tokens_out = read, left * wrote
        line.dollars = teacher.dollars(read, 0, left * wrote) * teacher.share
        line.most = teacher.dollars(most_read, 0, left * cap) * teacher.share

    # ---- models here ----

    def sft(self, line: Line, data: list[Artifact], backbone: Backbone, fit: Fit, lora: Lora, **rest: Any) -> Metrics:
        return self._trained(line, sum(one.metrics["accepted"] for one in data), backbone, fit, lora)

    def train_orm(
        self, line: Line, data: Artifact, backbone: Backbone, fit: Fit, lora: Lora, held_out: float, **rest: Any
    ) -> Metrics:
        rows = (data.metrics["wrong"] + data.metrics["right"]) * (1 - held_out)
        return self._trained(line, rows, backbone, fit, lora, judge=True)

    def _trained(
        self, line: Line, rows: float, backbone: Backbone, fit: Fit, lora: Lora, *, judge: bool = False
    ) -> Metrics:
        steps = max(fit.min_steps, math.ceil(rows * (1 - fit.validation) * fit.epochs / fit.batch_size))
        line.rows = steps * fit.batch_size
        w = self.assumed.written
        reply = (w["verdict"] + w["analysis"]) / 2 if judge else w["solution"]  # half of the ORM's rows are wrong
        asked = self.assumed.read["question"] + (w["solution"] if judge else 0)
        known = self.assumed.member(backbone, lora.rank)
        picture = known[1] if known else 0
        line.learned = line.rows * (asked + picture + reply)
        work = Work(
            passed=line.learned, trained=line.rows * reply, read=0, generated=0, picture_tokens=line.rows * picture
        )
        line.hours = self.assumed.seconds(known[0], work) / 3600 if known else None
        return {"rows": rows, "steps": steps}

    def generate(self, line: Line, model: Model, problems: Artifact, sampling: Sampling, **rest: Any) -> Metrics:
        self._written(line, model, round(problems.metrics["problems"]), sampling)
        return {"solutions": line.texts}

    def evaluate(self, line: Line, model: Model, problems: Artifact, sampling: Sampling, **rest: Any) -> Metrics:
        self._written(line, model, round(problems.metrics["problems"]), sampling)
        return {"n": line.texts}

    def _written(self, line: Line, model: Model, problems: int, sampling: Sampling) -> None:
        tokens = min(self.assumed.written["solution"], sampling.max_new_tokens)
        line.texts = problems * sampling.samples
        # A prompt is read once for all samples of its problem.
        self._hours(line, model, problems, self.assumed.read["question"], line.texts * tokens)

    def judge(self, line: Line, solutions: Artifact, source: Any) -> Metrics:
        count = solutions.metrics["solutions"]
        drafts = line.role == STUDENT and solutions.step == "generate"
        accepted = self.assumed.taken("drafts" if drafts else solutions.step, count)
        self._asked_model(line, source, round(count), why=False)
        return {"generated": count, "accepted": accepted, "rejected": count - accepted}

    def diagnose(self, line: Line, judged: list[Artifact], source: Any, repeated: str, **rest: Any) -> Metrics:
        counts = [one.metrics["rejected"] for one in judged]
        kept = sum(counts) if repeated == "all" else counts[-1]
        self._asked_model(line, source, round(kept), why=True)
        return {"rejected": sum(counts), "kept": kept, "diagnosed": kept}

    def test_orm(self, line: Line, source: Any, data: Artifact, held_out: float) -> Metrics:
        count = round((data.metrics["wrong"] + data.metrics["right"]) * held_out)
        self._asked_model(line, source, count, why=True)
        return {}

    def write_up(self, line: Line, repaired: Artifact, **rest: Any) -> Metrics:
        return {"accepted": repaired.metrics["accepted"]}

    def _asked_model(self, line: Line, source: Any, count: int, *, why: bool) -> None:
        """Verdicts by a source that has a model of its own; any other asks none here."""
        if not isinstance(source, TrainedOrm):
            return
        line.texts = count
        w = self.assumed.written
        words = w["verdict"] + (w["analysis"] if why or source.judge_says_why else 0)
        self._hours(line, source.model, count, self.assumed.read["question"] + w["solution"], count * words)

    def _hours(self, line: Line, model: Model, prompts: int, text: float, written: float) -> None:
        line.written = written
        rank = self._rank(model)
        known = self.assumed.member(model.backbone, rank)
        if known is None:
            line.hours = None
            return
        size, picture = known
        seen = prompts * picture
        work = Work(passed=0, trained=0, read=prompts * text + seen, generated=written, picture_tokens=seen)
        line.hours = self.assumed.seconds(size, work) / 3600

    def _rank(self, model: Model) -> int:
        return self.ranks.get(model.adapter.name, 0) if model.adapter else 0
