"""Scores side by side: with all that they depend on, compared where that is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mathse.compare import errors_table, main, pairs_table, read, scores_table


def scored(folder: Path, right: str, *, tries: int = 1, versions: int = 1, **identity: Any) -> Path:
    """A score of one problem for each letter of `right`, c for correct."""
    folder.mkdir()
    known = {
        "rule": "strict",
        "parser": 2,
        "extraction": "own",
        "judge": None,
        "prompt": None,
        "decoding": None,
    } | identity
    counts = {
        "n": len(right),
        "correct": right.count("c"),
        "accuracy": right.count("c") / len(right),
        "ci95": [0.1, 0.9],
    }
    result = {"benchmark": "mine", "rule": "strict", **counts, "missing": 0, "undecided": 0, "decided": {"judge": 0}}
    (folder / "score.json").write_text(json.dumps(result | {"identity": known}))
    rows = []
    for place, letter in enumerate(right):
        outcome = {"strict": {"status": "correct" if letter == "c" else "wrong"}}
        key = str(place // tries)
        rows.append({"id": key, "cluster": str(int(key) // versions), "outcomes": outcome})
    (folder / "outcomes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_pairs_get_an_exact_p_and_holms_over_the_table(tmp_path: Path) -> None:
    folders = [
        scored(tmp_path / "a", "w" * 20),
        scored(tmp_path / "b", "c" * 8 + "w" * 12),
        scored(tmp_path / "c", "c" * 20),
    ]
    head, *rows = pairs_table([read(folder) for folder in folders])
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert [(row["a"], row["b"], row["b less a"]) for row in found] == [
        ("a", "b", "+40.0"),
        ("a", "c", "+100.0"),
        ("b", "c", "+60.0"),
    ]
    assert [float(row["p"]) for row in found] == pytest.approx([2 / 2**8, 2 / 2**20, 2 / 2**12], rel=0.05)
    assert [float(row["p (Holm)"]) for row in found] == pytest.approx([2 / 2**8, 6 / 2**20, 4 / 2**12], rel=0.05)


def test_versions_of_one_problem_and_tries_count_as_one(tmp_path: Path) -> None:
    """Five problems, all of whose four versions turned: p cannot be less than 2 / 2^5, whatever McNemar says of 20."""
    versions = [read(scored(tmp_path / name, right * 20, versions=4)) for name, right in (("a", "w"), ("b", "c"))]
    tries = [read(scored(tmp_path / name, right * 20, tries=4)) for name, right in (("c", "w"), ("d", "c"))]
    for pair in (versions, tries):
        assert float(pairs_table(pair)[1][5]) == pytest.approx(2 / 2**5, rel=0.02)


@pytest.mark.parametrize(
    ("identity", "said", "tested"),
    [
        ({"judge": {"model": "j", "prompt": "0123"}}, "scored otherwise: judge", False),
        ({"parser": 1, "rule": "lenient"}, "scored otherwise: rule, parser", False),
        ({"prompt": "0123"}, "asked otherwise: prompt", True),
    ],
)
def test_what_was_scored_otherwise_is_not_compared(
    identity: dict[str, Any], said: str, tested: bool, tmp_path: Path
) -> None:
    a, b = read(scored(tmp_path / "a", "wwww")), read(scored(tmp_path / "b", "cccc", **identity))
    row = pairs_table([a, b])[1]
    assert (row[-1], bool(row[5])) == (said, tested)


def test_a_line_says_all_that_a_score_depends_on(tmp_path: Path) -> None:
    decoding = {"_target_": "x", "temperature": 0.0, "samples": 1}
    score = read(scored(tmp_path / "a", "cw", judge={"model": "j", "prompt": "0123"}, prompt="abcd", decoding=decoding))
    head, row = scores_table([score])
    line = dict(zip(head, row, strict=True))
    assert (line["model"], line["accuracy"], line["95% interval"]) == ("a", "50.0", "10.0 to 90.0")
    known = {"rule": "strict", "parser": "2", "extraction": "own", "judge": "j, prompt 0123", "prompt": "abcd"}
    assert {key: line[key] for key in known} == known
    assert line["decoding"] == "temperature 0.0, samples 1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which scores?"),
        (["nowhere"], "nowhere: there is no score.json in it; give the out= of a score"),
        (["a", "rule=fair"], "no rule=fair in it; it has strict"),
    ],
)
def test_a_wrong_command_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(tmp_path / "a", "cw")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["compare", *words])
    assert main() == 2
    error = capsys.readouterr().err
    assert error.startswith("mathse: ")
    assert error.count("\n") == 1
    assert said in error


def test_types_of_error_stand_in_a_table_for_the_scores_that_have_them(tmp_path: Path) -> None:
    folder = scored(tmp_path / "a", "cwww")
    result = json.loads((folder / "score.json").read_text())
    (folder / "score.json").write_text(json.dumps(result | {"errors": {"vision": 2, "unclassified": 1}}))
    table = errors_table([read(folder), read(scored(tmp_path / "b", "cw"))])
    assert table == [["model", "wrong", "vision", "unclassified"], ["a", "3", "66.7", "33.3"]]
