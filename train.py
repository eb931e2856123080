"""The one entry point: `python train.py backbone=qwen2vl stage=reflect`. Composes, runs Algorithm 1, evaluates, reports."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(cfg: DictConfig) -> None:
    """One job: the models of Algorithm 1, their accuracy on the benchmark, and a report."""
    from pathlib import Path

    from mathse.algorithm import mathse
    from mathse.config import experiment
    from mathse.report import Reporter
    from mathse.steps.data import load
    from mathse.steps.evaluate import evaluate
    from mathse.store import Store
    from mathse.types import Model

    exp = experiment(cfg)
    with Reporter(exp) as reporter:
        store = Store(Path(exp.store), exp.runtime, reporter, explain=exp.explain)
        problems = store.run(load, data=exp.data)
        test = store.run(load, data=exp.benchmark.data)
        for model in [Model(exp.backbone), *mathse(exp, problems, store.run)]:
            scored = store.run(evaluate, model=model, benchmark=exp.benchmark, problems=test, sampling=exp.decoding)
            reporter.score(model, scored)
        reporter.finish()


def main() -> None:
    """Run under Hydra; a user's mistake is one line on stderr and exit status 1."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        hydra.main(config_path="conf", config_name="config", version_base="1.3")(run)()
    except (ValueError, TypeError, OSError, RuntimeError, HydraException, OmegaConfBaseException) as error:
        if os.environ.get("MATHSE_TRACEBACK"):
            raise
        sys.exit(f"mathse: {error}")


if __name__ == "__main__":
    main()
