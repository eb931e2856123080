"""`python -m mathse.store`: what is there, what differs, what is broken, what may go and what never does."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mathse.store import Artifact, Runtime, Store, name_of, recipe_of
from mathse.store.__main__ import Broken, store
from mathse.store.contents import mebibytes

RUNTIME = Runtime(
    device="cpu", devices=1, threads=1, batch_size=4, isolate=False, unfold=True, recompute=False, save_every=1.0
)
OLD = time.time() - 30 * 24 * 3600


def grow(out: Path, *, field: str, seed: int) -> dict[str, float]:
    (out / "wheat.txt").write_text(f"{field} {seed}")
    return {"weight": 7}


def bake(out: Path, *, wheat: Artifact, flour: int) -> dict[str, float]:
    (out / "bread.txt").write_text("bread" * flour)
    return {"loaves": flour}


def stall(out: Path, *, wheat: Artifact) -> dict[str, float]:
    (out / "half.txt").write_text("half")
    time.sleep(60)
    return {}


def report(root: Path, name: str, *artifacts: Artifact) -> None:
    folder = root / "reports" / name
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"steps": [{"name": a.name} for a in artifacts]}))


class Bakery:
    """A store with two runs and what no run needs, all of it last used a month ago."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root, RUNTIME)
        self.wheat = self.store.run(grow, field="north", seed=0)
        self.other = self.store.run(grow, field="south", seed=0)
        self.bread = self.store.run(bake, wheat=self.wheat, flour=2)
        self.rolls = self.store.run(bake, wheat=self.other, flour=2)
        self.spare = self.store.run(bake, wheat=self.wheat, flour=9)
        report(root, "run-one", self.wheat, self.bread)
        report(root, "run-two", self.rolls)  # names not what its rolls were made from
        self.store.inside = None  # its runs have ended
        for artifact in (self.wheat, self.other, self.bread, self.rolls, self.spare):
            os.utime(artifact.path, (OLD, OLD))

    def ask(self, *words: str) -> str:
        return store([*words, f"store={self.root}"])

    @property
    def there(self) -> set[str]:
        return {path.name for path in self.root.iterdir() if re.fullmatch(r"\w+-[0-9a-f]{12}", path.name)}


@pytest.fixture
def bakery(tmp_path: Path) -> Bakery:
    return Bakery(tmp_path / "runs")


def test_ls_shows_each_artifact_and_the_runs_that_use_it(bakery: Bakery) -> None:
    lines = {line.split()[0]: line for line in bakery.ask("ls").splitlines() if line.split()}
    assert lines[bakery.bread.name].endswith("run-one")
    assert lines[bakery.spare.name].endswith("none")
    assert "30.0 d" in lines[bakery.spare.name]
    assert "5 artifacts" in bakery.ask("ls")
    assert "2 of them" in bakery.ask("ls")  # the spare bread, and wheat that run-two does not name


def test_ls_shows_only_what_is_asked_for(bakery: Bakery) -> None:
    assert "grow-" not in bakery.ask("ls", "bake")
    assert bakery.bread.name in bakery.ask("ls", "run-one")
    assert bakery.rolls.name not in bakery.ask("ls", "run-one")


@pytest.mark.parametrize("sort", ["size", "name", "used", "seconds"])
def test_ls_sorts(bakery: Bakery, sort: str) -> None:
    first = bakery.ask("ls", "bake", f"sort={sort}").splitlines()[2].split()[0]
    assert first == {
        "size": bakery.spare.name,
        "name": min(bakery.bread.name, bakery.rolls.name, bakery.spare.name),
    }.get(sort, first)


def test_show_tells_recipe_metrics_inputs_and_dependants(bakery: Bakery) -> None:
    told = bakery.ask("show", bakery.wheat.name[:8])
    assert re.search(r"field +'north'", told)
    assert re.search(r"weight +7", told)
    assert told.index("made from it") < told.index(bakery.bread.name)
    assert "run-one" in told
    assert bakery.wheat.name in bakery.ask("show", bakery.bread.name)


def test_diff_goes_down_to_the_first_cause(bakery: Bakery) -> None:
    told = bakery.ask("diff", bakery.bread.name, bakery.rolls.name).splitlines()
    assert f"  wheat: {bakery.wheat.name} -> {bakery.other.name}, which differ in" in told
    assert "    field: 'north' -> 'south'" in told
    assert told[-2:] == ["first causes", "  field: 'north' -> 'south'  (in grow)"]
    assert "same recipe" in bakery.ask("diff", bakery.bread.name, bakery.bread.name)


def test_verify_finds_all_as_it_was_made(bakery: Bakery) -> None:
    assert bakery.ask("verify").startswith("5 artifacts, 5 files")


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda folder: (folder / "bread.txt").write_text("poison"), "missing or changed since it was made: bread.txt"),
        (lambda folder: (folder / "bread.txt").unlink(), "missing or changed since it was made: bread.txt"),
        (lambda folder: (folder / "record.json").write_text("{"), "the record is missing or broken"),
        (
            lambda folder: (folder / "record.json").write_text(
                (folder / "record.json").read_text().replace('"flour": 2', '"flour": 3')
            ),
            "the recipe in its record is not the one that it is named by",
        ),
    ],
    ids=["file changed", "file gone", "record broken", "recipe changed"],
)
def test_verify_says_what_is_broken_who_needs_it_and_what_to_do(
    bakery: Bakery, tamper: Callable[[Path], None], words: str
) -> None:
    tamper(bakery.bread.path)
    with pytest.raises(Broken) as broken:
        bakery.ask("verify")
    assert f"{bakery.bread.path}: {words}; of use to run-one" in str(broken.value)
    assert "delete the folders" in str(broken.value)


def test_gc_keeps_what_runs_need_and_what_that_was_made_from(bakery: Bakery) -> None:
    told = bakery.ask("gc")
    assert bakery.spare.name in told
    assert "would be freed" in told
    assert bakery.spare.name in bakery.there  # nothing is deleted unasked
    assert "freed" in bakery.ask("gc", "delete=true")
    assert bakery.there == {a.name for a in (bakery.wheat, bakery.other, bakery.bread, bakery.rolls)}
    assert not [lock for lock in bakery.root.glob(".*.lock") if lock.name != ".in-use.lock"]
    bakery.ask("verify")


def test_gc_keeps_what_is_named(bakery: Bakery) -> None:
    shutil.rmtree(bakery.root / "reports")
    bakery.ask("gc", "delete=true", f"keep={bakery.spare.name[:9]}")
    assert bakery.there == {bakery.wheat.name, bakery.spare.name}


def test_gc_keeps_what_was_of_use_lately_since_a_killed_run_has_no_report(bakery: Bakery) -> None:
    Store(bakery.root, RUNTIME).run(bake, wheat=bakery.wheat, flour=9)  # found, not computed
    bakery.ask("gc", "delete=true")
    assert bakery.spare.name in bakery.there
    bakery.ask("gc", "delete=true", "days=0")
    assert bakery.spare.name not in bakery.there


def test_gc_deletes_nothing_while_a_run_works_in_the_store(bakery: Bakery) -> None:
    running = Store(bakery.root, RUNTIME)
    running.run(grow, field="north", seed=0)
    with pytest.raises(ValueError, match="a run is working in it"):
        bakery.ask("gc", "delete=true")
    assert bakery.spare.name in bakery.there
    del running
    bakery.ask("gc", "delete=true")
    assert bakery.spare.name not in bakery.there


def _stall(root: Path, wheat: Artifact) -> None:
    Store(root, RUNTIME, name="a-run").run(stall, wheat=wheat)


def test_unfinished_work_is_kept_while_somebody_is_at_it_and_as_long_as_it_is_young(bakery: Bakery) -> None:
    at_work = multiprocessing.get_context("fork").Process(target=_stall, args=(bakery.root, bakery.spare))
    at_work.start()
    name = name_of(recipe_of(stall, {"wheat": bakery.spare}))
    work = bakery.root / f"{name}.partial"
    while not (work / "half.txt").exists():
        time.sleep(0.05)
    assert f"process {at_work.pid}" in bakery.ask("ls", "stall")
    assert bakery.spare.name not in bakery.ask("gc", "days=0")  # it is being used
    at_work.kill()
    at_work.join()
    assert "nobody is at it" in bakery.ask("ls", "stall")
    bakery.ask("gc", "delete=true")
    assert work.exists()  # the same command goes on with it
    assert bakery.spare.name in bakery.there
    bakery.ask("gc", "delete=true", "days=0")
    assert not work.exists()
    assert bakery.spare.name not in bakery.there


def _no_reports(bakery: Bakery) -> None:
    shutil.rmtree(bakery.root / "reports")


def _broken_report(bakery: Bakery) -> None:
    (bakery.root / "reports" / "run-one" / "summary.json").write_text("{")


def _broken_record(bakery: Bakery) -> None:
    (bakery.rolls.path / "record.json").write_text("{")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (_no_reports, "no run's report is known"),
        (_broken_report, r"run-one/summary\.json: cannot be read"),
        (_broken_record, "what it was made from is not known"),
    ],
)
def test_gc_deletes_nothing_where_what_is_needed_is_not_known(
    bakery: Bakery, break_it: Callable[[Bakery], None], words: str
) -> None:
    break_it(bakery)
    before = bakery.there
    with pytest.raises(ValueError, match=words):
        bakery.ask("gc", "delete=true", "days=0")
    assert bakery.there == before


def test_answers_of_the_teacher_and_reports_are_not_touched(bakery: Bakery) -> None:
    kept = [bakery.root / "teacher" / "calls.sqlite", bakery.root / "wandb" / "run-1" / "x", bakery.root / "notes.txt"]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("dear")
    bakery.ask("gc", "delete=true", "days=0")
    assert all(path.exists() for path in (*kept, bakery.root / "reports" / "run-one" / "summary.json"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "should be one of ls, show, diff, verify, gc"),
        (("prune",), "prune is asked"),
        (("show",), "usage: python -m mathse.store show NAME"),
        (("diff", "bake"), "usage: python -m mathse.store diff A B"),
        (("show", "bake"), "3 artifacts begin so"),
        (("show", "cake"), "cake: there is none in"),
        (("ls", "sort=taste"), "sort should be one of used, size, seconds, name, got 'taste'"),
        (("gc", "delete=yes"), "delete should be true or false, got 'yes'"),
        (("gc", "days=long"), "days should be a number, 0 or more, got 'long'"),
        (("gc", "days=nan", "delete=true"), "days should be a number, 0 or more, got 'nan'"),
        (("gc", "days=-1", "delete=true"), "days should be a number, 0 or more, got '-1'"),
        (("ls", "cake", "pie"), "and no run of one, begins with cake or pie"),
        (("ls", "day=1"), "ls takes no day="),
    ],
)
def test_a_mistake_is_one_line_that_names_it(bakery: Bakery, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as error:
        bakery.ask(*words)
    assert "\n" not in str(error.value)


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        store(["ls", f"store={tmp_path / 'nowhere'}"])


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1536, "1.5 KiB"), (5 * 2**20, "5.0 MiB"), (3 * 2**30, "3.0 GiB")]
)
def test_sizes_are_in_words(size: int, words: str) -> None:
    assert mebibytes(size) == words
