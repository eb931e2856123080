"""`python -m mathse.evaluate benchmark=mathvista [backbone=qwen2vl] [adapter=FOLDER] [engine=server engine.model=…] [name=NAME]`: any
model, the same line and the same table.

    (nothing)                      the untuned base
    adapter=runs/sft-…             one of ours
    adapter=FOLDER                 anybody's adapter in peft's format, for the checkpoint that backbone= names
    engine=server engine.model=…   a model behind any endpoint that speaks the OpenAI chat format (conf/engine/server.yaml)

Decoding is greedy; `decoding.samples=8 decoding.temperature=0.7` takes several tries, and gives pass@k and the majority's answer too, and
with `orm=runs/train_orm-…` the best of n by that ORM's score. With `orm=` the wrong solutions are counted by the type of error that the
ORM's analyses speak of, too. `rule=`, `teacher=` (the judge of what rules leave undecided) and `out=`
are as in `mathse.score`; the score and each problem's outcome lie in `out` (by default under `store=`). The other words are overrides as
train.py takes them. What was answered is found by a second run; a killed one goes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mathse.benchmarks.scoring import Response, Scorable
from mathse.benchmarks.tables import Report, Tries, report, rule_named
from mathse.benchmarks.tries import Scores, together
from mathse.command import command, usage
from mathse.config import Experiment, load, load_with_engine
from mathse.score import aside, say, write
from mathse.store import RECORD, Artifact, Store, canonical
from mathse.types import Judged, Model, Problem, read_jsonl

if TYPE_CHECKING:
    from mathse.backbones import Backbone
    from mathse.feedback.orm import TrainedOrm

OWN = ("adapter", "engine", "name", "orm", "rule", "out")


def evaluate(words: Sequence[str]) -> Report:
    """The score that the command's words ask for. Raises ValueError or TypeError saying which word is wrong."""
    from mathse.steps.data import load as load_problems
    from mathse.steps.evaluate import evaluate as evaluate_step

    given = dict(word.partition("=")[::2] for word in words)
    ours = {key: given.pop(key) for key in OWN if key in given and not (key == "orm" and _is_option(given[key]))}
    overrides = [f"{key}={value}" for key, value in given.items()]
    name, engine = ours.get("engine", "torch"), None
    if name == "torch":
        exp = load(*overrides)
    else:
        exp, engine = load_with_engine(name, *overrides)
    if not isinstance(exp.benchmark, Scorable):
        raise ValueError(f"benchmark={exp.benchmark.name} cannot be tabulated; it should be a Scorable")
    rule = rule_named(exp.benchmark, ours.get("rule", "authors"))
    store = Store(Path(exp.store), exp.runtime, explain=exp.explain, name=f"evaluate-{exp.benchmark.name}")
    if engine is None:
        model = model_of(exp, store, ours.get("adapter"))
    elif "adapter" in ours:
        raise ValueError(f"adapter={ours['adapter']}: engine={name} answers by itself and takes no adapter")
    else:
        model = Model(cast("Backbone", engine), None, str(given.get("engine.model", name)))
    model = dataclasses.replace(model, name=ours.get("name", model.name))
    source = orm_of(exp, Path(ours["orm"])) if "orm" in ours else None
    problems = store.run(load_problems, data=exp.benchmark.data)
    scored = store.run(evaluate_step, model=model, benchmark=exp.benchmark, problems=problems, sampling=exp.decoding)
    scores = _scores(store, scored, source) if source and exp.decoding.samples > 1 else None
    found = result(
        exp,
        read_jsonl(Problem, problems.path / "problems.jsonl"),
        read_jsonl(Judged, scored.path / "judged.jsonl"),
        rule=rule,
        judged="teacher" in given,
        scores=scores,
    )
    if source:
        found.result["errors"] = _errors(store, scored, source)
        found.result["orm"] = {"name": source.by, "sees_the_reference": source.use_reference}
    out = Path(ours.get("out") or Path(exp.store) / "scores" / f"{exp.benchmark.name}-{scored.name}")
    about = {"model": model.name, "solutions": str(scored.path / "judged.jsonl")}
    found = dataclasses.replace(found, result={**about, **found.result, "out": str(out)})
    write(found, out)
    return found


def _is_option(value: str) -> bool:
    """Whether a word orm= names an option of conf/orm instead of a folder."""
    return "/" not in value and not Path(value).is_dir()


def model_of(exp: Experiment, store: Store, adapter: str | None) -> Model:
    """The base, or the base with the adapter that a folder holds: as the store has it, or a copy in the store."""
    from mathse.steps.adopt import AdapterFolder, adopt

    if adapter is None:
        return Model(exp.backbone)
    folder = AdapterFolder(path=adapter)
    made_for, ours = folder.base, getattr(exp.backbone, "checkpoint", "")
    if "/" in made_for and "/" in ours and not (Path(made_for).exists() or Path(ours).exists()) and made_for != ours:
        raise ValueError(
            f"adapter={adapter}: it was made for {made_for}, and backbone.checkpoint is {ours}; give backbone.checkpoint={made_for}"
        )
    path = Path(adapter).resolve()
    if path.parent == store.root and (path / RECORD).is_file():
        return Model(exp.backbone, store.get(path.name), path.name)
    return Model(exp.backbone, store.run(adopt, adapter=folder), path.name)


def orm_of(exp: Experiment, folder: Path) -> TrainedOrm:
    """The ORM that a step train_orm left in this store, asked as `orm.*` says. Raises ValueError where it left none there."""
    from mathse.export import backbone_of
    from mathse.feedback.orm import Orm, TrainedOrm

    backbone = backbone_of(folder, "orm")
    inputs = json.loads((folder / RECORD).read_text(encoding="utf-8"))["inputs"]
    if "use_reference" not in inputs or not isinstance(exp.orm, Orm):
        raise ValueError(f"orm={folder}: no ORM; give the folder of a step train_orm")
    if folder.resolve().parent != Path(exp.store).resolve():
        raise ValueError(f"orm={folder}: it should be in store={exp.store}")
    return TrainedOrm(
        model=Model(backbone, Artifact(folder.resolve().name, folder.resolve()), "orm"),
        use_reference=inputs["use_reference"],
        max_new_tokens=exp.orm.max_new_tokens,
        judge_says_why=False,
        threshold=None,
    )


def _scores(store: Store, scored: Artifact, source: TrainedOrm) -> Scores:
    """What the ORM makes of each try."""
    from mathse.steps.judging import rejudge

    judged = store.run(rejudge, judged=scored, source=source)
    scores: dict[int, dict[str, float | None]] = {}
    for row in read_jsonl(Judged, judged.path / "judged.jsonl"):
        scores.setdefault(row.solution.index, {})[row.solution.problem.id] = row.verdict.score
    return [scores[index] for index in sorted(scores)]


def _errors(store: Store, scored: Artifact, source: TrainedOrm) -> dict[str, int]:
    """The wrong solutions by the type of error that the ORM's analyses speak of."""
    from mathse.report.errors import error_counts
    from mathse.steps.judging import diagnose

    asked = store.run(diagnose, judged=[scored], source=source, repeated="all", solved_later="keep")
    return error_counts(read_jsonl(Judged, asked.path / "judged.jsonl"))


def tries_of(rows: Sequence[Judged], samples: int) -> tuple[Tries, list[str]]:
    """The responses of each try by problem id, and the ids of problems that were too long to be asked."""
    from mathse.steps.evaluate import TOO_LONG

    tries: list[dict[str, Response]] = [{} for _ in range(samples)]
    too_long = dict.fromkeys(row.solution.problem.id for row in rows if row.verdict.analysis == TOO_LONG)
    for row in rows:
        key = row.solution.problem.id
        if key not in too_long:
            tries[row.solution.index][key] = Response(key, row.solution.text)
    return tries, list(too_long)


def result(
    exp: Experiment,
    problems: Sequence[Problem],
    rows: Sequence[Judged],
    *,
    rule: str = "authors",
    judged: bool = False,
    scores: Scores | None = None,
) -> Report:
    """The score of evaluated solutions, as `mathse.score` gives it; with several tries of a problem, also what they are worth together.

    `judged`: the Experiment's teacher judges what the rule leaves undecided.
    """
    benchmark = exp.benchmark
    assert isinstance(benchmark, Scorable)
    tries, too_long = tries_of(rows, exp.decoding.samples)
    asked = {"prompt": _prompt_hash(benchmark), "decoding": canonical(exp.decoding)}
    found = report(benchmark, problems, tries, rule=rule, teacher=exp.teacher if judged else None, asked=asked)
    inputs: Mapping[str, Any] = {"too long": {"count": len(too_long), "first": too_long[:10]}} if too_long else {}
    more = {}
    if len(tries) > 1:
        rules = benchmark.rules()
        more = together(problems, tries, rules.get(rule) or next(iter(rules.values())), scores)
    faults = [f"{len(too_long)} problems are too long for the backbone: {', '.join(too_long[:10])}"] if too_long else []
    return Report({**found.result, **more, "inputs": dict(inputs)}, found.outcomes, faults)


def _prompt_hash(benchmark: Scorable) -> str:
    """Of the words that asked for the solutions, and of how the benchmark puts its questions."""
    from mathse.steps.generate import SOLVE, SOLVE_ZH

    data = getattr(benchmark, "data", None)
    return hashlib.sha256(f"{SOLVE}{SOLVE_ZH}{getattr(data, 'prompt', '')}".encode()).hexdigest()[:12]


@command
def main(words: Sequence[str]) -> None:
    """Print the score, and what could not be asked on stderr."""
    usage(__doc__, words)
    with aside():
        report = evaluate(words)
    say(report)


if __name__ == "__main__":
    sys.exit(main())
