"""Solutions to look through."""

from __future__ import annotations

from mathse.report.examples import RULE, groups
from mathse.report.parts import Gallery, Section, Text, section
from mathse.report.run import Run


def gallery(run: Run) -> list[Section]:
    """Solutions of each stage with pictures, verdicts and repairs."""
    found = groups(run)
    rows = (
        "What each model learned from, as a dataset with the lineage of each row: python -m mathse.export data=RUN out=D_SFT images=embed; "
        "the whole story of a solution by its name, at the foot of its card: python -m mathse.lineage 'NAME' run=RUN, where RUN is the "
        f"folder of {run.name}."
    )
    return section("gallery", "Gallery", Text(rows), Gallery(found, RULE)) if found else []
