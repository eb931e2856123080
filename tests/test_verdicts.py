"""What judges write is read as they meant it, or not at all."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mathse.feedback import parse_verdict

SOLUTION = "Step 1: The width is 7.\nStep 2: The height is 4.\nStep 3: 7 * 4 = 30.\nThe answer to this problem is 30."
JSON = '{"status": "WRONG", "error_step": "Step 3", "error_analysis": "It\'s 4 times 7, see \\"Step 1\\"."}'
ANALYSIS = 'It\'s 4 times 7, see "Step 1".'


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"```json\n{JSON}\n```",
        f"Let me see: step 1 is correct. {JSON} I hope that this helps. Step 2 is fine.",
        JSON.replace(', "', ',\n  "').replace("Step 3", "3"),
        JSON.replace('"Step 3"', "3").replace("WRONG", "Incorrect"),
        JSON.replace("Step 3", "the third step").replace('"status"', '"STATUS"'),
        JSON[:-1],
        f"{JSON}\n{JSON}",
        "{'status': 'wrong', 'error_step': 'Step 3', 'error_analysis': 'It's 4 times 7, see \"Step 1\".'}",
        "{'status': 'wrong', 'error_step': 3, 'error_analysis': 'It\\'s 4 times 7, see \"Step 1\".', 'sure': True}",
        f"Step 1: good. Final Judgement: wrong. First Error Step: 3. Error Analysis: {ANALYSIS}",
        f"1. Good.\n\n**Final Judgement:** Incorrect\n**First Error Step:** Step 3\n**Error Analysis:**\n{ANALYSIS}\n",
        f"Status: The solution is not correct.\nerror_step: step 3\nerror_analysis: {ANALYSIS}",
    ],
)
def test_the_same_verdict_is_read_in_whatever_form(text: str) -> None:
    for solution in ("", SOLUTION):
        verdict = parse_verdict(text, "judge", solution)
        assert (verdict.status, verdict.error_step, verdict.analysis) == ("wrong", 3, ANALYSIS)
        assert (verdict.by, verdict.raw) == ("judge", text)


@pytest.mark.parametrize(
    "text",
    [
        '{"status": "CORRECT", "error_step": null, "error_analysis": null}',
        '{"status": "CORRECT", "error_step": "None", "error_analysis": "", "improvement_suggestion": "In Step 2, say why."}',
        "{'status': 'correct', 'error_step': None}",
        '{"status": "CORRECT", "error_step": nu',
        '{"status": "正确"}',
        "All is well.\nFinal Judgement: correct\nFirst Error Step: N/A\nError Analysis: N/A",
        "CORRECT",
        "**Correct.**",
    ],
)
def test_a_correct_verdict_names_no_step(text: str) -> None:
    verdict = parse_verdict(text, solution=SOLUTION)
    assert (verdict.status, verdict.error_step, verdict.analysis) == ("correct", None, "")


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("Step 2", 2),
        ("step #2: The height is read wrongly, 7 is the width", 2),
        ("Steps 2 and 3: the height is 5", 2),
        ("Steps 3, 2", 2),
        ("[2, 3]", 2),
        ("2: the height", 2),
        ("步骤2", 2),
        ("第2步", 2),
        ("In the second step", 2),
        ("7 * 4 = 30", 3),
        ("\u201c7*4 = 30.\u201d", 3),
        ("The calculation 7 * 4 = 30 is wrong.", 3),
        ("The height is 4. 7 * 4 = 30.", 2),
        ("The width", 1),
        ("The", None),  # in two steps
        ("The area is 30", None),  # in none
        ("30", None),  # there are three steps
        ("Step 12", None),
        ("0", None),
        ("-1", None),
        ("3.5", None),
        ("somewhere in the 3 lines", None),
        ("null", None),
        ("", None),
    ],
)
def test_a_step_is_named_by_number_or_by_what_it_says_and_never_guessed(said: str, step: int | None) -> None:
    verdict = parse_verdict(json.dumps({"status": "WRONG", "error_step": said}), solution=SOLUTION)
    assert (verdict.status, verdict.error_step) == ("wrong", step)


def test_a_solutions_own_numbers_name_its_steps() -> None:
    text = '{"status": "WRONG", "error_step": "Step 2"}'
    assert parse_verdict(text, solution="Step 0: a\nStep 2: b\nStep 3: c").error_step == 2
    assert parse_verdict(text, solution="Step 1: a\nStep 1: b\nStep 2: c").error_step == 2
    assert parse_verdict(text, solution="One. Two.").error_step == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The solution is wrong because of step 3.",
        "I cannot say if it is CORRECT or WRONG.",
        '{"status": "CORRECT or WRONG", "error_step": null}',
        '{"status": "CORRECT" or "WRONG", "error_step": the first wrong step or null}',
        '{"status": "partially correct"}',
        '{"status": "WRO',
        '{"status": "WRONG',
        '{"status": null}',
        '{"status": {"status": "WRONG"}}',
        '{"error_step": "Step 3"}',
        '{"status": "CORRECT"} … no, {"status": "WRONG"}',
        '{"status": "CORRECT", "error_step": "Step 3"}',
        "Final Judgement: correct/wrong",
        "Final Judgement: correct, but see step 3",
        "Final Judgement: wrong\nWait.\nFinal Judgement: correct",
    ],
)
def test_what_states_no_verdict_or_two_is_unreadable(text: str) -> None:
    verdict = parse_verdict(text, "judge", SOLUTION)
    assert (verdict.status, verdict.error_step, verdict.raw) == ("unreadable", None, text)


@pytest.mark.parametrize(
    ("text", "step", "analysis"),
    [
        ('{"status": "WRONG", "error_step": "Step 1', None, ""),  # it may have been 12
        ('{"status": "WRONG", "error_step": 1', None, ""),
        ('{"status": "WRONG", "error_step": "Step 1", "error_analysis": "The wid', 1, "The wid"),
        ('{"status": "WRONG", "error_step": "Step 1"}\n{"status": "WRONG", "error_step": "Step 3"}', None, ""),
        (
            r'{"status": "WRONG", "error_step": 1, "error_analysis": "\alpha is \frac{1}{2}"}',
            1,
            r"\alpha is \frac{1}{2}",
        ),
        ('{"status": "WRONG", "error_step": 1, "error_analysis": "\\ud83d\\ude00 \\ud800"}', 1, "\U0001f600 ?"),
    ],
)
def test_what_is_cut_off_or_said_in_two_ways_is_left_out(text: str, step: int | None, analysis: str) -> None:
    verdict = parse_verdict(text)
    assert (verdict.status, verdict.error_step, verdict.analysis) == ("wrong", step, analysis)


HOSTILE = [
    *(
        "{",
        '{"a":',
        "[",
        "'",
        '"',
        "'a' ",
        "'status': '' ",
        '"status": ',
        "\\",
        '"status": "\\',
        "\0",
        "\ud800",
        "*",
        "\n",
        " ",
    ),
    *(
        "Final Judgement:",
        "First Error Step: 1, ",
        "Step 1, ",
        "status   ",
        "judgement_",
        "not correct",
        "the solution is ",
    ),
    *('"a"   ', '{"status": "WRONG", "error_step": "1 and ', "error step: a\n", "9", "\x1b[31m", "\u202e", "½", "x1"),
]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize(
    "head", ["", '{"status": "WRONG", "error_step": "', "Final Judgement: wrong. First Error Step: "]
)
def test_hostile_words_take_bounded_time_and_can_be_written(piece: str, head: str) -> None:
    begun = time.process_time()
    verdict = parse_verdict(head + piece * (100_000 // len(piece)), solution="Step 1: aaaa\n" * 5_000)
    assert time.process_time() - begun < 2
    assert verdict.status != "correct"
    (verdict.raw + verdict.analysis).encode()


def test_it_agrees_with_the_authors_of_mr_gsm8k_on_real_critics(beside: Callable[[str], Path]) -> None:
    agree = rows = 0
    for file in ("GPT3_5", "metamath_70B"):
        for line in beside(f"data/mr-gsm8k-critics/{file}.jsonl").read_text().splitlines():
            row = json.loads(line)
            theirs = row["critic_output"]
            number = re.search(r"\d+", theirs["error_step_pred"])
            assert number
            status = "correct" if theirs["correctness_pred"].lower() == "correct" else "wrong"
            for solution in ("", "\n".join(row["model_output_steps"])):
                ours = parse_verdict(theirs["response"], solution=solution)
                rows += 1
                agree += (ours.status, ours.error_step) == (status, int(number[0]))
    print(f"{agree} of {rows} readings agree with the authors'")
    assert rows == 2 * 195
    assert agree >= 0.99 * rows
