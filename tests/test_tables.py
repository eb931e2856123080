"""Tables: what is compared with what, what is said of it, how it is saved, and how the arms are made."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import script
from tables.ablation import choice
from tables.arms import ARM, Arm, Ran, backbones, compose, followed, options
from tables.compare import Case, Row, by_seed, compare, found, table
from tables.save import Captioned, escaped, latex, publish
from tables.stages import unseen, without_families
from test_run import SMALL
from test_wandb import logged

from mathse.config import load
from mathse.figures import family_names
from mathse.statistics import paired_p
from mathse.sweep import GROUP
from mathse.types import Model, Problem

ROOT = Path(__file__).parent.parent
ABLATIONS = [
    "composition",
    "data_source",
    "feedback",
    "init_from",
    "judge",
    "lora_rank",
    "orm_analysis",
    "reflection",
    "rounds",
    "samples",
    "seed_size",
]
SEEDS, PROBLEMS = (0, 1, 2), 40
PAPER = {"accuracy": {"base": 50.0, "good": 52.5}}
PAIRS = [("base", "good"), ("base", "like")]


def marks(right: int, *, wrong_from: int = 0) -> dict[Case, bool]:
    """`right` problems solved with each seed, from number `wrong_from` on."""
    numbers = range(wrong_from, wrong_from + right)
    return {Case(seed, f"p{i}"): i in numbers for seed in SEEDS for i in range(PROBLEMS)}


def compared(**right: dict[Case, bool]) -> list[Row]:
    return compare({"accuracy": right}, PAPER, PAIRS)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return compared(base=marks(10), good=marks(18), like=marks(10, wrong_from=2))


def test_each_arm_stands_alone_and_then_against_its_reference(rows: list[Row]) -> None:
    assert [(row.arm, row.against, row.ours) for row in rows] == [
        ("base", "", 25.0),
        ("good", "", 45.0),
        ("like", "", 25.0),
        ("good", "base", 45.0),
        ("like", "base", 25.0),
    ]


def test_a_comparison_is_paired_over_all_seeds_with_the_papers_beside_it(rows: list[Row]) -> None:
    good = rows[3]
    assert (good.difference, good.by_seed, good.n) == (20.0, "+20.0, +20.0, +20.0", len(SEEDS) * PROBLEMS)
    assert good.low < 20.0 < good.high
    assert good.p == pytest.approx(2 / 2**8), "eight problems turned, whatever the number of seeds"
    assert good.paper_difference == 2.5
    assert rows[4].paper_difference is None


def test_the_interval_is_drawn_by_problem_since_a_problem_returns_with_each_seed() -> None:
    one = compared(base=marks(10), good=marks(18))[-1]
    several = {Case(0, f"{case.seed} {case.problem}"): mark for case, mark in marks(18).items()}
    none = {case: int(case.problem.split("p")[1]) < 10 for case in several}
    alone = compared(base=none, good=several)[-1]
    assert one.high - one.low > 1.4 * (alone.high - alone.low)


def test_all_p_of_a_table_are_adjusted_together(rows: list[Row]) -> None:
    assert [row.p_holm for row in rows] == [None, None, None, pytest.approx(2 * rows[3].p), 1.0]


def test_arms_that_never_differ_have_no_interval() -> None:
    row = compared(base=marks(10), good=marks(10))[-1]
    assert (row.difference, row.low, row.high, row.p) == (0.0, None, None, 1.0)


def test_arms_that_were_never_asked_the_same_are_not_compared() -> None:
    other = {case._replace(seed=9): mark for case, mark in marks(18).items()}
    assert [(row.arm, row.against) for row in compared(base=marks(10), good=other)] == [("base", ""), ("good", "")]


def test_what_is_not_significant_is_said_plainly(rows: list[Row]) -> None:
    yes, no = found(rows).split("\n\n")
    assert yes == "Significant at 5 % after Holm: good against base +20.0."
    assert no.endswith("is shown: like against base +0.0.")
    assert "every seed" not in found(rows)
    nothing = found(compared(base=marks(10), good=marks(10)))
    assert nothing.startswith("Significant at 5 % after Holm: nothing.")


def test_a_difference_that_turns_round_with_a_seed_is_named() -> None:
    lost = {case: mark and case.seed != 2 for case, mark in marks(36).items()}
    said = found(compare({"accuracy": {"base": marks(4), "good": lost}}, {}, PAIRS))
    assert "Of these not in the same direction with every seed: good against base +50.0 (+80.0, +80.0, -10.0)." in said


def test_a_table_has_ours_and_the_papers_with_interval_and_both_p(rows: list[Row]) -> None:
    head = ["arm", "ours", "paper", "against", "difference", "paper's", "95% interval", "by seed", "p", "p (Holm)", "n"]
    cells = table(rows)
    assert cells[0] == head
    assert cells[1] == ["base", "25.0", "50.00", "", "", "", "", "", "", "", "120"]
    assert cells[4][:6] == ["good", "45.0", "52.50", "base", "+20.0", "+2.50"]


def test_several_measures_get_a_column_with_the_name_of_what_they_are(rows: list[Row]) -> None:
    both = compare({kind: {"base": marks(10)} for kind in ("cogvlm2", "qwen2vl")}, {}, [])
    assert [row[0] for row in table(both, "backbone")] == ["backbone", "cogvlm2", "qwen2vl"]


def ran(tmp_path: Path, tracker: str = "none", **right: dict[Case, bool]) -> tuple[Any, Ran]:
    args, overrides = options("", ["--store", str(tmp_path), f"tracker={tracker}"])
    made = Ran(load(*overrides, f"store={tmp_path}"))
    for name, of_arm in right.items():
        made.add("accuracy", name, Model(made.exp.backbone), of_arm)
    return args, made


def test_a_table_is_printed_and_saved_as_markdown_latex_and_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args, made = ran(tmp_path, base=marks(10), good=marks(18))
    publish(args, "t", "Good & better", made, pairs=PAIRS, paper=PAPER, about_paper="theirs")
    text = (tmp_path / "tables" / "t.md").read_text()
    assert capsys.readouterr().out == text
    assert text.startswith("# Good & better\n\nOurs: scale tiny, backbone qwen2vl. The paper's: theirs, one seed")
    assert "These are different worlds" in text
    assert "| good | 45.0 | 52.50 | base | +20.0 | +2.50 |" in text
    assert "Significant at 5 % after Holm: good against base +20.0." in text
    tex = (tmp_path / "tables" / "t.tex").read_text()
    assert r"\caption{Good \& better, seeds 0, 1, 2.}" in tex
    assert r"good & 45.0 & 52.50 & base & +20.0 & +2.50 &" in tex
    with (tmp_path / "tables" / "t.csv").open() as file:
        saved = list(csv.DictReader(file))
    assert [(row["arm"], row["against"], row["n"]) for row in saved] == [
        ("base", "", "120"),
        ("good", "", "120"),
        ("good", "base", "120"),
    ]


def test_without_numbers_of_the_paper_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args, made = ran(tmp_path, base=marks(10))
    publish(args, "t", "T", made, pairs=[])
    assert "The paper has no such table." in capsys.readouterr().out


def test_an_arm_that_failed_is_named_beside_the_others_and_ends_in_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args, made = ran(tmp_path, base=marks(10))
    made.failed.append("good, accuracy, seed 1: no solution was accepted")
    with pytest.raises(ValueError, match="1 arms failed"):
        publish(args, "t", "T", made, pairs=PAIRS)
    assert "- good, accuracy, seed 1: no solution was accepted" in capsys.readouterr().out


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test hears of the table that another one made."""
    for name in (GROUP, ARM):
        monkeypatch.setenv(name, "")
        del os.environ[name]


def test_an_arm_is_a_wandb_run_named_tagged_and_grouped_and_marked_where_it_crashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("sys.argv", ["experiments/feedback.py"])
    exp = compose(["stage=sft"], 3, tmp_path / "store", "answer match")
    with pytest.raises(RuntimeError), followed(exp, "answer match"):
        raise RuntimeError("out of memory")
    found = logged(tmp_path)
    assert found["run"][0]["group"] == "feedback"
    assert set(found["run"][0]["tags"]) == {"tiny", "qwen2vl", "sft", "arm: answer match"}
    assert found["exit"] == [{"code": 1}]


def test_a_table_is_one_wandb_run_in_the_group_of_its_arms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    args, made = ran(tmp_path / "store", "wandb", base=marks(10), good=marks(18))
    publish(args, "t", "T", made, pairs=PAIRS, paper=PAPER)
    (run,) = logged(tmp_path)["run"][:1]
    assert (run["group"], set(run["tags"])) == ("t", {"table", "tiny"})
    (stored,) = tmp_path.glob("store/wandb/offline-run-*/files/media/table/tables/*.json")
    kept = json.loads(stored.read_text())
    assert [row[kept["columns"].index("arm")] for row in kept["data"]] == ["base", "good", "good"]


@pytest.mark.parametrize(
    ("text", "escapes"),
    [
        ("M_0 & 95% of $5 #1", r"M\_0 \& 95\% of \$5 \#1"),
        ("{a}~b^c\\d", r"\{a\}\textasciitilde{}b\textasciicircum{}c\textbackslash{}d"),
        ("M_0 → M_1", r"M\_0 $\rightarrow$ M\_1"),
    ],
)
def test_latex_prints_every_sign_as_it_is(text: str, escapes: str) -> None:
    assert escaped(text) == escapes


def test_in_latex_words_stand_left_and_numbers_right() -> None:
    text = latex(Captioned("What.", [["arm", "ours", "interval"], ["K=2", "25.0", "+1.0 to +2.0"], ["K=3", "", ""]]))
    assert r"\begin{tabular}{lrr}" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1


def test_by_seed_has_wilson_intervals() -> None:
    assert by_seed({"base": marks(10)}) == [
        ["arm", "seed 0", "seed 1", "seed 2"],
        ["base", *["25.0 [14.2, 40.2]"] * 3],
    ]


@pytest.mark.parametrize(("words", "fine"), [("seed_size=9 store", False), ("--K 2", False), ("seed_size=9", True)])
def test_what_is_no_override_is_refused(
    words: str, fine: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--seeds", "4", "--store", "there", *words.split()]
    if fine:
        args, overrides = options("about", argv)
        assert (args.seeds, overrides, args.out) == ([4], ["seed_size=9"], Path("there/tables").resolve())
    else:
        with pytest.raises(SystemExit):
            options("about", argv)
        assert "is neither an option nor an override" in capsys.readouterr().err


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_arm_composes_and_differs_from_the_others_and_what_is_compared_is_there(name: str) -> None:
    module = script(f"experiments/{name}.py")
    arms: dict[str, Arm] = module.ARMS
    made = [(load(*arm.overrides), arm.make) for arm in arms.values()]
    assert all(one not in made[:i] for i, one in enumerate(made))
    assert {arm for pair in module.PAIRS for arm in pair} <= set(arms)
    assert {arm for theirs in getattr(module, "PAPER", {}).values() for arm in theirs} <= set(arms)


def test_some_arms_of_a_table_can_be_asked_for_and_others_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    arms = script("experiments/judge.py").ARMS
    assert options("", [], choice(arms))[0].arms == list(arms)
    assert options("", ["--arms", "orm", "answer", "--seeds", "1"], choice(arms))[0].arms == ["orm", "answer"]
    with pytest.raises(SystemExit):
        options("", ["--arms", "orn"], choice(arms))
    assert "invalid choice: 'orn'" in capsys.readouterr().err


def test_an_arm_with_the_defaults_is_the_default_run() -> None:
    defaults = load()
    for name, arm in {
        "judge": "orm",
        "init_from": "base",
        "rounds": "K=2",
        "seed_size": "100",
        "samples": "1 greedy",
    }.items():
        assert load(*script(f"experiments/{name}.py").ARMS[arm].overrides) == defaults


def test_a_table_of_all_backbones_can_be_narrowed() -> None:
    assert backbones(["K=1"]) == ("cogvlm2", "qwen2vl", "internvl25")
    assert backbones(["backbone=qwen2vl,cogvlm2", "K=1"]) == ("qwen2vl", "cogvlm2")


def test_families_that_are_never_learned_from_are_left_out_of_the_problems() -> None:
    families = unseen(None)
    data: Any = load(without_families(families)).data
    assert not set(families) & set(data.families)
    assert len(families) + len(data.families) == 13
    assert unseen("bars,clock") == ["bars", "clock"]


@pytest.mark.parametrize(
    ("families", "why"), [("bars,clok", "no 'clok'"), (",".join(family_names()), "none is left to learn from")]
)
def test_families_that_cannot_be_left_out_are_refused_in_one_line(families: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unseen(families)


def test_the_papers_transitions_are_of_2000_problems_and_give_its_accuracies() -> None:
    module = script("experiments/transitions.py")
    accuracies = []
    for right, wrong, lost, won in module.PAPER["cogvlm2"].values():
        assert right + wrong + lost + won == 2000
        accuracies += [(right + lost) / 20, (right + won) / 20]
    assert accuracies == [30.85, 55.35, 55.35, 58.20, 58.20, 62.35, 62.35, 64.70]


def test_transitions_count_what_is_lost_and_gained() -> None:
    module = script("experiments/transitions.py")
    models = {"base": marks(10), "M_0": marks(12, wrong_from=5)}
    (row,) = module.rows_of({"qwen2vl": models})
    counts = [row[kind] for kind in ("stay right", "stay wrong", "lost", "gained")]
    assert counts == [5 * 3, 23 * 3, 5 * 3, 7 * 3]
    assert row["p"] == paired_p(
        list(models["base"].values()), list(models["M_0"].values()), [case.problem for case in models["base"]]
    )


def test_types_of_error_are_shares_of_the_wrong_and_compared_over_all_problems() -> None:
    module = script("experiments/error_types.py")
    cases = [Case(0, f"p{i}") for i in range(4)]
    before = dict(zip(cases, ["vision", "vision", "reasoning", "right"], strict=True))
    after = dict(zip(cases, ["vision", "right", "right", "right"], strict=True))
    kinds = {"tiny": {"M_0": before, "M_1": after}}
    head, *rows = module.shares(kinds)
    column = head.index("vision")
    assert [row[column].split(" ")[0] for row in rows] == ["66.7", "100.0"]
    assert [row[head.index("errors")] for row in rows] == ["3", "1"]
    assert list(module.changes(kinds)) == ["tiny: vision", "tiny: reasoning"]
    assert module.changes(kinds)["tiny: vision"]["M_1"] == dict(zip(cases, [True, False, False, False], strict=True))


def test_repairs_are_summed_over_seeds() -> None:
    counts = {"repaired": 3, "accepted": 2, "accepted_wrong": 1}
    rows = [
        {"named": "all", "sent": 10, **counts},
        {"named": "right", "sent": 4, **counts},
        {"named": "none", "sent": 2, **counts},
    ]
    table = script("experiments/feedback.py").repairs({"orm": [rows, rows], "self": [[], []]})
    assert table[1] == ["orm", "20", "16 (80.0 %)", "8 (50.0 %)", "6 (30.0 %)", "4 (20.0 %)", "2 (50.0 %)"]
    assert table[2] == ["self", *["0"] * 6]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["stages", "reflection", "data_source", "error_types", "benchmarks"])
def test_a_table_is_one_command_and_finds_what_others_made(name: str, store: Path) -> None:
    command = [sys.executable, f"experiments/{name}.py", "--seeds", "0", "--store", str(store), *SMALL]
    words = ["judge=answer", "feedback=teacher", "tracker=none", "backbone=qwen2vl"]
    done = subprocess.run([*command, *words], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in (store / "tables").glob(f"{name}.*")} >= {".md", ".tex", ".csv"}
    if name in (
        "reflection",
        "data_source",
        "error_types",
    ):  # the models of the run were made once, for the first table
        first = [line for line in done.stderr.splitlines() if " sft " in line and " M_0:" in line]
        assert first
        assert all(line.endswith("found") for line in first)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_public_benchmarks_are_read_from_their_authors_files(
    store: Path, tmp_path: Path, problems: list[Problem]
) -> None:
    tasks = ("geometry problem solving", "math word problem")
    rows = {
        str(i): {
            "pid": str(i),
            "question": problem.question,
            "image": str(problem.images[0]),
            "choices": None,
            "unit": None,
            "answer": "7",
            "question_type": "free_form",
            "answer_type": "integer",
            "precision": None,
            "metadata": {"grade": "not applicable", "source": problem.source, "task": tasks[i % 2]},
        }
        for i, problem in enumerate(problems[:8])
    }
    (tmp_path / "testmini.json").write_text(json.dumps(rows))
    command = [
        sys.executable,
        "experiments/benchmarks.py",
        "--mathvista",
        str(tmp_path / "testmini.json"),
        "--seeds",
        "0",
    ]
    words = ["--store", str(store), "--out", str(tmp_path), *SMALL, "judge=answer", "feedback=teacher", "tracker=none"]
    done = subprocess.run([*command, *words], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "benchmarks.csv").open() as file:
        found_rows = [
            (row["measure"], row["arm"], row["against"], row["paper"], row["n"]) for row in csv.DictReader(file)
        ]
    assert ("mathvista GPS", "M_final", "base", "69.71", "4") in found_rows
    assert ("mathvista", "base", "", "59.4", "8") in found_rows


def test_a_benchmark_whose_file_is_missing_is_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "experiments/benchmarks.py",
        "--mathvision",
        "nowhere.jsonl",
        "--store",
        str(tmp_path),
        *SMALL,
    ]
    done = subprocess.run([*command, "tracker=none"], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("mathse: nowhere.jsonl: cannot be read")
