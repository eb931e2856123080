"""`python -m mathse.evaluate benchmark=mathvista backbone=qwen2vl [adapter=FOLDER] [name=NAME]`: any model, the same line and table.

Without `adapter` it is the untuned base; FOLDER is an artifact of the store (runs/sft-…) or any folder that holds `adapter/`. The
other words are overrides as train.py takes them: `decoding.samples=8 decoding.temperature=0.7` samples instead of decoding
greedily, `store=…` says where results go. A second run finds them; a killed one goes on. Prints the score as `mathse.score`
does, with pass@k and the majority vote where there are several tries.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mathse.answers import PARSER, equal, extract
from mathse.benchmarks.scoring import Outcome, Scorable, tally
from mathse.config import Experiment, load
from mathse.statistics import majority, pass_at_k
from mathse.store import RECORD, Artifact, Store, canonical
from mathse.types import Judged, Model, read_jsonl


def evaluate(words: Sequence[str]) -> dict[str, Any]:
    """The score that the command's words ask for. Raises ValueError or TypeError saying which word is wrong."""
    from mathse.steps.data import load as load_problems
    from mathse.steps.evaluate import evaluate as evaluate_step

    given = dict(word.partition("=")[::2] for word in words)
    adapter, name = given.pop("adapter", None), given.pop("name", None)
    exp = load(*(f"{key}={value}" for key, value in given.items()))
    found = adapter_of(Path(adapter)) if adapter else None
    if found and exp.runtime.isolate and found.path.parent != Path(exp.store).resolve():
        raise ValueError(
            f"adapter={adapter} is not of store={exp.store}, where steps in processes of their own look; "
            "give runtime.isolate=false"
        )
    model = Model(exp.backbone, found, name or (found.name if found else "base"))
    store = Store(Path(exp.store), exp.runtime, explain=exp.explain)
    problems = store.run(load_problems, data=exp.benchmark.data)
    scored = store.run(evaluate_step, model=model, benchmark=exp.benchmark, problems=problems, sampling=exp.decoding)
    rows = read_jsonl(Judged, scored.path / "judged.jsonl")
    return {"model": model.name, **result(exp, rows), "outcomes": str(scored.path / "judged.jsonl")}


def adapter_of(folder: Path) -> Artifact:
    """The adapter that a folder holds: by its name if the store made it, else by the hash of its weights."""
    if not (folder / "adapter").is_dir():
        raise ValueError(
            f"adapter={folder}: there is no folder adapter/ in it; give the folder above the adapter's files"
        )
    if (folder / RECORD).is_file():
        return Artifact(folder.resolve().name, folder.resolve())
    digest = hashlib.sha256()
    for file in sorted((folder / "adapter").iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return Artifact(f"adapter-{digest.hexdigest()[:12]}", folder.resolve())


def result(exp: Experiment, rows: Sequence[Judged]) -> dict[str, Any]:
    """The score of judged solutions; with several tries of a problem, also what they are worth together."""
    from mathse.steps.generate import SOLVE

    benchmark = exp.benchmark
    if not isinstance(benchmark, Scorable):
        raise ValueError(f"benchmark={benchmark.name} cannot be tabulated; it should be a Scorable")
    tries: dict[str, list[Judged]] = {}
    for row in rows:
        tries.setdefault(row.solution.problem.id, []).append(row)
    right = [[row.verdict.status == "correct" for row in group] for group in tries.values()]
    outcomes = [Outcome("correct" if row.verdict.status == "correct" else "wrong") for row in rows]
    score = {
        "benchmark": benchmark.name,
        "rule": next(iter(benchmark.rules())),
        **tally(benchmark, [row.solution.problem for row in rows], outcomes),
        "identity": {
            "parser": PARSER,
            "judge": None,
            "prompt": hashlib.sha256(SOLVE.encode()).hexdigest()[:12],
            "decoding": canonical(exp.decoding),
        },
    }
    n = exp.decoding.samples
    if n > 1:
        score["tries"] = n
        score["pass_at_k"] = {
            str(k): sum(pass_at_k(len(some), sum(some), k) for some in right) / len(right)
            for k in sorted({2**power for power in range(n.bit_length()) if 2**power <= n} | {n})
        }
        voted = [benchmark.score(group[0].solution.problem, _vote(group)) for group in tries.values()]
        score["majority"] = sum(voted) / len(voted)
    return score


def _vote(group: Sequence[Judged]) -> str:
    """The first solution that ends in the answer that most of the tries give; empty where none gives an answer."""
    problem = group[0].solution.problem
    answers = [extract(row.solution.text, problem) for row in group]
    winner = majority(answers, lambda a, b: equal(a, b, problem))
    return "" if winner is None else group[answers.index(winner)].solution.text


def main() -> int:
    """The command; 2 and one line where it was asked wrongly."""
    try:
        score = evaluate(sys.argv[1:])
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(score, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
