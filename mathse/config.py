"""The door between Hydra and the rest: `Experiment`, frozen and typed, and `load`, which composes conf/ into one.

Past this file there is no DictConfig. Values live in conf/*.yaml; only classes of mathse can be named there.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mathse.audit import Audit
from mathse.backbones import Backbone
from mathse.backbones.qlora import Lora
from mathse.benchmarks import Benchmark
from mathse.command import in_a_line
from mathse.data import Data
from mathse.feedback import Feedback
from mathse.feedback.orm import Orm
from mathse.fit import Fit
from mathse.generation import Engine, Sampling
from mathse.plan.assumptions import Assumptions
from mathse.settings import Count, Positive, settings
from mathse.steps.contamination import Contamination
from mathse.steps.reflect import Reflection
from mathse.store import Runtime, find
from mathse.teacher import Teacher
from mathse.tracking import Tracker

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = Path(__file__).parent.parent / "conf"


@settings
class Experiment:
    """Everything a run is. The fields are explained where their values are: in conf/."""

    scale: str
    stage: str
    K: Count
    reflection: Reflection
    seed: int
    seed_size: Positive
    orm_problems: Count
    init_from: Literal["base", "previous"]
    backbone: Backbone
    data: Data
    benchmark: Benchmark
    contamination: Contamination
    teacher: Teacher
    orm: Feedback
    judge: Feedback
    feedback: Feedback
    fit: Fit
    lora: Lora
    sampling: Sampling
    decoding: Sampling
    audit: Audit
    plan: Assumptions
    runtime: Runtime
    store: str
    report: str
    tracker: Tracker
    dry_run: bool
    explain: bool

    @property
    def most_pictures(self) -> int | None:
        """The most pictures that a problem may have for all backbones of the run to take it; None for any number."""
        backbones = [self.backbone]
        if isinstance(self.orm, Orm):
            backbones += [self.orm.backbone, *(student.backbone for student in self.orm.data.students.values())]
        return min((b.most_pictures for b in backbones if b.most_pictures is not None), default=None)

    def check(self) -> None:
        for name in ("store", "report"):
            if not getattr(self, name):
                raise ValueError(f"{name}= should name a folder")


def build(data: Any) -> Any:
    """The objects that plain configuration data describes: `_target_` names the settings class of a mapping.

    Other keys that begin and end with `_` are private to conf/: values that its files take from each other.
    """
    if isinstance(data, list):
        return [build(member) for member in data]
    if not isinstance(data, dict):
        return data
    members = {key: build(member) for key, member in data.items() if not re.fullmatch("_.+_", key)}
    if "_target_" not in data:
        return members
    kind = find(data["_target_"])
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValueError(f"_target_ {data['_target_']}: not a settings class")
    names = [field.name for field in dataclasses.fields(kind)]
    unknown, missing = sorted(set(members) - set(names)), [name for name in names if name not in members]
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {unknown[0]!r}; its fields are {', '.join(names)}")
    if missing:
        raise ValueError(f"{kind.__name__}.{missing[0]} is missing")
    return kind(**members)


def experiment(cfg: DictConfig) -> Experiment:
    """The Experiment of a composed configuration. Raises ValueError or TypeError naming the field that is wrong."""
    from omegaconf import OmegaConf

    data = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(data, dict)
    return _experiment(data)


def _experiment(data: dict[Any, Any]) -> Experiment:
    data.pop("hydra", None)
    built: Experiment = build({"_target_": "mathse.config.Experiment", **data})
    return built


def load(*overrides: str) -> Experiment:
    """The Experiment that `python train.py <overrides>` would run, for programs, notebooks, tests and experiments/.

    Raises ValueError or TypeError, one line, naming what is wrong.
    """
    return _experiment(_composed(*overrides))


def load_with_engine(name: str, *overrides: str) -> tuple[Experiment, Engine]:
    """The Experiment, and the engine `conf/engine/<name>.yaml` that answers in its backbone's place. Raises as `load` does."""
    data = _composed(f"+engine={name}", *overrides)
    engine: Engine = build(data.pop("engine"))
    return _experiment(data), engine


def _composed(*overrides: str) -> dict[Any, Any]:
    """conf/ with the overrides as plain data."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            data = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
            assert isinstance(data, dict)
            return data
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """An error's words in one line; Hydra's are cut to what helps."""
    words = in_a_line(error).split("Config search path:")[0].replace("In 'config': ", "").strip()
    if "Config group override must be" in words:
        return "a group takes the name of one of its options, as in feedback=orm; true and false are none"
    if "To append to your config use" in words:
        words, _, adding = words.partition(" To append to your config use ")
        key, missing = words.split("'")[1], getattr(error.__cause__, "full_key", "")
        if missing.startswith(f"{key}."):
            return f"{words} It has no {missing.removeprefix(f'{key}.')!r} yet: '{adding}' adds it."
        return f"{words} There is no such setting; `python train.py --cfg job` shows them all."
    return words
