"""`python -m mathse.compare FOLDER FOLDER … [rule=NAME] [out=FILE.md]`: scores side by side, whoever gave them.

FOLDER is the `out` of `mathse.score` or `mathse.evaluate` (runs/scores/…). The first table has a line for each, with all that the score
depends on; the second compares each pair on the problems that both have: an exact test (McNemar's; versions and tries of one
problem count as one); p adjusted for all pairs (Holm); and the least difference that so many problems show (80% power).
What was scored by another rule, parser, extraction or judge is not compared. A third has the types of error, where they were asked for.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathse.command import command, usage
from mathse.report.files import write_text
from mathse.report.text import markdown
from mathse.statistics import detectable_difference, holm, p_value, paired_bootstrap, paired_p

SCORING, ASKING = ("benchmark", "rule", "parser", "extraction", "judge"), ("prompt", "decoding")


@dataclass(frozen=True)
class Score:
    """A score as it was written, and the share of right tries of each problem, with the cluster that it belongs to."""

    name: str
    result: dict[str, Any]
    right: dict[str, float]
    clusters: dict[str, str]

    @property
    def identity(self) -> dict[str, Any]:
        return {"benchmark": self.result["benchmark"], **self.result["identity"]}


def read(folder: Path, rule: str | None = None) -> Score:
    """The score that a folder holds, under one of its rules, by default the first. Raises ValueError where there is none."""
    try:
        whole = json.loads((folder / "score.json").read_text(encoding="utf-8"))
        rows = [json.loads(line) for line in (folder / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()]
        found = whole.get("rules") or {whole["rule"]: whole}
        name = rule or next(iter(found))
        if name not in found:
            raise ValueError(f"{folder}: there is no rule={name} in it; it has {', '.join(found)}")
        tries: dict[str, list[bool]] = {}
        rows = [row for row in rows if "apart" not in row]
        for row in rows:
            tries.setdefault(row["id"], []).append(row["outcomes"][name]["status"] == "correct")
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder}: there is no {Path(error.filename).name} in it; give the out= of a score"
        ) from error
    except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{folder}: no score of problem by problem in it ({error!r}); give the out= of a score"
        ) from error
    return Score(
        whole.get("model") or folder.name,
        {**whole, **found[name]},
        {key: sum(some) / len(some) for key, some in tries.items()},
        {row["id"]: row.get("cluster", row["id"]) for row in rows},
    )


def scores_table(scores: Sequence[Score]) -> list[list[str]]:
    """A line for each score, header first."""
    head = ["model", "benchmark", "n", "correct", "accuracy", "95% interval", "missing", "undecided", "by the judge"]
    rows = []
    for score in scores:
        r, known = score.result, score.identity
        low, high = r["ci95"]
        cells = [f"{100 * r['accuracy']:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", r["missing"], r["undecided"]]
        judge, decoding = known["judge"], known["decoding"]
        cells += [r["decided"]["judge"], known["rule"], known["parser"], known["extraction"]]
        cells += [f"{judge.get('model', '?')}, prompt {judge['prompt']}" if judge else "none", known["prompt"] or "?"]
        how = ", ".join(f"{key} {value}" for key, value in (decoding or {}).items() if key != "_target_")
        rows.append([str(cell) for cell in (score.name, r["benchmark"], r["n"], r["correct"], *cells, how or "?")])
    return [[*head, "rule", "parser", "extraction", "judge", "prompt", "decoding"], *rows]


def pairs_table(scores: Sequence[Score]) -> list[list[str]]:
    """A line for each pair, header first; p and Holm's p are empty for a pair that cannot be compared, and the last cell says why."""
    rows: list[list[str]] = []
    tested: list[tuple[int, float]] = []
    for a, b in itertools.combinations(scores, 2):
        unlike = [key for key in SCORING if a.identity[key] != b.identity[key]]
        both = [key for key in a.right if key in b.right]
        if unlike or not both:
            why = f"scored otherwise: {', '.join(unlike)}" if unlike else "no problem in common"
            rows.append([a.name, b.name, str(len(both)), "", "", "", "", "", why])
            continue
        x, y, clusters = (
            [a.right[key] for key in both],
            [b.right[key] for key in both],
            [a.clusters[key] for key in both],
        )
        p = paired_p(x, y, clusters)
        low, high = paired_bootstrap(x, y, clusters)
        least = detectable_difference(len(set(clusters)), sum(v != w for v, w in zip(x, y, strict=True)) / len(both))
        tested.append((len(rows), p))
        asked = [key for key in ASKING if a.identity[key] != b.identity[key]]
        row = [a.name, b.name, str(len(both)), f"{100 * (sum(y) - sum(x)) / len(both):+.1f}"]
        row += [f"{100 * low:+.1f} to {100 * high:+.1f}", p_value(p), "", f"{100 * least:.1f}"]
        rows.append([*row, f"asked otherwise: {', '.join(asked)}" if asked else ""])
    for (place, _), adjusted in zip(tested, holm([p for _, p in tested]), strict=True):
        rows[place][6] = p_value(adjusted)
    head = ["a", "b", "problems", "b less a", "95% interval", "p", "p (Holm)", "detectable", ""]
    return [head, *rows]


def errors_table(scores: Sequence[Score]) -> list[list[str]]:
    """Percent of the wrong solutions by type of error, a line for each score that has them, header first."""
    known = [(score.name, score.result["errors"]) for score in scores if "errors" in score.result]
    rows = [
        [name, str(sum(types.values())), *(f"{100 * n / max(1, sum(types.values())):.1f}" for n in types.values())]
        for name, types in known
    ]
    return [["model", "wrong", *(known[0][1] if known else ())], *rows]


@command
def main(words: Sequence[str]) -> None:
    """Print the tables, and write them where it is asked for."""
    usage(__doc__, words)
    given = dict(word.partition("=")[::2] for word in words if word.startswith(("rule=", "out=")))
    folders = [Path(word) for word in words if not word.startswith(("rule=", "out="))]
    if not folders:
        raise ValueError("which scores? python -m mathse.compare FOLDER FOLDER … [rule=NAME] [out=FILE.md]")
    scores = [read(folder, given.get("rule")) for folder in folders]
    text = "\n\n".join(
        markdown(table) for table in (scores_table(scores), pairs_table(scores), errors_table(scores)) if len(table) > 1
    )
    if "out" in given:
        write_text(Path(given["out"]), text + "\n")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
