"""Problems of a public benchmark: out of a local file in the authors' format, or out of the hub's cache. Never downloaded here.

A file is JSON (a list of rows, or an object of rows by id) or JSONL; pictures are named relative to its folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mathse.data.files import Row, Unread, dataset_rows, rows_in
from mathse.data.pictures import keep
from mathse.settings import settings
from mathse.types import Problem


@settings
class Hub:
    """A dataset in the hub's cache."""

    name: str
    config: str | None
    split: str

    def dataset(self) -> Any:
        """It, as `datasets` has it. Raises ValueError saying how to get it where the cache has not got it."""
        import datasets
        from huggingface_hub import constants

        # Both read the environment when they are imported, which may have been long ago; asking a network that is not there takes
        # half a minute.
        before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
        try:
            return datasets.load_dataset(self.name, self.config, split=self.split)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{self.name} is not in the hub's cache; fill it where there is a network with python -c "
                f"\"import datasets; datasets.load_dataset('{self.name}', {self.config!r}, split='{self.split}')\", "
                "or give a local file with benchmark.data.path=FILE (data=jsonl data.path=FILE for training)"
            ) from error
        finally:
            constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before

    def rows(self) -> Iterator[Row]:
        """Its rows, one at a time, pictures as bytes. Raises ValueError where one cannot be read."""
        for place, row in dataset_rows(self.dataset()):
            if isinstance(row, Unread):
                raise ValueError(f"{self.name}, {place}: {row.why}")
            yield row


@settings
class Stored:
    """`path`: the local file, or null for the dataset `hub` in the hub's cache."""

    path: str | None
    hub: Hub | None

    def recipe(self) -> dict[str, str]:
        """The content of the local file and of the pictures beside it is what is computed with, not their place."""
        return self._content if self.path is not None and Path(self.path).is_file() else {}

    @functools.cached_property
    def _content(self) -> dict[str, str]:
        assert self.path is not None
        content = {"sha256": hashlib.sha256(Path(self.path).read_bytes()).hexdigest()}
        with contextlib.suppress(ValueError):  # the step says what is wrong with the file
            shown = sorted({image for problem in self.read() for image in problem.images if Path(image).is_file()})
            if shown:
                digests = "".join(hashlib.sha256(Path(image).read_bytes()).hexdigest() for image in shown)
                content["pictures"] = hashlib.sha256(digests.encode()).hexdigest()[:16]
        return content

    def problem(self, row: Row) -> Problem:
        """The problem that a row of the authors' is. Raises KeyError or ValueError for another row."""
        raise NotImplementedError

    def read(self) -> list[Problem]:
        """The problems of `path`, their pictures where they lie (or not there)."""
        assert self.path is not None
        path = Path(self.path)
        problems, places = [], dict[str, str]()
        for place, row in rows_of(path):
            try:
                problem = checked(self.problem(row))
            except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
                why = f"it has no {error}, only {', '.join(row)}" if isinstance(error, KeyError) else error
                raise ValueError(
                    f"{path}, {place}: no problem of {self.hub.name if self.hub else 'this benchmark'} ({why})"
                ) from error
            if problem.id in places:
                raise ValueError(f"{path}, {place}: the id {problem.id!r} is that of {places[problem.id]} too")
            places[problem.id] = place
            problems.append(_with_pictures(problem, [str(path.parent / image) for image in problem.images]))
        if not problems:
            raise ValueError(f"{path}: no problems")
        return problems

    def write(self, out: Path) -> list[Problem]:
        """The problems with their pictures in `out/images`, named by content."""
        (out / "images").mkdir(exist_ok=True)
        if self.path is None:
            if self.hub is None:
                raise ValueError("this benchmark is on no hub; give its file with benchmark.data.path=FILE")
            return self._from_hub(self.hub, out / "images")
        problems = []
        for problem in self.read():
            missing = [image for image in problem.images if not Path(image).is_file()]
            if missing:
                raise ValueError(
                    f"{missing[0]} is not there (problem {problem.id}); put the pictures beside {self.path}, as it names them"
                )
            kept = [keep(Path(image).read_bytes(), Path(image).suffix, out / "images") for image in problem.images]
            problems.append(_with_pictures(problem, kept))
        return problems

    def _from_hub(self, hub: Hub, images: Path) -> list[Problem]:
        problems = []
        for row in hub.rows():
            pictures = [value for value in row.values() if isinstance(value, dict) and value.get("bytes")]
            kept = [keep(picture["bytes"], Path(picture.get("path") or "a.png").suffix, images) for picture in pictures]
            problems.append(_with_pictures(self.problem(row), kept[:1]))  # some hold the picture twice
        return problems


def checked(problem: Problem) -> Problem:
    """The problem, whose parts are what they should be. Raises ValueError naming one that is not: a file may hold anything."""
    for name, may_be_empty in {"question": bool(problem.images), "answer": False}.items():  # a picture may hold it all
        if not isinstance(value := getattr(problem, name), str) or not (value.strip() or may_be_empty):
            raise ValueError(f"{name} should be text, got {value!r}")
    if odd := [image for image in problem.images if not isinstance(image, str)]:
        raise ValueError(f"a picture should be a path, got {type(odd[0]).__name__}")
    return problem


def _with_pictures(problem: Problem, images: list[str]) -> Problem:
    return dataclasses.replace(problem, images=tuple(images))


def rows_of(path: Path) -> list[tuple[str, Row]]:
    """The rows of a JSON or JSONL file, each with the words for its place. Raises ValueError naming file and line."""
    try:
        path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    rows = []
    for place, row in rows_in(path):
        if isinstance(row, Unread):
            raise ValueError(f"{path}, {place}: {row.why}")
        rows.append((place, row))
    return rows
