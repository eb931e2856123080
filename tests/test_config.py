"""Every option of every group composes and builds; mistakes are named."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mathse.config import CONF, load, load_with_engine
from mathse.store import name_of, recipe_of

OPTIONS = sorted(f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml"))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_builds(option: str) -> None:
    group, _, name = option.partition("=")
    load_with_engine(name) if group == "engine" else load(option)  # an engine is an evaluation's, not a run's


def test_the_default_is_the_papers_main_result_at_tiny_scale() -> None:
    exp = load()
    assert (exp.scale, exp.stage, exp.K, exp.reflection.schedule) == ("tiny", "reflect", 2, "final")


@pytest.mark.parametrize(
    ("stage", "K", "schedule"), [("sft", 0, "never"), ("evolve", 2, "never"), ("reflect", 2, "final")]
)
def test_a_stage_sets_the_rounds_and_when_to_reflect(stage: str, K: int, schedule: str) -> None:
    exp = load(f"stage={stage}")
    assert (exp.K, exp.reflection.schedule) == (K, schedule)


def test_an_override_of_K_wins_over_the_stage() -> None:
    assert load("K=5").K == 5


def test_an_override_of_the_schedule_wins_over_the_stage() -> None:
    assert load("reflection.schedule=every_round").reflection.schedule == "every_round"


def test_judge_and_feedback_share_one_orm_and_the_orm_has_a_fit_of_its_own() -> None:
    exp = load("fit.lr=0.5")
    assert exp.judge == exp.feedback == exp.orm
    assert exp.orm.fit.lr != 0.5  # type: ignore[attr-defined]


@pytest.mark.parametrize("scale", ["tiny", "small", "paper"])
@pytest.mark.parametrize("family", ["qwen2vl", "internvl25", "cogvlm2"])
def test_a_backbones_member_follows_the_scale_and_the_orm_follows_the_student(family: str, scale: str) -> None:
    exp = load(f"backbone={family}", f"scale={scale}")
    assert exp.backbone.family == family
    assert (exp.backbone.checkpoint == "tiny") == (scale == "tiny")  # type: ignore[attr-defined]
    assert exp.orm.backbone == exp.orm.data.students["student"].backbone == exp.backbone  # type: ignore[attr-defined]
    assert exp.orm.use_reference == (scale == "tiny")  # type: ignore[attr-defined]


def test_checkpoint_and_picture_size_can_be_given() -> None:
    exp = load("scale=small", "backbone.checkpoint=/some/folder", "backbone.max_pixels=50176")
    assert (exp.backbone.checkpoint, exp.backbone.max_pixels) == ("/some/folder", 50176)  # type: ignore[attr-defined]
    assert exp.orm.backbone == exp.backbone  # type: ignore[attr-defined]


@pytest.mark.parametrize("orm", ["full", "binary"])
def test_the_judge_may_be_of_another_family_than_the_student(orm: str) -> None:
    exp = load(f"orm={orm}", "backbone@orm.backbone=internvl25", "orm.fit.lr=0.25")
    assert (exp.backbone.family, exp.judge.backbone.family) == ("qwen2vl", "internvl25")  # type: ignore[attr-defined]
    assert exp.judge.data.students["student"].backbone == exp.backbone  # type: ignore[attr-defined]
    assert exp.judge.fit.lr == 0.25  # type: ignore[attr-defined]


def test_a_backbone_of_the_judges_own_has_fields_of_its_own() -> None:
    exp = load("backbone@orm.backbone=qwen2vl", "backbone.checkpoint=/student", "orm.backbone.checkpoint=/judge")
    assert (exp.backbone.checkpoint, exp.orm.backbone.checkpoint) == ("/student", "/judge")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"orm\.backbone\.checkpoint"):
        load("orm.backbone.checkpoint=/judge")


def test_at_paper_scale_the_warm_up_is_the_familys_in_table_6() -> None:
    warmups = {
        family: load("scale=paper", f"backbone={family}").fit.warmup for family in ("cogvlm2", "qwen2vl", "internvl25")
    }
    assert warmups == {"cogvlm2": 0.01, "qwen2vl": 0.1, "internvl25": 0.03}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("fit.lr=low", ["Fit.lr should be float > 0, got 'low'"]),
        ("K=-1", ["Experiment.K should be int >= 0, got -1"]),
        ("K=many", ["Experiment.K should be int >= 0, got 'many'"]),
        ("seed_size=0", ["seed_size should be int >= 1, got 0"]),
        ("fit.learning_rate=1", ["learning_rate"]),
        ("backbone=llava", ["llava", "qwen2vl"]),
        ("colour=red", ["colour"]),
        ("data.families=[circles]", ["circles", "rectangle"]),
        ("init_from=scratch", ["'base', 'previous'", "scratch"]),
        ("sampling.samples=4", ["temperature"]),
        ("reflection=true", ["Experiment.reflection should be Reflection", "reflection.schedule"]),
        ("orm.data.mix={bars:1}", ["'+orm.data.mix={bars:1}' adds it"]),
        ("orm.held_out=1", ["Orm.held_out should be float > 0 and < 1, got 1"]),
        ("orm.max_new_tokens=0", ["Orm.max_new_tokens should be int >= 1"]),
        ("orm.data.students.student.rounds=-1", ["Student.rounds should be int >= 0"]),
        ("+orm.data.students.other.rounds=1", ["orm.data.students.other should be a Student", "{'rounds': 1}"]),
        ("orm_problems=-1", ["orm_problems should be int >= 0"]),
        ("reflection.schedule=sometimes", ["'never', 'final', 'every_round'", "sometimes"]),
        ("reflection.retries=-1", ["Reflection.retries should be int >= 0, got -1"]),
        ("+backbone._target_=os.system", ["only classes of mathse"]),
        ("fit.micro_batch_size=7", ["should divide"]),
        ("fit.batch_size=0", ["Fit.batch_size should be int >= 1"]),
        ("fit.lr=nan", ["Fit.lr should be float > 0, got nan"]),
        ("fit.lr=inf", ["Fit.lr should be float > 0, got inf"]),
        ("lora.rank=0", ["Lora.rank should be int >= 1"]),
        ("lora.dropout=1", ["Lora.dropout should be float >= 0 and < 1"]),
        ("backbone.max_length=0", ["Qwen2VL.max_length should be int >= 1"]),
        ("runtime.threads=-1", ["Runtime.threads should be int >= 0"]),
        ("runtime.batch_size=0", ["Runtime.batch_size should be int >= 1"]),
        ("runtime.device=gpu", ["runtime.device should be cpu or cuda, got 'gpu'"]),
        ("store=", ["store= should name a folder"]),
        ("orm.threshold=1", ["Orm.threshold should be float > 0 and < 1 or None"]),
        ("plan.learning=2", ["Assumptions.learning should be float > 0 and <= 1"]),
        ("benchmark.data.split=train", ["benchmark.data.split should be 'test'"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(override: str, words: list[str]) -> None:
    override = override.removeprefix("+") if "_target_" in override else override
    with pytest.raises(Exception) as error:  # noqa: PT011  (Hydra's own errors and ours)
        load(override)
    for word in words:
        assert word in str(error.value)


def test_composing_needs_no_torch() -> None:
    code = "import sys; from mathse.config import load; load(); sys.exit(bool({'torch', 'transformers', 'wandb'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_hydra_stays_at_the_door() -> None:
    found = [
        str(path.relative_to(CONF.parent))
        for path in sorted((CONF.parent / "mathse").rglob("*.py"))
        if re.search(r"^\s*(from|import) (omegaconf|hydra)\b", path.read_text(), re.MULTILINE)
    ]
    assert found == ["mathse/config.py", "mathse/sweep.py"]


def test_imports_go_one_way_as_contributing_draws_it() -> None:
    drawn = re.search(r"Imports go one way: `(.+?)`", (CONF.parent / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    assert drawn is not None
    floors = {name: floor for floor, part in enumerate(drawn[1].split("→")) for name in re.findall(r"\w+", part)}
    upwards = set()
    for path in (CONF.parent / "mathse").rglob("*.py"):
        place = path.relative_to(CONF.parent / "mathse")
        for line in ast.parse(path.read_text("utf-8")).body:  # not what a function imports, nor types
            name = line.module if isinstance(line, ast.ImportFrom) else None
            if name and name.startswith("mathse."):
                part = name.split(".")[1]
                if floors.get(part, len(floors)) < floors.get(place.parts[0].removesuffix(".py"), 0):
                    upwards.add(f"{place.as_posix()} -> {part}")
    assert upwards == {
        "data/source.py -> benchmarks",  # a hub's name and revision, whose class recipes name by where it stands
        "store/look.py -> report",
    }


def test_one_recipe_is_pinned_so_that_a_change_of_meaning_is_noticed() -> None:
    """If this fails because a default or a field changed on purpose, update the name: every stored run becomes stale with it."""
    from mathse.steps.data import load as load_problems

    assert name_of(recipe_of(load_problems, {"data": load().data})) == "load-85c922185b7c"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("fit.lr=low", "mathse: Fit.lr should be float > 0, got 'low'"),
        (
            "feedback=true",
            "mathse: a group takes the name of one of its options, as in feedback=orm; true and false are none",
        ),
    ],
)
def test_a_users_mistake_ends_with_status_1_and_one_line(override: str, line: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "train.py", override, f"store={tmp_path}"], cwd=CONF.parent, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip() == line
