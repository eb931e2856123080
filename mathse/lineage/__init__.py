"""`python -m mathse.lineage ROW [store=runs] [run=runs/reports/…]`: where a solution came from, and what became of it.

ROW is a solution's id as it stands in JSONL, reports and the exported Parquet, or a beginning of it that is no other's:
`<problem>/<author>/<index>`, with the step that wrote it before it where several did (`generate-0123456789ab/<problem>/M_1/0`).
All is read from the records and rows of a store; nothing is kept beside them. `run=` looks at the steps of one run only.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathse.store import RECORD
from mathse.types import Judged, Solution, read_jsonl, row_from_json

WRITERS = {  # steps that solutions come from, and where they stand in them
    "distill": "solutions.jsonl",
    "generate": "solutions.jsonl",
    "reflect": "solutions.jsonl",
    "write_up": "judged.jsonl",
    "evaluate": "judged.jsonl",
}
MOST_NAMED = 8  # candidates that an error names


@dataclass(frozen=True)
class Written:
    """A solution and the step that wrote it."""

    step: str
    solution: Solution

    @property
    def id(self) -> str:
        return f"{self.step}/{self.solution.id}"


class Steps:
    """The finished steps of a store, or of one run in it: records, rows, and which step read which."""

    def __init__(self, root: Path, only: frozenset[str] | None = None) -> None:
        self.root = root
        self.records: dict[str, dict[str, Any]] = {}
        for path in sorted(root.glob(f"*-*/{RECORD}")):
            name = path.parent.name
            if not name.endswith(".partial") and (only is None or name in only):
                self.records[name] = _record(path)
        if not self.records:
            raise ValueError(f"store={root}: no step is stored there (<step>-<hash>/{RECORD})")

    @functools.cached_property
    def _readers(self) -> dict[str, list[str]]:
        readers: dict[str, list[str]] = {}
        for name, record in self.records.items():
            for read in dict.fromkeys(artifacts_in(record["inputs"])):
                readers.setdefault(read, []).append(name)
        return readers

    def readers(self, name: str, step: str) -> list[str]:
        """The steps of that kind that were given the artifact `name`, directly or in a model."""
        return [reader for reader in self._readers.get(name, []) if kind_of(reader) == step]

    def inputs(self, name: str) -> Mapping[str, Any]:
        """The recipe's inputs of a step. Raises ValueError where the store lacks it."""
        if name not in self.records:
            raise ValueError(f"{self.root / name}: not in the store, so what it did cannot be told")
        inputs: Mapping[str, Any] = self.records[name]["inputs"]
        return inputs

    @functools.lru_cache(maxsize=64)  # noqa: B019 -- one command reads one store
    def judged(self, name: str) -> dict[str, Judged]:
        """The judged solutions of a step by the solution's id."""
        return {row.solution.id: row for row in read_jsonl(Judged, self.root / name / "judged.jsonl")}

    @functools.lru_cache(maxsize=64)  # noqa: B019
    def solutions(self, name: str) -> dict[str, Solution]:
        """The solutions that a step wrote, by id."""
        if WRITERS[kind_of(name)] == "judged.jsonl":
            return {id: row.solution for id, row in self.judged(name).items()}
        return {row.id: row for row in read_jsonl(Solution, self.root / name / "solutions.jsonl")}

    def ancestors(self, name: str) -> set[str]:
        """All steps that a step rests on."""
        found: set[str] = set()
        todo = [name]
        while todo:
            new = set(artifacts_in(self.inputs(todo.pop()))) - found
            found |= new
            todo += new
        return found

    def model_of(self, adapter: str) -> str:
        """What the model of a fine-tuning step is called where it was asked: M_1, orm …; the step's name where it never was."""
        for reader in self._readers.get(adapter, []):
            for model in models_in(self.records[reader]["inputs"]):
                if model["adapter"] == {"artifact": adapter}:
                    return str(model["name"])
        return kind_of(adapter)

    def find(self, row: str) -> Written:
        """The solution that `row` means. Raises ValueError that names the candidates where it is none or several."""
        step, _, rest = row.partition("/")
        named = step in self.records
        found = list(self._search(rest if named else row, [step] if named else list(self.records)))
        exact = [one for one in found if one.solution.id == (rest if named else row)]
        found = exact or found
        if len(found) == 1:
            return found[0]
        if not found:
            raise ValueError(f"{row}: no solution in {self.root} begins like this; ids look like <problem>/M_1/0")
        shown = ", ".join(one.id for one in found[:MOST_NAMED])
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise ValueError(f"{row}: {len(found)} solutions begin like this, say which: {shown}{more}")

    def _search(self, prefix: str, steps: list[str]) -> Iterator[Written]:
        problem = json.dumps(prefix.partition("/")[0], ensure_ascii=False)[1:-1]
        for name in steps:
            file = WRITERS.get(kind_of(name))
            if file is None:
                continue
            with (self.root / name / file).open(encoding="utf-8") as lines:
                for line in lines:
                    if problem in line:  # a row is only read where its problem may be the one
                        data = json.loads(line)
                        data = data.get("solution", data)
                        solution = row_from_json(Solution, data, self.root / name)
                        if solution.id.startswith(prefix):
                            yield Written(name, solution)


def _record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["inputs"], record["metrics"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: missing or broken; delete {path.parent} and it will be computed again") from error
    return record


def kind_of(name: str) -> str:
    """The step's name of an artifact's."""
    return name.rpartition("-")[0]


def artifacts_in(value: Any) -> Iterator[str]:
    """The names of all artifacts in a recipe's inputs."""
    if isinstance(value, Mapping):
        if set(value) == {"artifact"}:
            yield value["artifact"]
        else:
            for member in value.values():
                yield from artifacts_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from artifacts_in(member)


def models_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """All models in a recipe's inputs, in canonical form."""
    if isinstance(value, Mapping):
        if value.get("_target_") == "mathse.types.Model":
            yield value
        for member in value.values():
            yield from models_in(member)
