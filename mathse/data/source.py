"""Problems of your own (`data=jsonl`) and of the hub (`data=hub`), checked on the way in.

{"id": "1", "question": "How long is AB?", "images": ["1.png"], "answer": "5 cm", "choices": [], "source": "school", "level": 2}
Every row read is kept or dropped for a reason: dropped.jsonl beside the problems names row, reason and detail. A problem's id is
the hash of question, pictures and choices, so that what is drawn does not depend on where in a file a row stands.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from mathse.benchmarks.stored import Hub
from mathse.data.dropped import Dropped, in_words, write_dropped
from mathse.data.fields import Fields, Parts, Refused
from mathse.data.files import Rows, Unread, dataset_rows, rows_in
from mathse.data.pictures import Pictures
from mathse.progress import progress
from mathse.settings import Count, Positive, settings
from mathse.types import Problem


@settings
class Source:
    """Rows of a file or of the hub, taken as problems.

    `path`: a file (JSONL, JSON, CSV, TSV, Parquet) or a folder that `datasets` saved; where it is null, `name` is a dataset in the
    hub's cache, with its `config`, and code of others is not run. `split`: of a dataset with several. `images`: the folder that
    paths of pictures begin at and must stay below; null: where the file lies. `longest`: characters of a question with its
    choices; `most_images`: of a problem; `strict`: a row that has to be dropped ends the run.
    """

    # The content of path and images is the identity, see `recipe`; what is strict is looked at each time (steps/data.py).
    execution: ClassVar = ("path", "images", "strict")

    path: str | None
    name: str | None
    config: str | None
    split: str | None
    images: str | None
    fields: Fields
    longest: Positive
    most_images: Count
    strict: bool

    @property
    def label(self) -> str:
        """What errors call it."""
        return self.path or self.name or "data"

    @property
    def folder(self) -> Path | None:
        """Where paths of pictures begin; None for none."""
        if self.images:
            return Path(self.images)
        return Path(self.path).parent if self.path else None

    def rows(self) -> Rows:
        """The rows, one at a time. Raises ValueError where there are none to be had."""
        if self.path:
            return rows_in(Path(self.path), self.split)
        return dataset_rows(self._dataset())

    def count(self) -> int:
        """How many rows there are."""
        return self._survey[0] if self.path else len(self._dataset())

    def recipe(self) -> dict[str, Any]:
        """The content of the file and of the pictures that it names; of the hub's, the fingerprint that `datasets` gives to it."""
        if self.path:
            return {"sha256": self._survey[1], "pictures": self._survey[2]} if Path(self.path).exists() else {}
        try:
            return {"fingerprint": self._dataset()._fingerprint}
        except ValueError:
            return {}

    @functools.cached_property
    def _survey(self) -> tuple[int, str, str]:
        """How many rows there are; a hash of the file, or of a folder's; one of the pictures by name and content."""
        assert self.path
        path = Path(self.path)
        content, shown, count = hashlib.sha256(), hashlib.sha256(), 0
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                with file.open("rb") as opened:
                    content.update(hashlib.file_digest(opened, "sha256").digest())
        pictures = Pictures(self.folder or path, path)
        for _, row in self.rows():
            count += 1
            try:
                named = () if isinstance(row, Unread) else self.fields.pictures(row)
            except Refused:
                continue
            for name in named:
                if isinstance(name, str):
                    shown.update(f"{name}\0{pictures.digest(name)}\n".encode())
        return count, content.hexdigest(), shown.hexdigest()[:16]

    def _dataset(self) -> Any:
        if self.name is None:
            raise ValueError(
                "data.path: give your file of problems (JSONL, JSON, CSV, TSV, Parquet) or a folder that `datasets` saved; "
                "or data.name: a dataset of the hub (data=hub)"
            )
        return _cached(Hub(name=self.name, config=self.config, split=self.split or "train"))

    def write(self, out: Path) -> list[Problem]:
        """The problems, their pictures in `out/images` by content; what is dropped and why in `out/dropped.jsonl`.

        Raises ValueError where nothing is left.
        """
        (out / "images").mkdir(exist_ok=True)
        pictures = Pictures(self.folder or out / "images", out / "images")
        problems: dict[str, Problem] = {}
        places: dict[str, str] = {}
        dropped: list[Dropped] = []
        read = 0
        with progress("reading", self.count(), "rows") as shown:
            for place, row in self.rows():
                read += 1
                try:
                    if isinstance(row, Unread):
                        raise Refused("cannot be read", row.why)
                    problem = self._problem(self.fields.parts(row), pictures)
                    if problem.id in problems:
                        other = "" if problems[problem.id].answer == problem.answer else ", with another answer"
                        raise Refused("duplicate", f"the same as {places[problem.id]}{other}")
                    problems[problem.id], places[problem.id] = problem, place
                except Refused as refused:
                    dropped.append(Dropped(place, refused.reason, refused.detail))
                shown.advance(1)
        assert read == len(problems) + len(dropped), f"{read} rows read, {len(problems)} kept, {len(dropped)} dropped"
        write_dropped(out, dropped)
        if not problems:
            why = f"none of {read} rows is a problem: {in_words(dropped)}" if read else "there is no row in it"
            raise ValueError(f"{self.label}: {why}")
        return list(problems.values())

    def _problem(self, parts: Parts, pictures: Pictures) -> Problem:
        if len(parts.question) > self.longest:
            raise Refused("over-long", f"a question of {len(parts.question)} characters (data.longest={self.longest})")
        if len(parts.images) > self.most_images:
            raise Refused("too many pictures", f"{len(parts.images)} (data.most_images={self.most_images})")
        if any(isinstance(image, str) for image in parts.images) and self.folder is None:
            raise Refused("missing picture", "a path, but data.images names no folder")
        images = tuple(pictures.take(image) for image in parts.images)
        content = [parts.question, [Path(image).stem for image in images], parts.choices]
        return Problem(
            hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16],
            parts.question,
            images,
            parts.answer,
            parts.choices,
            source=parts.source,
            level=parts.level,
            facts={"id": parts.own_id} if parts.own_id else {},
        )


@functools.cache
def _cached(hub: Hub) -> Any:
    return hub.dataset()
