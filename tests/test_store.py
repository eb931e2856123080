"""A step runs once per recipe; what a recipe is, and what happens to it when things go wrong."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mathse.settings import settings
from mathse.store import DOING, Artifact, Doing, Runtime, Store, canonical, means, name_of, recipe_of
from mathse.store.difference import explanation

RUNTIME = Runtime(
    device="cpu", devices=1, threads=1, batch_size=4, isolate=False, unfold=True, recompute=False, save_every=1.0
)
CALLS: list[str] = []


# How it looks: two steps, the second reads what the first left.


def bake(out: Path, *, flour: int, seed: int) -> dict[str, float]:
    CALLS.append("bake")
    (out / "bread.txt").write_text(str(flour + seed))
    return {"weight": flour}


def slice_bread(out: Path, *, bread: Artifact, thick: bool, runtime: Runtime) -> dict[str, float]:
    CALLS.append("slice")
    (out / "slices.txt").write_text((bread.path / "bread.txt").read_text() * 3)
    return {"batch": runtime.batch_size}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    CALLS.clear()
    return Store(tmp_path / "runs", RUNTIME)


def test_the_same_recipe_is_computed_once(store: Store) -> None:
    first = store.run(bake, flour=3, seed=0)
    again = store.run(bake, seed=0, flour=3)
    assert first == again
    assert CALLS == ["bake"]
    assert again.metrics == {"weight": 3}


def test_every_input_is_identity_and_so_are_the_names_of_artifacts(store: Store) -> None:
    thin = store.run(slice_bread, bread=store.run(bake, flour=3, seed=0), thick=False)
    assert thin != store.run(slice_bread, bread=store.run(bake, flour=3, seed=1), thick=False)
    assert thin != store.run(slice_bread, bread=store.run(bake, flour=3, seed=0), thick=True)


def test_the_runtime_is_no_identity(tmp_path: Path) -> None:
    other = Runtime(
        device="cpu", devices=1, threads=2, batch_size=99, isolate=False, unfold=False, recompute=False, save_every=9.0
    )
    names = set()
    for runtime in (RUNTIME, other):
        store = Store(tmp_path, runtime)
        names.add(store.run(slice_bread, bread=store.run(bake, flour=1, seed=0), thick=True).name)
    assert len(names) == 1


def test_a_recipe_hashes_to_the_same_name_on_every_machine() -> None:
    recipe = recipe_of(bake, {"flour": 3, "seed": 0}) | {"step": "bakery.bake"}
    assert name_of(recipe) == "bake-978c98e404d3"


def test_a_new_version_or_prompt_makes_another_step(store: Store) -> None:
    old = store.run(bake, flour=1, seed=0)
    means(version=2)(bake)
    newer = store.run(bake, flour=1, seed=0)
    means(version=2, prompts=("Bake!",))(bake)
    prompted = store.run(bake, flour=1, seed=0)
    means()(bake)
    assert len({old.name, newer.name, prompted.name}) == 3
    assert store.run(bake, flour=1, seed=0) == old


@pytest.mark.parametrize("value", [Path("x"), print, object(), {1, 2}], ids=["path", "function", "object", "set"])
def test_what_has_no_stable_identity_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no stable identity"):
        canonical(value)


@settings
class Yeast:
    kind: str

    def recipe(self) -> dict[str, str]:
        return {"sha256": "abc"}


def test_settings_carry_their_class_and_the_content_of_their_files() -> None:
    assert canonical(Yeast(kind="dry")) == {
        "_target_": f"{__name__}.Yeast",
        "kind": "dry",
        "content": {"sha256": "abc"},
    }


@settings
class Oven:
    execution: ClassVar[tuple[str, ...]] = ("brand", "fuse_amperes")
    degrees: int
    brand: str
    fuse_amperes: int


def test_execution_fields_of_settings_are_no_identity() -> None:
    old, new = (Oven(degrees=200, brand=brand, fuse_amperes=amperes) for brand, amperes in (("A", 16), ("B", 32)))
    assert canonical([old]) == canonical([new]) == [{"_target_": f"{__name__}.Oven", "degrees": 200}]
    assert canonical(old, whole=True) != canonical(new, whole=True)


def account(out: Path, *, flour: int) -> dict[str, float]:
    (out / "account.txt").write_text(f"{DOING.get().run} {DOING.get().step}")
    return {}


def test_a_step_knows_on_whose_account_it_works(tmp_path: Path) -> None:
    artifact = Store(tmp_path, RUNTIME, name="my-run").run(account, flour=1)
    assert (artifact.path / "account.txt").read_text() == f"my-run {artifact.name}"
    assert DOING.get() == Doing()


def fails_half_way(out: Path, *, lucky: int) -> dict[str, float]:
    half = out / "half.txt"
    if not half.exists():
        half.write_text("done before the failure")
        raise RuntimeError("oven exploded")
    (out / "whole.txt").write_text(half.read_text())
    return {}


def test_a_failed_step_leaves_no_artifact_and_goes_on_in_its_own_work_directory(store: Store) -> None:
    with pytest.raises(RuntimeError):
        store.run(fails_half_way, lucky=1)
    assert not [path for path in store.root.glob("fails_half_way-*") if not path.name.endswith(".partial")]
    assert (store.run(fails_half_way, lucky=1).path / "whole.txt").read_text() == "done before the failure"


def scribbles(out: Path, *, page: int) -> dict[str, float]:
    (out / ".draft.txt").write_text("scratch")
    (out / "page.txt").write_text(str(page))
    return {}


def test_scratch_files_are_gone_from_the_artifact_and_its_record(store: Store) -> None:
    artifact = store.run(scribbles, page=1)
    assert sorted(path.name for path in artifact.path.iterdir()) == ["page.txt", "record.json"]
    assert list(json.loads((artifact.path / "record.json").read_text())["files"]) == ["page.txt"]


def test_a_step_killed_after_its_record_was_written_is_not_computed_again(store: Store) -> None:
    artifact = store.run(bake, flour=9, seed=9)
    artifact.path.rename(artifact.path.with_name(artifact.name + ".partial"))
    CALLS.clear()
    assert store.run(bake, flour=9, seed=9) == artifact
    assert CALLS == []


def test_what_a_kill_within_the_writing_of_the_record_leaves_is_no_file_of_the_artifact(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def killed(path: Path, to: Path) -> Path:
        assert to.name != "record.json", "killed here"
        return replace(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(AssertionError, match="killed here"):
            store.run(bake, flour=9, seed=9)
    assert store.run(bake, flour=9, seed=9) == store.run(bake, flour=9, seed=9)
    assert CALLS == ["bake", "bake"]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda folder: (folder / "bread.txt").write_text("poison"),
        lambda folder: (folder / "bread.txt").unlink(),
        lambda folder: (folder / "record.json").write_text("{"),
        lambda folder: (folder / "record.json").unlink(),
    ],
    ids=["file changed", "file gone", "record broken", "record gone"],
)
def test_a_tampered_artifact_is_refused_with_what_to_do(store: Store, tamper: Callable[[Path], None]) -> None:
    tamper(store.run(bake, flour=1, seed=0).path)
    with pytest.raises(ValueError, match=r"delete .*bake-.* and it will be computed again"):
        store.run(bake, flour=1, seed=0)


def test_the_record_says_what_made_it(store: Store) -> None:
    artifact = store.run(slice_bread, bread=store.run(bake, flour=1, seed=0), thick=True)
    record = json.loads((artifact.path / "record.json").read_text())
    assert record["inputs"]["bread"]["artifact"].startswith("bake-")
    assert set(record) >= {"step", "version", "inputs", "metrics", "files", "seconds", "commit", "command", "versions"}


def slow(out: Path, *, seconds: float) -> dict[str, float]:
    time.sleep(seconds)
    with (out.parent / "computed.log").open("a") as log:
        log.write(f"{os.getpid()}\n")
    return {}


def _ask(root: Path) -> None:
    Store(root, RUNTIME).run(slow, seconds=0.5)


def test_two_processes_that_want_one_recipe_compute_it_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=_ask, args=(tmp_path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len((tmp_path / "computed.log").read_text().splitlines()) == 1


def stumbles(out: Path, *, log: str) -> dict[str, float]:
    with (out / ".journal").open("a") as journal:
        journal.write(f"{os.getpid()}\n")
    if len((out / ".journal").read_text().splitlines()) == 1:
        time.sleep(60)  # the first is killed here
    shutil.copy(out / ".journal", out / "journal.txt")
    return {}


def _stumble(root: Path) -> None:
    Store(root, RUNTIME, name="first-run").run(stumbles, log="x")


def test_who_waits_for_another_says_so_and_goes_on_where_that_one_was_killed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fork = multiprocessing.get_context("fork")
    first = fork.Process(target=_stumble, args=(tmp_path,))
    first.start()
    while not list(tmp_path.glob("*/.journal")):
        time.sleep(0.02)
    second = fork.Process(target=_stumble, args=(tmp_path,))
    second.start()
    told = ""
    while "waiting" not in told:
        told += capfd.readouterr().out
        time.sleep(0.02)
    first.kill()
    first.join()
    second.join()
    told += capfd.readouterr().out
    assert f"process {first.pid}" in told
    assert "for first-run is computing it, waiting" in told
    assert "the other process ended without it, going on here" in told
    (journal,) = tmp_path.glob("stumbles-*/journal.txt")
    assert journal.read_text().split() == [str(first.pid), str(second.pid)]


def test_a_step_in_a_process_of_its_own_ends_with_the_run_that_started_it(tmp_path: Path) -> None:
    """Or else, once a killed run has lost its lock, two would work in the same directory."""
    import psutil

    code = (
        "import sys; from pathlib import Path; from mathse.store import Runtime, Store; from mathse.steps.data import load\n"
        "from mathse.figures.data import Figures\n"
        "apart = Runtime(device='cpu', devices=1, threads=1, batch_size=4, isolate=True, unfold=True, recompute=False, save_every=1.0)\n"
        "Store(Path(sys.argv[1]), apart).run(load, data=Figures(size=100000, seed=1, split='train', families=()))"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    while not (steps := psutil.Process(run.pid).children()):
        time.sleep(0.02)
        assert run.poll() is None
    run.kill()
    run.wait()
    psutil.wait_procs(steps, timeout=20)
    assert not any(step.is_running() and step.status() != psutil.STATUS_ZOMBIE for step in steps)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"store=.*cannot be written"):
        Store(tmp_path / "file" / "runs", RUNTIME)


def test_explain_names_the_part_of_the_recipe_that_differs(store: Store) -> None:
    store.run(bake, flour=1, seed=0)
    told = explanation(store.root, recipe_of(bake, {"flour": 2, "seed": 0}))
    assert "flour: 1 -> 2" in told
    assert "seed" not in told


def test_explain_goes_down_to_the_cause(store: Store) -> None:
    def recipe(flour: int, *, thick: bool) -> dict[str, Any]:
        bread = store.run(bake, flour=flour, seed=0)
        return recipe_of(slice_bread, {"bread": bread, "thick": thick})

    assert "no slice_bread is stored yet" in explanation(store.root, recipe(1, thick=True))
    store.run(slice_bread, bread=store.run(bake, flour=1, seed=0), thick=True)
    told = explanation(store.root, recipe(2, thick=False)).splitlines()
    assert told[1].startswith("  bread: bake-")
    assert told[2:] == ["    since bake: flour: 1 -> 2", "  thick: True -> False"]


def test_a_step_in_a_process_of_its_own_leaves_the_same_artifact(tmp_path: Path) -> None:
    from mathse.figures.data import Figures
    from mathse.steps.data import load

    data = Figures(size=3, seed=1, split="train", families=("bars",))
    apart = Runtime(
        device="cpu", devices=1, threads=1, batch_size=4, isolate=True, unfold=True, recompute=False, save_every=1.0
    )
    one, two = Store(tmp_path / "a", RUNTIME).run(load, data=data), Store(tmp_path / "b", apart).run(load, data=data)
    assert one == two
    assert one.metrics == two.metrics == {"problems": 3}
    assert (one.path / "problems.jsonl").read_text() == (two.path / "problems.jsonl").read_text()
