"""Trackers: who is told of a run while it goes, beside what it leaves in its own folder. W&B is one (mathse/report/wandb.py).

`tracker.start(exp, name)` gives a `Tracking`, or None where there is nothing to tell; what it is told is what `Reporter` hears. A tracker
is no part of any recipe, and a run does not end because its tracker has a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mathse.settings import settings
from mathse.store import Artifact

if TYPE_CHECKING:
    from mathse.config import Experiment
    from mathse.report.examples import Group


class Tracking(Protocol):
    """One run that is being followed."""

    @property
    def where(self) -> str:
        """Where people find it; empty where there is no such place."""
        ...

    def step(self, artifact: Artifact, role: str, recipe: Mapping[str, Any], *, cached: bool) -> None:
        """A step was found (`cached`) or computed."""
        ...

    def score(self, model: str, benchmark: str, artifact: Artifact, index: int) -> None:
        """The `index`-th model was evaluated."""
        ...

    def finish(self, summary: Mapping[str, Any], groups: Sequence[Group], folder: Path) -> None:
        """The run's results: summary.json, solutions to show, and the folder with its report."""
        ...

    def close(self, *, failed: bool) -> None:
        """The run is over, and how."""
        ...


class Tracker(Protocol):
    """The settings of a tracker."""

    def start(self, exp: Experiment, name: str) -> Tracking | None:
        """Begin to follow a run. Says in one line why it cannot, rather than to raise."""
        ...


class Told:
    """Tells a run's tracker, if it has one. A job of hours does not end because that has a problem: it is said, and told no more."""

    def __init__(self, tracking: Tracking | None = None) -> None:
        self.tracking = tracking

    @property
    def where(self) -> str:
        """Where people find the run; empty where there is no such place."""
        return self.tracking.where if self.tracking else ""

    def __call__(self, tell: Callable[[Tracking], None]) -> None:
        if self.tracking is None:
            return
        try:
            tell(self.tracking)
        except Exception as problem:
            print(f"the tracker stops, going on without: {problem!r}", flush=True)
            self.tracking = None

    def close(self, *, failed: bool) -> None:
        """The run is over; the second time nothing happens."""
        self(lambda tracking: tracking.close(failed=failed))
        self.tracking = None


@settings
class NoTracker:
    """Tells nobody."""

    def start(self, exp: Experiment, name: str) -> None:
        """Nothing to follow."""
