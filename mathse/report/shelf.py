"""What W&B keeps beside numbers: D_SFT, adapters and ORM as artifacts, and a table of solutions with their pictures."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathse.report.examples import Example, Group
from mathse.report.files import shown
from mathse.store import Artifact

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


class Shelf:
    """Artifacts of one W&B run, each under our recipe's hash as its alias, so that a step is one version whichever run shows it.

    A fine-tuning takes its data as an input and gives its adapter as an output, which is the graph that W&B draws. What a server has
    already is used, not sent again; offline, where nobody can be asked, W&B finds out when it is synced, by the same checksums.
    """

    def __init__(self, module: Any, run: Any, *, upload: bool) -> None:
        self.wandb, self.run, self.upload = module, run, upload

    def keep(self, artifact: Artifact, role: str, recipe: Mapping[str, Any], cached: bool) -> None:
        """The adapter that an sft or train_orm step left, and what it learned from."""
        orm = artifact.step == "train_orm"
        data = recipe["inputs"]["data"]
        names = [one["artifact"] for one in (data if isinstance(data, (list, tuple)) else [data])]
        alias, root = artifact.name.rpartition("-")[2], artifact.path.parent
        about = {"model": role, "step": artifact.name, "learned_from": names}
        files = {f"{name}/judged.jsonl": root / name / "judged.jsonl" for name in names}
        rows = {"rows": artifact.metrics.get("rows"), "dropped": artifact.metrics.get("dropped")}
        self._shelve("orm_data" if orm else "D_SFT", "dataset", alias, files, {**about, **rows}, used=True)
        adapter = artifact.path / "adapter"
        files = {path.name: path for path in sorted(adapter.glob("*")) if path.is_file()}
        self._shelve("orm" if orm else "adapter", "model", alias, files, {**about, **artifact.metrics}, used=cached)

    def _shelve(
        self, name: str, kind: str, alias: str, files: Mapping[str, Path], about: Mapping[str, Any], *, used: bool
    ) -> None:
        if not self.run.offline:
            path = f"{self.run.entity}/{self.run.project}/{name}:{alias}"
            if self._there(path, kind):
                self.run.use_artifact(path, type=kind)
                return
        shelved = self.wandb.Artifact(name, type=kind, metadata=dict(about))
        for called, path in files.items():
            if self.upload:
                shelved.add_file(str(path), name=called, policy="immutable", skip_cache=True)
            else:
                shelved.add_reference(path.resolve().as_uri(), name=called)
        self.run.log_artifact(shelved, aliases=[alias])
        if used and not self.run.offline:
            shelved.wait()
            self.run.use_artifact(shelved)

    def _there(self, path: str, kind: str) -> bool:
        try:
            return bool(self.wandb.Api().artifact_exists(path, type=kind))
        except Exception:  # nobody can say: it is sent, and W&B sees by the checksums
            return False


def samples(module: Any, groups: Sequence[Group], most: int) -> Any:
    """A table of at most so many solutions, with their pictures, each content once."""
    # A turn of each group, then another: where there are more than fit, every stage is there.
    turns = itertools.zip_longest(*([(group.title, example) for example in group.examples] for group in groups))
    chosen = [entry for turn in turns for entry in turn if entry][:most]
    table = module.Table(columns=list(COLUMNS))
    pictures: dict[str, Any] = {}
    titles = [group.title for group in groups]
    for title, example in sorted(chosen, key=lambda entry: titles.index(entry[0])):
        table.add_data(title, *_cells(module, example, pictures))
    return table


def _cells(module: Any, example: Example, pictures: dict[str, Any]) -> tuple[Any, ...]:
    solution, verdict = example.judged.solution, example.judged.verdict
    problem = solution.problem
    return (
        _picture(module, problem.images[0], pictures) if problem.images else None,
        shown(problem.question),
        shown(problem.answer),
        shown(solution.author),
        shown(solution.text),
        verdict.status,
        verdict.error_step,
        shown(verdict.analysis),
        shown(example.repair.solution.text) if example.repair else "",
    )


def _picture(module: Any, path: str, pictures: dict[str, Any]) -> Any:
    """The picture for W&B; None where it cannot be read."""
    from PIL import Image

    try:
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        if digest not in pictures:
            with Image.open(path) as picture:
                picture.load()
                pictures[digest] = module.Image(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return pictures[digest]
