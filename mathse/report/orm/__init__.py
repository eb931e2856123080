"""A judge as a measured instrument: what it lets through, where it points, how sure it is and what that costs.

Two truths. Held-out solutions are compared with what the ORM was to learn: answer match for right or wrong, the teacher for the step.
The solutions of the loop, the models' and the teacher's apart, are compared with the reference answers, which say nothing of steps.
Shares have Wilson intervals; what is no share has one by bootstrap over problems. An unreadable verdict is a miss of either kind.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mathse.report.files import write_text
from mathse.report.orm.data import as_json
from mathse.report.orm.instruments import Instrument, instruments
from mathse.report.orm.plot import orm_plot
from mathse.report.orm.tables import overview
from mathse.report.text import aligned

__all__ = ["Instrument", "instruments", "printed", "write"]


def write(folder: Path, found: Sequence[Instrument]) -> None:
    """orm.json and, where there are scores, orm.png."""
    write_text(folder / "orm.json", json.dumps(as_json(found), ensure_ascii=False, indent=1) + "\n")
    scored = {one.name: one.scored for one in found if one.scored}
    if scored:
        orm_plot(folder / "orm.png", scored)


def printed(found: Sequence[Instrument]) -> str:
    """The overview for a terminal."""
    return aligned(overview(found))
