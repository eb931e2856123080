"""Solutions to look through."""

from __future__ import annotations

from mathse.report.examples import RULE, groups
from mathse.report.parts import Gallery, Section, section
from mathse.report.run import Run


def gallery(run: Run) -> list[Section]:
    """Solutions of each stage with pictures, verdicts and repairs."""
    found = groups(run)
    return section("gallery", "Gallery", Gallery(found, RULE)) if found else []
