"""The one entry point: `python train.py backbone=qwen2vl stage=reflect`. Composes, runs Algorithm 1, evaluates, reports."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us as they are, and are said in one line below

if TYPE_CHECKING:
    from omegaconf import DictConfig

FAILED: list[str] = []


def run(cfg: DictConfig) -> None:
    """One job: the models of Algorithm 1, their accuracy on the benchmark, and a report."""
    from mathse.config import experiment
    from mathse.plan.bill import plan
    from mathse.preflight import check
    from mathse.report import Reporter, run_name
    from mathse.store import Store
    from mathse.whole import whole

    exp = experiment(cfg)
    if exp.dry_run:  # for which neither weights nor data need be there
        print(plan(exp, Store(Path(exp.store), exp.runtime)), flush=True)
        return
    store = Store(Path(exp.store), exp.runtime, explain=exp.explain, name=run_name(exp))
    if exp.scale != "tiny":
        check(exp)
    with Reporter(exp) as reporter:
        store.watcher = reporter
        for model, scored in whole(exp, store.run):
            reporter.score(model, scored)
        reporter.finish()


def job(cfg: DictConfig) -> None:
    """`run`, with a user's mistake as one line. In a sweep the other jobs go on."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from mathse.run_step import MISTAKES

    try:
        run(cfg)
    except MISTAKES as error:
        if os.environ.get("MATHSE_TRACEBACK"):
            raise
        FAILED.append(say(error))
        if HydraConfig.get().mode == RunMode.RUN:
            sys.exit(FAILED[-1])
        print(FAILED[-1], file=sys.stderr, flush=True)


def say(error: BaseException) -> str:
    """An error in one line."""
    from mathse.config import one_line

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"mathse: {error}; free some space and run the same command: it goes on where it was"
    return f"mathse: {one_line(error)}"


def main() -> None:
    """Run under Hydra; exit status 1 where something failed."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if {"-m", "--multirun"} & set(sys.argv):  # for the tracker, also of jobs in processes of their own
        from mathse.report.text import sweeps

        os.environ.setdefault("MATHSE_GROUP", " ".join(["sweep", *filter(sweeps, sys.argv[1:])])[:120])
    try:
        hydra.main(config_path="conf", config_name="config", version_base="1.3")(job)()
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # a group that is given true is a ValueError
        sys.exit(say(error))
    if FAILED:
        sys.exit(
            f"mathse: {len(FAILED)} of the jobs failed, see above; the same command again computes only what is missing"
        )


if __name__ == "__main__":
    main()
