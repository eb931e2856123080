"""What a run says of itself, driven through a Reporter with artifacts made by hand."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import SUMMARY
from PIL import Image, ImageDraw

from mathse.config import Experiment, load
from mathse.report import Reporter, run_name
from mathse.report.examples import pick
from mathse.report.files import small_picture, write_text
from mathse.report.page import laid_out
from mathse.report.roles import role_of
from mathse.report.summary import on_held_out
from mathse.report.text import line, next_thing, orm_table
from mathse.steps.judging import agreement
from mathse.store import Artifact, canonical
from mathse.types import Judged, Model, Problem, Solution, Verdict, steps_of, write_jsonl

HOSTILE = "Step 1: <script>alert('hacked')</script>\nStep 2: \"><img src=x onerror=alert(1)> {{ 7 * 7 }} \ud800\n"
ORM_CARD = {
    "n_correct": 50,
    "n_wrong": 40,
    "correct_accuracy": 0.9,
    "wrong_accuracy": 0.8,
    "accuracy": 0.855,
    "step_hit_rate": 0.75,
    "unreadable": 0.01,
}
TRAINED = {"rows": 90, "steps": 60, "loss": 0.21, "validation_loss": 0.3, "dropped": 0}
ORM = {"_target_": "mathse.feedback.orm.TrainedOrm"}
MATCH = {"_target_": "mathse.feedback.answer.AnswerMatch"}


class Story:
    """A run of all three stages with two rounds, told to a Reporter as the store would tell it."""

    def __init__(self, exp: Experiment, reporter: Reporter) -> None:
        self.exp, self.reporter, self.root = exp, reporter, Path(exp.store)
        (self.root / "pictures").mkdir(parents=True, exist_ok=True)
        self.count = 0

    def step(self, step: str, metrics: Mapping[str, float], rows: Sequence[Any] = (), /, **inputs: Any) -> Artifact:
        self.count += 1
        name = f"{step}-{self.count:012x}"
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        file = "judged.jsonl" if rows and isinstance(rows[0], Judged) else "solutions.jsonl"
        write_escaped(folder / file, rows)
        if "loss" in metrics:
            curve = [{"step": i, "loss": 1 / i, "lr": 0.01} for i in range(1, 61)] + [
                {"step": 60, "validation_loss": 0.3}
            ]
            (folder / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in curve))
        artifact = Artifact(name, folder, metrics)
        recipe = {"step": f"mathse.steps.{step}.{step}", "version": 1, "inputs": canonical(inputs)}
        record = {**recipe, "metrics": metrics, "files": {}, "seconds": 2.5}
        (folder / "record.json").write_text(json.dumps(record))
        self.reporter.step(artifact, recipe, cached=self.count % 2 == 0, seconds=1.25)
        return artifact

    def problem(self, i: int) -> Problem:
        path = self.root / "pictures" / f"{i % 5}.png"
        if not path.exists():
            picture = Image.new("RGB", (112, 112), "white")
            ImageDraw.Draw(picture).rectangle((16, 24, 60 + 8 * (i % 5), 90), outline="black", fill="#cfe3f1")
            picture.save(path)
        choices = ("10", "12", str(i)) if i % 7 == 0 else ()
        answer = "C" if choices else str(i)
        family = ("rectangle", "bars", "clock")[i % 3]
        return Problem(f"p{i}", f"How long is side {i} of it?", (str(path),), answer, choices, family, 1 + i % 3)

    def solution(self, i: int, author: str, *, right: bool) -> Solution:
        problem = self.problem(i)
        answer = problem.answer if right else "999"
        hostile = HOSTILE if i % 4 == 0 else "Step 1: The side ends at 7.\nStep 2: 3 + 4 = 8.\n"
        return Solution(problem, f"{hostile}The answer to this problem is {answer}.", author)

    def said(self, numbers: Sequence[int]) -> list[Verdict]:
        def verdict(i: int) -> Verdict:
            if i % 9 == 0:
                return Verdict("unreadable", by="train_orm-00", raw='{"status": <b>maybe</b>')
            if i % 5 < 3:
                return Verdict("correct", score=0.93, by="train_orm-00")
            return Verdict("wrong", 2, "<script>steal()</script> The sum in step 2 is wrong.", 0.1, "train_orm-00")

        return [verdict(i) for i in numbers]

    def judge(self, of: Artifact, author: str, numbers: Sequence[int], source: Any) -> Artifact:
        rows = [
            Judged(self.solution(i, author, right=i % 5 < 2), said)
            for i, said in zip(numbers, self.said(numbers), strict=True)
        ]
        return self.step("judge", {"generated": len(rows), **agreement(rows)}, rows, solutions=of, source=source)

    def tell(self) -> None:
        exp, model = self.exp, lambda name, adapter=None: {"name": name, "adapter": adapter}
        D = self.step("load", {"problems": 300}, data=exp.data)
        self.step("load", {"problems": 60}, data=exp.benchmark.data)
        kept = self.step("draw", {"problems": 100}, problems=D, size=100, seed="orm")
        taught = self.step("distill", {"solutions": 60, "teacher_calls": 60}, problems=kept)
        chosen = self.judge(taught, "teacher", range(20), MATCH)
        student = self.step("sft", TRAINED, data=[chosen])
        drafts = self.step("generate", {"problems": 100, "solutions": 200}, model=model("student", student))
        labelled = self.judge(drafts, "student", range(20), MATCH)
        counts = {"wrong": 90, "right": 90, "dropped": 2, "teacher_calls": 92}
        truth = [
            Judged(
                self.solution(i, "student", right=i % 5 < 2), Verdict("correct") if i % 5 < 2 else Verdict("wrong", 1)
            )
            for i in range(20)
        ]
        annotated = self.step("annotate", counts, truth, judged=labelled)
        self.step("train_orm", TRAINED, data=annotated)
        held_out = [Judged(row.solution, said) for row, said in zip(truth, self.said(range(20)), strict=True)]
        self.step("test_orm", ORM_CARD, held_out, source=ORM, data=annotated)
        D_SFT = [self.judge(taught, "teacher", range(20), ORM)]
        models = [Model(exp.backbone), Model(exp.backbone, self.step("sft", TRAINED, data=D_SFT), "M_0")]
        for k in (1, 2):
            author = f"M_{k - 1}"
            written = self.step("generate", {"problems": 90, "solutions": 90}, model=model(author, models[-1].adapter))
            D_SFT.append(self.judge(written, author, range(90 * k, 90 * k + 90), ORM))
            models.append(Model(exp.backbone, self.step("sft", TRAINED, data=D_SFT), f"M_{k}"))
        wrong = [
            Judged(self.solution(i, "M_0", right=False), Verdict("wrong", 2, "No.", by="o")) for i in range(90, 120)
        ]
        counts = {"rejected": 40, "kept": 30, "diagnosed": 30, "asked": 0}
        diagnosed = self.step("diagnose", counts, wrong, judged=D_SFT[1:])
        reflected = self.step("reflect", {"solutions": 30, "teacher_calls": 30}, diagnosed=diagnosed)
        D_SFT.append(self.judge(reflected, "reflection on M_0", range(90, 120), ORM))
        models.append(Model(exp.backbone, self.step("sft", TRAINED, data=D_SFT), "M_final"))
        for place, tested in enumerate(models):
            rows = [
                Judged(self.solution(i, tested.name, right=i % 10 <= 2 * place), Verdict(status, by="figures"))
                for i in range(60)
                for status in ("correct" if i % 10 <= 2 * place else "wrong",)
            ]
            correct = sum(row.verdict.status == "correct" for row in rows)
            metrics = {"n": 60, "correct": correct, "accuracy": correct / 60}
            self.reporter.score(tested, self.step("evaluate", metrics, rows, model=tested))


def write_escaped(path: Path, rows: Sequence[Any]) -> None:
    """As write_jsonl does, but half characters too, which JSON may hold in its own spelling."""
    tame = [json.loads(json.dumps(dataclasses.asdict(row)).replace("\\ud800", "HALF")) for row in rows]
    plain = [
        dataclasses.replace(row, solution=dataclasses.replace(row.solution, text=data["solution"]["text"]))
        for row, data in zip(rows, tame, strict=True)
    ]
    write_jsonl(path, plain)
    path.write_text(path.read_text().replace("HALF", "\\ud800"))


def experiment(root: Path, tracker: str = "none") -> Experiment:
    store, report = f"store={root}/store", f"report={root}/reports"
    return load(store, report, f"tracker={tracker}")


@dataclasses.dataclass
class Told:
    exp: Experiment
    reporter: Reporter
    folder: Path
    lines: list[str]
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    import contextlib
    import io

    exp = experiment(tmp_path_factory.mktemp("told"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out), Reporter(exp) as reporter:
        Story(exp, reporter).tell()
        reporter.finish()
    lines = out.getvalue().splitlines()
    return Told(exp, reporter, reporter.folder, lines, json.loads(Path(lines[-1]).read_text()))


def test_the_summary_has_exactly_its_schema(told: Told) -> None:
    summary = told.summary
    assert list(summary) == SUMMARY
    assert (summary["scale"], summary["backbone"], summary["stage"], summary["K"]) == ("tiny", "qwen2vl", "reflect", 2)
    assert [m["name"] for m in summary["models"]] == ["base", "M_0", "M_1", "M_2", "M_final"]
    assert all(
        list(m) == ["name", "benchmark", "n", "correct", "accuracy", "ci95", "artifact"] for m in summary["models"]
    )
    assert all(m["ci95"][0] < m["accuracy"] < m["ci95"][1] for m in summary["models"])
    counts = ["round", "generated", "accepted", "rejected", "unreadable"]
    assert all(list(r) == [*counts, "accept_precision", "accept_recall"] for r in summary["rounds"])
    assert all(r["generated"] == r["accepted"] + r["rejected"] + r["unreadable"] == 90 for r in summary["rounds"])
    assert summary["orm"] == ORM_CARD
    assert all(list(step) == ["name", "cached", "seconds"] for step in summary["steps"])
    assert summary["peak_rss_mb"] > 10


def test_rounds_are_what_the_models_wrote_not_the_orms_student(told: Told) -> None:
    assert [r["round"] for r in told.summary["rounds"]] == [1, 2]


def test_each_model_is_compared_with_the_one_before_then_the_whole_with_its_start(told: Told) -> None:
    pairs = [(c["a"], c["b"]) for c in told.summary["comparisons"]]
    chain = [("base", "M_0"), ("M_0", "M_1"), ("M_1", "M_2"), ("M_2", "M_final")]
    assert pairs == [*chain, ("base", "M_2"), ("M_0", "M_2"), ("M_0", "M_final")]
    first = told.summary["comparisons"][0]  # 12 of 60 more are right and none is lost: p = 2 / 2^12
    assert first["difference"] == pytest.approx(0.2)
    assert first["p"] == pytest.approx(2 / 2**12)


def test_each_step_is_one_line_with_a_number_words_and_seconds_or_found(told: Told) -> None:
    lines = [line for line in told.lines if re.match(r" *\d+  [a-z_]+ ", line)]
    assert len(lines) == len(told.summary["steps"])
    assert re.fullmatch(r" *1 +load +300 problems +1\.2 s", lines[0])
    assert re.fullmatch(r" *2 +load +60 test problems +found", lines[1])
    assert [line.split()[2] for line in lines if " sft " in line] == ["student:", "M_0:", "M_1:", "M_2:", "M_final:"]
    assert any("round 2: " in line and "unreadable; precision" in line for line in lines)
    assert all(len(line) < 120 for line in lines)


def test_the_end_is_a_table_and_a_next_thing_and_the_path_of_the_summary(told: Told) -> None:
    assert told.lines[-1] == str(told.folder / "summary.json")
    assert told.lines[-2] == "next: python train.py K=3"
    text = "\n".join(told.lines)
    assert re.search(r"(?m)^model +accuracy +95% interval +change +paired p$", text)
    assert re.search(r"(?m)^M_0 +30\.0 +19\.9 to 42\.5 +\+20\.0 +0\.00049$", text)
    assert re.search(r"(?m)^round +generated +accepted +rejected +unreadable +precision +recall$", text)
    assert re.search(r"(?m)^wrong ones rejected +0\.800 +40$", text)


def test_the_report_has_accuracy_by_source_and_level_and_a_picture(told: Told) -> None:
    report = (told.folder / "report.md").read_text()
    assert "| source | n | base | M_0 | M_1 | M_2 | M_final |" in report
    assert "| level | n | base |" in report
    assert "| rectangle | 20 |" in report
    with Image.open(told.folder / "accuracy.png") as picture:
        assert picture.width > 600


def test_nothing_half_written_stays(told: Told) -> None:
    files = ["accuracy.png", "audit.json", "orm.json", "orm.png", "report.html", "report.md", "summary.json"]
    assert sorted(path.name for path in told.folder.iterdir()) == files


def test_the_orms_report_is_part_of_it(told: Told) -> None:
    report = (told.folder / "report.md").read_text()
    assert "| held-out | 20 | 0.400 [0.22, 0.61] |" in report
    assert "| round 2 | 90 |" in report
    assert "ECE" in report


def test_examples_are_of_as_many_families_as_there_are(told: Told) -> None:
    picked = pick(told.reporter.scores[0].rows, 3)
    assert {row.solution.problem.source for row in picked} == {"rectangle", "bars", "clock"}
    assert pick(list(reversed(told.reporter.scores[0].rows)), 3) == picked


@pytest.mark.parametrize(
    "text",
    [
        "Step 1: a\nStep 2: b\nThe answer to this problem is 3.",
        "First this.\nThen that.\n\nThe answer to this problem is 3.",
        "Let us see.\nStep 1. a\nmore of it\nStep 2: b",
        "Step 1:\nStep 2: b",
        "**Step 1:** a\n**Step 2:** b",
        "So:\n1. a\n  1. within\n2. b",
        "One. Two.\n\nThree.",
        "One. Two. The answer to this problem is 3.",
        "The answer to this problem is 3.",
        "",
    ],
)
def test_a_solution_is_laid_out_whole_in_the_steps_that_are_counted(text: str) -> None:
    parts = laid_out(text)
    numbered = [re.sub(r"^(\**Step\s+\d+\s*[:.]|\d\.)[*\s]*", "", part) for part, number in parts if number]
    assert numbered == steps_of(text)
    assert [number for _, number in parts if number] == list(range(1, len(numbered) + 1))
    assert "".join("".join(part for part, _ in parts).split()) == "".join(text.split())


def test_a_picture_that_cannot_be_read_is_none_and_a_large_one_is_made_smaller(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("<svg onload=alert(1)>")
    Image.new("RGB", (3000, 2000), "red").save(tmp_path / "large.png")
    assert small_picture(str(tmp_path / "missing.png")) is None
    assert small_picture(str(tmp_path / "text.png")) is None
    large = small_picture(str(tmp_path / "large.png"))
    assert large is not None
    assert (large.width, large.height) == (480, 320)
    assert len(large.uri) < 20_000


@pytest.mark.parametrize(
    ("stage", "argv", "command"),
    [
        ("sft", ["train.py", "stage=sft"], "python train.py stage=evolve"),
        ("evolve", ["train.py", "stage=evolve", "K=4", "seed=1"], "python train.py seed=1 stage=reflect"),
        ("reflect", ["/x/train.py", "data.families=[bars,clock]"], "python train.py 'data.families=[bars,clock]' K=3"),
        ("reflect", ["train.py", "-m", "K=0,1,2", "seed=0,1"], "python train.py K=3"),
        ("reflect", ["a_notebook", "-f", "x=1"], "python train.py K=3"),
    ],
)
def test_the_next_thing_keeps_what_was_asked_for(stage: str, argv: list[str], command: str) -> None:
    assert next_thing({"stage": stage, "K": 2}, argv) == command


def test_with_answer_match_as_judge_m_0_and_the_student_share_verdicts_and_m_0_comes_first() -> None:
    def tuned(roles: dict[str, str]) -> str:
        return role_of({"step": "mathse.steps.sft.sft", "inputs": {"data": [{"artifact": "j"}]}}, roles, MATCH)

    judged = {"step": "x.judge", "inputs": {"solutions": {"artifact": "d"}, "source": MATCH}}
    assert role_of(judged, {"d": "teacher"}, MATCH) == "teacher"
    assert role_of(judged, {"d": "teacher"}, {"_target_": "mathse.feedback.orm.Orm"}) == "student"
    assert tuned({"d": "teacher", "j": "teacher"}) == "M_0"
    assert tuned({"d": "teacher", "j": "teacher", "m": "M_0"}) == "student"


@pytest.mark.parametrize(
    ("learned", "trained", "role"),
    [
        (["teacher", "round 1"], ["M_0"], "M_1"),
        (["teacher", "round 1", "reflection"], ["M_0", "M_1"], "M_final"),
        (["teacher", "round 1", "reflection"], ["M_0"], "M_1"),
        (["teacher", "round 1", "reflection", "round 2", "reflection"], ["M_0", "M_1"], "M_2"),
    ],
)
def test_what_learns_repairs_is_the_final_model_or_the_rounds_own(
    learned: list[str], trained: list[str], role: str
) -> None:
    names = [f"judge-{i}" for i in range(len(learned))]
    roles = {**dict(zip(names, learned, strict=True)), **{f"sft-{model}": model for model in trained}}
    recipe = {"step": "mathse.steps.sft.sft", "inputs": {"data": [{"artifact": name} for name in names]}}
    assert role_of(recipe, roles, ORM) == role


def test_the_name_of_a_run_tells_settings_apart_but_not_where_they_run() -> None:
    name = run_name(load())
    assert re.fullmatch(r"reflect-qwen2vl-K2-seed0-[0-9a-f]{8}", name)
    assert run_name(load("runtime.batch_size=3", "store=x", "report=y", "tracker=none", "explain=true")) == name
    assert run_name(load("fit.lr=0.1")) != name


def test_a_step_asked_for_twice_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(experiment(tmp_path)) as reporter:
        artifact = Artifact("draw-00", tmp_path, {"problems": 3})
        for _ in range(2):
            reporter.step(artifact, {"step": "mathse.steps.data.draw", "inputs": {"seed": 0}}, cached=True, seconds=0)
    assert capsys.readouterr().out.count("seed problems") == 1


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="report="), Reporter(load(f"report={tmp_path}/file", "tracker=none")):
        pass


def test_importing_the_report_is_cheap() -> None:
    heavy = "{'torch', 'matplotlib', 'wandb', 'scipy', 'jinja2'}"
    code = f"import sys; import mathse.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


JUDGED = {"accepted": 0, "generated": 9, "unreadable": 0, "right": 0, "accept_precision": 0.0, "accept_recall": 0.0}
TESTED = {"n_correct": 0, "n_wrong": 4, "correct_accuracy": 0.0, "wrong_accuracy": 0.5, "step_hit_rate": 0.25}
ASKED = {"rejected": 9, "diagnosed": 4, "called_correct": 3, "unreadable": 2}


@pytest.mark.parametrize(
    ("metrics", "analysis", "row"),
    [
        (ORM_CARD, True, ["wrong step named, of the rejected wrong ones", "0.750", "32"]),
        (ORM_CARD, False, ["wrong step named: a binary ORM names none", "", ""]),
        ({**ORM_CARD, "wrong_accuracy": 0.0}, True, ["wrong step named, of the rejected wrong ones", "", "0"]),
        ({**ORM_CARD, "n_wrong": 0}, True, ["wrong ones rejected", "", "0"]),
    ],
)
def test_the_orms_card_says_of_how_many_and_has_no_share_of_nothing(
    metrics: dict[str, float], analysis: bool, row: list[str], tmp_path: Path
) -> None:
    trained = {"inputs": {"analysis": analysis}}
    tested = {"inputs": {"source": {"model": {"adapter": {"artifact": "train_orm-00"}}}}}
    for name, record in (("train_orm-00", trained), ("test_orm-00", tested)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(json.dumps(record))
    assert row in orm_table(on_held_out(Artifact("test_orm-00", tmp_path / "test_orm-00", metrics)))


@pytest.mark.parametrize(
    ("step", "metrics", "words"),
    [
        ("judge", JUDGED, "0 of 9 accepted; precision unknown, recall unknown"),
        ("judge", {**JUDGED, "right": 2}, "precision unknown, recall 0.00"),
        ("test_orm", TESTED, "right ones accepted unknown, wrong ones rejected 0.50, step named 0.25"),
        ("test_orm", {**TESTED, "wrong_accuracy": 0.0}, "wrong ones rejected 0.00, step named unknown"),
        (
            "diagnose",
            ASKED,
            "4 of 9 rejected solutions go to reflection, 3 called correct by the feedback, 2 unreadable",
        ),
        ("diagnose", {"rejected": 9, "diagnosed": 9}, "9 of 9 rejected solutions go to reflection "),
    ],
)
def test_a_share_of_nothing_is_unknown_and_what_is_not_reflected_on_is_said(
    step: str, metrics: dict[str, float], words: str
) -> None:
    artifact = Artifact(f"{step}-00", Path(), {"unreadable": 0.0, **metrics})
    assert words in line(1, artifact, "round 1", cached=True, seconds=0.0)


def test_a_file_that_two_write_at_once_is_whole_whoever_was_last(tmp_path: Path) -> None:
    """The same run in two processes: both write its unfinished.json after each step, and one that is refused removes the folder."""
    path, texts = tmp_path / "reports" / "unfinished.json", [letter * 100_000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda text: [write_text(path, text) for _ in range(25)], texts))
    assert path.read_text() in texts
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.md", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.md", "\ud83d")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.md": "old"}
