"""Stored responses are scored, and what is wrong with a file of them is said; the judge of what no rule decides."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from endpoint import Endpoint
from test_rules import vista

from mathse.benchmarks.judge import settle
from mathse.benchmarks.scoring import Response, Scorable, lenient
from mathse.benchmarks.stored import Stored
from mathse.benchmarks.tables import decided, tally
from mathse.config import load
from mathse.score import main, score
from mathse.settings import settings
from mathse.statistics import wilson
from mathse.types import Chat, Problem


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


PROBLEMS = [{"id": str(n), "question": f"What is {n}?", "answer": str(n), "source": "ab"[n % 2]} for n in range(1, 6)]


def run(tmp_path: Path, rows: Sequence[Mapping[str, Any]], *words: str) -> dict[str, Any]:
    problems = jsonl(tmp_path / "problems.jsonl", PROBLEMS)
    responses = jsonl(tmp_path / "responses.jsonl", rows)
    return score(
        ["benchmark=jsonl", f"problems={problems}", f"responses={responses}", f"out={tmp_path / 'out'}", *words]
    ).result


def test_a_score_says_all_that_it_depends_on(tmp_path: Path) -> None:
    result = run(tmp_path, [{"id": str(n), "response": f"Answer: {min(n, 4)}"} for n in range(1, 6)])
    assert list(result)[:6] == ["benchmark", "rule", "n", "correct", "accuracy", "ci95"]
    assert (result["n"], result["correct"], result["accuracy"]) == (5, 4, 0.8)
    assert result["by"]["source"]["b"] == {"n": 3, "correct": 2, "accuracy": 2 / 3}
    assert set(result["identity"]) == {"rule", "parser", "extraction", "judge", "prompt", "decoding"}
    outcomes = [json.loads(line) for line in (tmp_path / "out" / "outcomes.jsonl").read_text().splitlines()]
    assert outcomes[4] == {"id": "5", "outcomes": {"lenient": {"status": "wrong", "answer": "4", "by": "rule"}}}
    assert json.loads((tmp_path / "out" / "score.json").read_text()) == result


def test_all_rules_stand_side_by_side_with_what_they_disagree_on(tmp_path: Path) -> None:
    rows = [{"id": str(n), "response": f"Answer: {n}" if n % 2 else f"I guess {n}"} for n in range(1, 6)]
    result = run(tmp_path, rows, "rule=all")
    assert {name: found["correct"] for name, found in result["rules"].items()} == {"lenient": 5, "strict": 3}
    assert result["disagreements"] == ["2", "4"]
    assert result["pairs"] == [{"a": "lenient", "b": "strict", "only_a": 2, "only_b": 0}]


BAD = [
    *({"id": "1", "response": text} for text in ("Answer: 1", "Answer: 9")),
    {"id": "2", "response": "  "},
    {"id": "99", "response": "Answer: 99"},
    {"response": "whose?"},
]


def test_what_is_wrong_with_a_file_is_counted_and_named_and_missing_is_wrong(tmp_path: Path) -> None:
    result = run(tmp_path, BAD)
    assert {kind: (found["count"], found["first"]) for kind, found in result["inputs"].items()} == {
        "unreadable": (1, ["line 5"]),
        "foreign": (1, ["99"]),
        "duplicate": (1, ["1"]),
        "empty": (1, ["2"]),
        "missing": (3, ["3", "4", "5"]),
    }
    assert (result["n"], result["correct"], result["missing"]) == (5, 1, 3)
    with pytest.raises(ValueError, match="strict=true"):
        run(tmp_path, BAD, "strict=true")


def test_lines_in_another_encoding_are_named_and_the_others_count(tmp_path: Path) -> None:
    problems = jsonl(tmp_path / "problems.jsonl", PROBLEMS)
    responses = tmp_path / "responses.jsonl"
    responses.write_bytes(
        '{"id": "1", "response": "答案：1"}\n'.encode() + '{"id": "2", "response": "答案：2"}\n'.encode("gbk")
    )
    words = [f"problems={problems}", f"responses={responses}", f"out={tmp_path}"]
    result = score(["benchmark=jsonl", *words]).result
    assert result["correct"] == 1
    assert result["inputs"]["unreadable"] == {"count": 1, "first": ["line 2"]}


@pytest.mark.parametrize("layout", ["jsonl", "list", "object", "object.jsonl", "texts.json", "windows.jsonl"])
def test_responses_may_be_json_lines_a_list_or_an_object_by_id(layout: str, tmp_path: Path) -> None:
    rows = [{"id": row["id"], "response": f"So\u2028Answer: {row['answer']}"} for row in PROBLEMS]
    problems, responses = jsonl(tmp_path / "problems.jsonl", PROBLEMS), tmp_path / layout
    responses.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    if layout == "list":
        responses.write_text(json.dumps(rows))
    if layout.startswith("object"):
        responses.write_text(json.dumps({row["id"]: {"response": row["response"]} for row in rows}))
    if layout == "texts.json":
        responses.write_text(json.dumps({row["id"]: row["response"] for row in rows}))
    if layout == "windows.jsonl":
        responses.write_bytes("\r\n".join(["\ufeff" + json.dumps(rows[0]), *map(json.dumps, rows[1:])]).encode())
    words = [f"problems={problems}", f"responses={responses}", f"out={tmp_path}"]
    assert score(["benchmark=jsonl", *words]).result["correct"] == 5


VERSE = {
    "problem_index": "1",
    "problem_version": "Text Lite",
    "question": "How long?\n\nChoices:\nA:5 cm\nB:7 cm",
    "image": "1.png",
    "answer": "B",
    "question_type": "multi-choice",
    "metadata": {"subject": "Plane Geometry", "subfield": "Length", "source": "GeoQA+"},
}


def test_mathverse_is_scored_by_quick_match_or_by_the_stored_judgements(tmp_path: Path) -> None:
    versions = [{**VERSE, "sample_index": str(n)} for n in range(5)]
    problems = jsonl(tmp_path / "problems.jsonl", versions)
    answers = ["B", "(B) 7 cm", "It is 7 cm.", "A", "no idea"]
    rows = [{**row, "model_answer": answer} for row, answer in zip(versions, answers, strict=True)]
    words = [f"problems={problems}", f"responses={jsonl(tmp_path / 'r', rows)}", f"out={tmp_path}"]
    result = score(["benchmark=mathverse", *words]).result
    assert (result["correct"], result["by"]["version"]["Text Lite"]["n"]) == (3, 5)
    assert result["ci95"] == list(wilson(1, 1))  # five versions of one problem are one problem
    judged = [{**row, "extraction": "7", "judgement": n} for n, row in zip([1, 1, 1, 0, None], rows, strict=True)]
    words[1] = f"responses={jsonl(tmp_path / 'r', judged)}"
    result = score(["benchmark=mathverse", "rule=authors-judge", *words]).result
    assert (result["correct"], result["undecided"]) == (3, 1)


def test_mathverses_text_only_rows_are_a_table_of_their_own(tmp_path: Path) -> None:
    versions = [
        {**VERSE, "sample_index": "1"},
        {**VERSE, "sample_index": "2", "problem_version": "Text Only", "image": ""},
    ]
    rows = [{**versions[0], "model_answer": "B"}, {**versions[1], "model_answer": "A"}]
    words = [
        f"problems={jsonl(tmp_path / 'p', versions)}",
        f"responses={jsonl(tmp_path / 'r', rows)}",
        f"out={tmp_path}",
    ]
    result = score(["benchmark=mathverse", *words]).result
    assert (result["n"], result["correct"]) == (1, 1)
    assert (result["apart"]["Text Only"]["n"], result["apart"]["Text Only"]["correct"]) == (1, 0)
    words[:2] = [f"problems={jsonl(tmp_path / 'p', versions[1:])}", f"responses={jsonl(tmp_path / 'r', rows[1:])}"]
    alone = score(["benchmark=mathverse", *words]).result
    assert (alone["n"], "apart" in alone) == (1, False)


@pytest.mark.parametrize(
    "hostile", ["(" * 200_000, r"\boxed{" * 50_000, "9**9**9", r"\frac{" * 40_000, "is " * 100_000]
)
def test_a_hostile_response_costs_seconds_and_not_the_run(hostile: str, tmp_path: Path) -> None:
    started = time.monotonic()
    assert run(tmp_path, [{"id": "1", "response": hostile}, {"id": "2", "response": "2"}], "rule=all")["n"] == 5
    vision = Problem("1", "?", (), "B", ("1", "2"))
    assert not load("benchmark=mathvision").benchmark.score(vision, hostile)
    load("benchmark=mathvista").benchmark.score(vista(answer="1", answer_type="text", choices=("1", "2")), hostile)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["responses=r", "out=o"], "benchmark= is missing"),
        (["benchmark=jsonl", "out=o"], "responses= is missing"),
        (["benchmark=jsonl", "responses=r"], "out= is missing"),
        (["benchmark=jsonl", "responses=r", "out=o"], "problems= is missing"),
        (["benchmark=none", "responses=r", "out=o"], "mathvista"),
        (["benchmark=jsonl", "responses=r", "out=o", "colour=red"], "'colour'"),
        (["benchmark=jsonl", "problems=absent", "responses=r", "out=o"], "absent: cannot be read"),
        (["benchmark=dynamath", "responses=absent", "out=o"], "absent: cannot be read"),
        (["benchmark=jsonl", "responses=r", "out=o", "strict=maybe"], "strict should be true or false"),
    ],
)
def test_a_wrong_command_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["score", *words])
    assert main() == 2
    error = capsys.readouterr().err
    assert error.startswith("mathse: ")
    assert error.count("\n") == 1
    assert said in error


def test_a_judge_that_cannot_be_reached_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    problems = jsonl(tmp_path / "p", [{"id": "1", "question": "What is it?", "answer": "a circle"}])
    responses = jsonl(tmp_path / "r", [{"id": "1", "response": "Answer: a round thing"}])
    files = [f"problems={problems}", f"responses={responses}", f"out={tmp_path}", f"teacher.cache={tmp_path}"]
    nobody = ["teacher.base_url=http://127.0.0.1:9/v1", "teacher.key_env=null", "teacher.retries=0"]
    monkeypatch.setattr("sys.argv", ["score", "benchmark=jsonl", "teacher=openai", *files, *nobody])
    assert main() == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith("mathse: http://127.0.0.1:9/v1: it cannot be reached")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "77", "response": "1"}], "problems such as '77' that are not there"),
        ([{"id": "1", "prediction": "1"}], "its response as response or text; this file has id, prediction"),
        ([{"id": "1", "response": ["1"]}], "no response to any"),
        ([], "no rows"),
    ],
)
def test_a_file_without_any_response_says_what_it_has(rows: list[dict[str, Any]], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        run(tmp_path, rows)


def test_an_answer_that_was_not_extracted_in_a_file_of_extractions_is_wrong_and_named(tmp_path: Path) -> None:
    problem = {
        "pid": "1",
        "question": "?",
        "answer": "5",
        "choices": None,
        "unit": None,
        "precision": None,
        "image": "1.png",
    }
    facts = dict.fromkeys(("language", "source", "category", "task", "context", "grade"), "a") | {"skills": ["a"]}
    problem |= {"question_type": "free_form", "answer_type": "integer", "metadata": facts}
    rows = [{"pid": "1", "response": "5", "extraction": "5"}, {"pid": "2", "response": "5"}]
    problems = jsonl(tmp_path / "p.jsonl", [problem, {**problem, "pid": "2"}])
    words = [f"problems={problems}", f"responses={jsonl(tmp_path / 'r', rows)}", f"out={tmp_path}"]
    result = score(["benchmark=mathvista", *words]).result
    assert (result["correct"], result["inputs"]) == (1, {"unextracted": {"count": 1, "first": ["2"]}})


def test_a_question_twice_in_a_dynamath_table_is_named(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("Question ID,Variant 1,Variant 2\nQ1,correct,fail\nQ1,correct,correct\nQ2,fail,correct\n,,\n")
    words = ["benchmark=dynamath", f"responses={table}", f"out={tmp_path}"]
    result = score(words).result
    assert (result["n"], result["correct"], result["inputs"]["duplicate"]) == (2, 2, {"count": 1, "first": ["Q1"]})
    with pytest.raises(ValueError, match="strict=true"):
        score([*words, "strict=true"])
    table.write_text("Question ID,Variant 1,Variant 2\nQ1,,fail\n")
    with pytest.raises(ValueError, match="neither correct nor fail"):
        score(words)


def test_an_unknown_rule_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lenient, strict, and all"):
        run(tmp_path, [{"id": "1", "response": "1"}], "rule=fair")


# ---- the judge ----


class Yes:
    """A judge that says yes to what holds a word, nonsense to another, no to the rest; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, chats: Sequence[Chat], *, schema: dict[str, Any] | None = None, index: int = 0) -> list[str]:
        self.asked += [chat[0].text for chat in chats]
        return [
            "Surely." if "circle" in chat[0].text else json.dumps({"same": "Answer: square" in chat[0].text})
            for chat in chats
        ]


def test_a_judge_is_asked_only_what_the_rule_cannot_decide_and_its_nonsense_decides_nothing() -> None:
    problems = [Problem(str(n), "What is it?", (), "a square" if n else "5") for n in range(5)]
    texts = ["Answer: 6", "Answer: a square", "Answer: square", "Answer: circle", "Answer: rhombus"]
    responses = {str(n): Response(str(n), text) for n, text in enumerate(texts)}
    teacher = Yes()
    outcomes = settle(problems, responses, decided(lenient, problems, responses), teacher)
    assert [(outcome.status, outcome.by) for outcome in outcomes] == [
        ("wrong", "rule"),
        ("correct", "rule"),
        ("correct", "judge"),
        ("undecided", "rule"),
        ("wrong", "judge"),
    ]
    assert len(teacher.asked) == 3
    counts = tally(load("benchmark=jsonl").benchmark, problems, outcomes)  # type: ignore[arg-type]
    assert (counts["decided"], counts["undecided"]) == ({"rule": 2, "judge": 2}, 1)


def test_the_judge_is_asked_through_the_teachers_client_once_and_is_part_of_the_identity(tmp_path: Path) -> None:
    """MathVerse without stored judgements: what matches is decided by the rule, the judge is asked about the rest."""

    def judge(body: dict[str, Any]) -> str:
        return json.dumps({"same": "seven" in body["messages"][0]["content"]}) if body["model"] == "j" else "?"

    rows = [
        {**VERSE, "sample_index": str(n), "model_answer": said}
        for n, said in enumerate(["B", "seven", "none", "what?"])
    ]
    words = [f"problems={jsonl(tmp_path / 'p', rows)}", f"responses={jsonl(tmp_path / 'r', rows)}", f"out={tmp_path}"]
    with Endpoint(answer=judge) as endpoint:
        endpoint.faults += ["429", "garbled"]
        reached = [
            f"teacher.base_url={endpoint.url}",
            "teacher.key_env=null",
            "teacher.model=j",
            "teacher.backoff=0.01",
        ]
        words += [
            "benchmark=mathverse",
            "rule=authors-judge",
            "teacher=openai",
            *reached,
            f"teacher.cache={tmp_path / 'cache'}",
        ]
        result = score(words).result
        assert score(words).result == result
        assert len(endpoint.seen) == 5  # three questions, two of them asked again, none by the second run
    assert (result["correct"], result["decided"], result["undecided"]) == (2, {"rule": 1, "judge": 3}, 0)
    assert (result["identity"]["judge"]["model"], len(result["identity"]["judge"]["prompt"])) == ("j", 12)


# ---- problems ----


def test_problems_of_a_local_file_come_with_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"a picture")
    file = jsonl(tmp_path / "p.jsonl", [{**PROBLEMS[0], "image": "1.png", "choices": ["1", "2"], "answer": "1"}])
    out = tmp_path / "out"
    out.mkdir()
    (problem,) = load("benchmark=jsonl", f"benchmark.data.path={file}").benchmark.data.write(out)
    assert (problem.answer, problem.choices) == ("A", ("1", "2"))
    assert Path(problem.images[0]).read_bytes() == b"a picture"
    assert Path(problem.images[0]).parent == out / "images"
    (tmp_path / "1.png").unlink()
    with pytest.raises(ValueError, match=r"1\.png is not there \(problem 1\)"):
        load("benchmark=jsonl", f"benchmark.data.path={file}").benchmark.data.write(out)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mathvision", r"MathLLMs/MathVision is not in the hub's cache.*benchmark\.data\.path=FILE"),
        ("mathvl_test", "no hub"),
    ],
)
def test_data_that_are_not_there_are_one_line_that_says_how_to_get_them(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said) as error:
        load(f"benchmark={name}").benchmark.data.write(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "line 2: not JSON"),
        ('{"id": "2"}', r"line 2: no problem of this benchmark \(it has no 'answer', only id\)"),
        (json.dumps(PROBLEMS[0]), "line 2: the id '.*' is that of line 1 too"),
        ('{"question": ["What?"], "answer": "5"}', r"line 2: .* \(question should be text, got \['What\?'\]\)"),
        ('{"question": " ", "answer": "5"}', "question should be text, got ' '"),
        ('{"question": "What?", "answer": null}', "answer should be text or a number, got None"),
        ('{"question": "What?", "answer": true}', "answer should be text or a number, got True"),
        ('{"question": "What?", "answer": {"a": 5}}', "answer should be text or a number"),
        ('{"question": "What?", "answer": "5", "choices": "56"}', "choices should be a list, got str"),
        ('{"question": "What?", "answer": "5", "images": 5}', "images should be a list, got int"),
        ('{"question": "What?", "answer": "5", "images": [5]}', "a picture should be a path, got int"),
    ],
)
def test_a_broken_file_of_problems_is_named_with_its_line(row: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps(PROBLEMS[0]) + "\n" + row + "\n")
    with pytest.raises(ValueError, match=said):
        load("benchmark=jsonl").benchmark.stored_problems(file)


@pytest.mark.parametrize("name", ["mathverse", "mathvision", "mathvista", "mathvl_test"])
@pytest.mark.parametrize(
    "row", [{}, {"question": ["What?"], "answer": "5"}, {"question": 5, "choices": 5, "options": 5}]
)
def test_rows_of_another_format_are_one_line(name: str, row: dict[str, Any], tmp_path: Path) -> None:
    file = jsonl(tmp_path / "p.jsonl", [row])
    with pytest.raises(ValueError, match="line 1: no problem of") as error:
        load(f"benchmark={name}").benchmark.stored_problems(file)  # type: ignore[attr-defined]
    assert "\n" not in str(error.value)


@settings
class SchoolProblems(Stored):
    def problem(self, row: Mapping[str, Any]) -> Problem:
        return Problem(str(row["nr"]), row["frage"], (), str(row["lösung"]))


@settings
class School(Scorable):
    name: str
    data: SchoolProblems


def test_a_new_benchmark_says_only_what_its_rows_mean(tmp_path: Path) -> None:
    problems = jsonl(tmp_path / "p.jsonl", [{"nr": n, "frage": f"What is {n} + 1?", "lösung": n + 1} for n in range(3)])
    responses = jsonl(
        tmp_path / "r.jsonl", [{"id": n, "response": "The answer to this problem is 2."} for n in range(3)]
    )
    school = School(name="school", data=SchoolProblems(path=str(problems), hub=None))
    known = school.data.write(tmp_path)
    assert [school.score(problem, "The answer to this problem is 2.") for problem in known] == [False, True, False]
    assert school.report(problems, responses, rule="all", strict=True).result["rules"]["lenient"]["correct"] == 1


@pytest.mark.parametrize("images", ["1.png", ["1.png"]])
def test_one_picture_may_be_a_path_by_itself(images: Any, tmp_path: Path) -> None:
    file = jsonl(tmp_path / "p.jsonl", [{"question": "What?", "answer": 5, "images": images}])
    (problem,) = load("benchmark=jsonl").benchmark.stored_problems(file)  # type: ignore[attr-defined]
    assert (problem.images, problem.answer) == ((str(tmp_path / "1.png"),), "5")


@pytest.mark.parametrize(
    ("row", "question"),
    [
        ({"question": "", "answer": 5, "images": ["1.png"]}, ""),
        ({"question": "", "answer": 5}, None),
        ({"question": None, "answer": 5, "images": ["1.png"]}, None),
    ],
)
def test_a_question_may_stand_in_the_picture_alone(row: dict[str, Any], question: str | None, tmp_path: Path) -> None:
    file, benchmark = jsonl(tmp_path / "p.jsonl", [row]), load("benchmark=jsonl").benchmark
    if question is None:
        with pytest.raises(ValueError, match="question should be text"):
            benchmark.stored_problems(file)  # type: ignore[attr-defined]
    else:
        (problem,) = benchmark.stored_problems(file)  # type: ignore[attr-defined]
        assert problem.question == question
