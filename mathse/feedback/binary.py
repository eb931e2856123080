"""The binary ORM (paper, Table 5): trained on the same solutions as the full one, with the status as its only word.

It names no step and gives no analysis, so as feedback it tells the reflection nothing but that the solution is wrong.
"""

from __future__ import annotations

import dataclasses

from mathse.feedback import Run
from mathse.feedback.orm import Orm, TrainedOrm
from mathse.settings import settings
from mathse.store import Artifact
from mathse.types import Model


@settings
class BinaryOrm:
    """`orm`: how it is made in all else; only the training is another than that ORM's."""

    orm: Orm

    def prepare(self, run: Run, taught: Artifact, kept: Artifact, model: Model) -> TrainedOrm:
        """Train it and test it; data and annotations are found where the full ORM was made."""
        return dataclasses.replace(self.orm, analysis=False).prepare(run, taught, kept, model)
