"""The one entry point: `python train.py backbone=qwen2vl stage=reflect`. Composes, runs Algorithm 1, evaluates, reports."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathse.command import MISTAKES, command

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us as they are, and are said in one line below

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(cfg: DictConfig, overrides: Sequence[str] | None = None) -> str:
    """One job: the models of Algorithm 1, their accuracy on the benchmark, and a report, whose summary's path is returned.

    `overrides`: those of a sweep's job, which the command line does not have by themselves.
    """
    from mathse.backbones.loading import check_device
    from mathse.config import experiment
    from mathse.plan.bill import plan
    from mathse.preflight.check import check
    from mathse.report import Reporter, run_name
    from mathse.store import Store
    from mathse.whole import whole

    exp = experiment(cfg)
    if exp.dry_run:  # for which neither weights nor data need be there
        print(plan(exp, Store(Path(exp.store), exp.runtime)), flush=True)
        return ""
    store = Store(Path(exp.store), exp.runtime, explain=exp.explain, name=run_name(exp))
    check_device(exp.runtime.device)
    if exp.scale != "tiny":
        check(exp)
    with Reporter(exp, overrides) as reporter:
        store.watcher = reporter
        for model, scored in whole(exp, store.run):
            reporter.score(model, scored)
        reporter.finish()
    return str((reporter.folder / "summary.json").resolve())


def job(cfg: DictConfig) -> None:
    """`run`, with a user's mistake as one line. In a sweep whatever goes wrong ends this job alone."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from mathse.memory import release
    from mathse.progress import viewed
    from mathse.progress.live import labelled
    from mathse.sweep import label, outcome

    hydra = HydraConfig.get()
    if hydra.mode == RunMode.RUN:
        try:
            run(cfg)
        except MISTAKES as error:
            if os.environ.get("MATHSE_TRACEBACK"):
                raise
            sys.exit(say(error))
        return
    alone = hydra.launcher._target_.endswith(".BasicLauncher")  # else others write to the same terminal
    name = label(hydra.job.num)
    with viewed(live=alone) as view, labelled(name), outcome(hydra.job.num) as told:
        view.job = name
        try:
            own = [word for word in hydra.overrides.task if not word.startswith("sweep=")]
            told["summary"] = run(cfg, own)
        except Exception as error:
            if not isinstance(error, MISTAKES) or os.environ.get("MATHSE_TRACEBACK"):
                traceback.print_exc()
            told["failed"] = say(error).removeprefix("mathse: ")
            print(say(error), file=sys.stderr, flush=True)
        release(cycles=True)


def say(error: BaseException) -> str:
    """An error in one line."""
    from mathse.config import one_line

    return f"mathse: {one_line(error)}"


@command
def main(words: Sequence[str]) -> int:
    """Run under Hydra, which takes the words from the command line itself; 1 where something failed."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from mathse.sweep import begun, closing, comparing, folder

    wrong = ""
    try:
        hydra.main(config_path="conf", config_name="config", version_base="1.3")(job)()
    except (
        HydraException,
        OmegaConfBaseException,
        ValueError,
        OSError,
    ) as error:  # ValueError: a group that is given true
        if os.environ.get("MATHSE_TRACEBACK"):
            raise
        wrong = say(error)
    except KeyboardInterrupt:
        wrong = "mathse: interrupted; the same command goes on where it was"
    at = folder()
    if at and begun(at):
        table, failed = closing(at)
        print("\n".join(["", table, "", str(at), *filter(None, [comparing(at)])]), flush=True)
        if failed and not wrong:
            wrong = f"mathse: {failed} of the jobs failed; the same command again computes only what is missing"
    if wrong:
        print(wrong, file=sys.stderr, flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
