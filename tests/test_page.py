"""report.html: what it shows of a run, that hostile text stays text, and how it works in a real browser."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page, browse, find
from PIL import Image
from test_report import Story, Told, experiment

from mathse.report import Reporter
from mathse.report.__main__ import main
from mathse.report.examples import Example, Group, groups
from mathse.report.page import TEMPLATES, in_rows, to_html, write_report
from mathse.report.parts import Chart, Gallery, Report, Section, Table, Text, to_markdown
from mathse.report.run import Run, read_run
from mathse.report.sections import report_of
from mathse.report.sections.rounds import intervals, rounds
from mathse.statistics import wilson
from mathse.types import Judged, Problem, Solution, Verdict

SECTIONS = ["accuracy", "rounds", "judge", "reflection", "errors", "training", "cost", "data", "gallery"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    exp = experiment(tmp_path_factory.mktemp("told"))
    with Reporter(exp) as reporter:
        Story(exp, reporter).tell()
        reporter.finish()
    return Told(exp, reporter, reporter.folder, [], {})


@pytest.fixture(scope="module")
def page(told: Told) -> str:
    return (told.folder / "report.html").read_text()


def test_every_subject_has_its_section_and_an_entry_in_the_list(page: str) -> None:
    assert re.findall(r'<section id="([a-z]+)"', page) == SECTIONS
    assert re.findall(r'<li><a href="#([a-z]+)"', page) == SECTIONS


def test_the_transitions_are_those_of_the_paper(page: str, told: Told) -> None:
    assert "| base → M_0 | 6 | 42 | 0 | 12 | 0.00049 |" in (told.folder / "report.md").read_text()
    assert "base → M_0: 12 gained, 0 lost" in page  # for those who cannot see the chart


def test_every_chart_has_a_text_for_those_who_cannot_see_it(page: str) -> None:
    charts = re.findall(r'<figure class="chart.*?</figure>', page, re.DOTALL)
    assert len(charts) >= 7
    for chart in charts:
        assert re.search(r'role="img" aria-label="[^"]{20,}"', chart)
        assert "<svg" in chart


def test_ids_are_there_once_and_what_is_referred_to_exists(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)) <= {
        pair for name in ids for pair in ((name, ""), ("", name))
    }


def test_what_models_wrote_is_escaped(page: str) -> None:
    assert "&lt;script&gt;alert(" in page
    assert "&lt;script&gt;steal()" in page
    assert "&lt;b&gt;maybe" in page
    assert "{{ 7 * 7 }}" in page
    assert page.count("<script") == 1
    assert not re.search(r"<img|<b>maybe", page)


def test_the_page_loads_nothing_and_holds_each_picture_once(page: str) -> None:
    assert not re.search(r"<link|@import|url\([^#]|<[a-z]+ [^>]*src=|https?://", page)
    assert page.count('href="data:image/png;base64,') == 5
    assert page.count('<svg class="picture" role="img" aria-label="Picture 1 of problem p') > 100


def test_the_wrong_step_is_marked(page: str) -> None:
    marked = re.findall(r"<mark>(.*?)</mark>", page)
    assert marked
    assert all(words.startswith("Step 2: ") for words in marked)


def test_the_gallery_has_every_stage_every_outcome_and_an_end(told: Told, page: str) -> None:
    found = groups(told.reporter.run({}))
    assert [group.title for group in found] == ["Distilled", "Round 1", "Round 2", "Reflection", "Test"]
    assert found == groups(told.reporter.run({}))  # the same ones each time
    statuses = {example.judged.verdict.status for example in found[1].examples}
    assert statuses == {"correct", "wrong", "unreadable"}
    assert all(len(group.examples) <= 48 for group in found)
    assert page.count("Repair by the teacher") == len(found[3].examples) == 30
    assert [name for name, _ in found[4].examples[0].history] == ["base", "M_0", "M_1", "M_2", "M_final"]


def test_a_page_from_the_store_says_what_the_run_said(told: Told, tmp_path: Path) -> None:
    run = read_run(told.folder, Path(told.exp.store))
    assert run.missing == []
    assert run.roles == told.reporter.roles
    assert (
        to_markdown(report_of(run, [])).split("## Rounds")[1].split("## ")[0] in (told.folder / "report.md").read_text()
    )
    words = [str(told.folder), f"store={told.exp.store}", f"out={tmp_path}"]
    assert main(words) == 0
    assert (tmp_path / "report.html").read_text() == (told.folder / "report.html").read_text()
    assert (tmp_path / "report.md").read_text() == (told.folder / "report.md").read_text()


# ---- what is missing ----


def killed(tmp_path: Path, before: str) -> Run:
    """What the report of a run says that was killed before its first step of this kind."""
    exp = experiment(tmp_path)

    class Killed(Story):
        def step(self, step: str, *given: Any, **inputs: Any) -> Any:
            if step == before:
                raise KeyboardInterrupt
            return super().step(step, *given, **inputs)

    with pytest.raises(KeyboardInterrupt), Reporter(exp) as reporter:
        Killed(exp, reporter).tell()
    return read_run(reporter.folder, Path(exp.store))


def test_a_run_killed_when_the_orms_student_is_trained_does_not_call_it_m_0(tmp_path: Path) -> None:
    run = killed(tmp_path, before="generate")  # whose recipe names the model
    assert [run.roles[one.name] for one in run.of("sft")] == ["student"]
    assert "| student |" in to_markdown(report_of(run, []))


def test_a_run_that_was_killed_is_shown_as_far_as_it_came(tmp_path: Path) -> None:
    run = killed(tmp_path, before="diagnose")
    assert "has not finished" in run.missing[0]
    assert [r["round"] for r in run.summary["rounds"]] == [1, 2]
    text = to_markdown(report_of(run, []))
    assert "> **Note** This run has not finished: it has" in text
    assert "No model has been evaluated yet." in text
    assert "| 2 | 90 |" in text


def copied(told: Told, tmp_path: Path) -> tuple[Path, Path]:
    store = Path(shutil.copytree(told.exp.store, tmp_path / "store"))
    return Path(shutil.copytree(told.folder, store / "reports" / told.folder.name)), store


def test_pieces_that_are_missing_or_broken_are_named_and_the_rest_is_shown(told: Told, tmp_path: Path) -> None:
    folder, store = copied(told, tmp_path)
    gone = told.reporter.rounds[0].name
    shutil.rmtree(store / gone)
    broken = told.reporter.scores[-1].artifact.path.name
    (store / broken / "judged.jsonl").write_text("{}\n")
    (next(store.glob("train_orm-*")) / "curve.jsonl").write_text("no JSON\n")
    out = tmp_path / "out"
    assert main([str(folder), f"out={out}"]) == 0
    text = (out / "report.md").read_text()
    assert f"{gone} is not in the store" in text
    assert "| M_final | 90.0 |" in text
    assert re.search(r"\n> \*\*Note\*\* Not shown: .*judged.jsonl, line 1: not a Judged", text)
    assert "> **Note** The gallery lacks a stage: " in text
    assert 'data-stage="Round 2"' in (out / "report.html").read_text()
    assert "The curve of orm is not shown" in text
    assert "| M_1 | 90 | 60 | 0.210 |" in text
    assert "## Time and cost" in text


def test_a_summary_of_an_earlier_version_is_counted_again_or_shown_without_what_it_lacks(
    told: Told, tmp_path: Path
) -> None:
    folder, store = copied(told, tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    for step in summary["comparisons"]:
        step["p_mcnemar"] = step.pop("p")
    (folder / "summary.json").write_text(json.dumps(summary))
    assert main([str(folder), f"out={tmp_path}/again"]) == 0
    assert (tmp_path / "again" / "report.md").read_text() == (told.folder / "report.md").read_text()
    shutil.rmtree(store / told.reporter.rounds[0].name)
    assert main([str(folder), f"out={tmp_path}/less"]) == 0
    text = (tmp_path / "less" / "report.md").read_text()
    assert "> **Note** Not shown: 'p'" in text
    assert "## Time and cost" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "out=x"], "mathse: nowhere: no run's report"),
        (["x"], "mathse: out= is missing"),
        (["out=x"], "mathse: a run's report or a store is missing"),
        (["a", "outt=x"], "mathse: there is no 'outt'"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.replace(f"{tmp_path}/", "").startswith(said)
    assert error.count("\n") == 1


def test_a_broken_summary_is_one_line(told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "summary.json").write_text("{")
    assert main([str(tmp_path), f"out={tmp_path}/out"]) == 2
    assert re.fullmatch(r"mathse: .*summary.json: broken \(.*\n", capsys.readouterr().err)


# ---- size and layout ----


def test_a_page_stays_under_ten_megabytes_whatever_its_pictures(tmp_path: Path) -> None:
    examples = []
    for i in range(70):
        path = tmp_path / f"{i}.png"
        Image.effect_noise((700, 700), 120).save(path)  # nothing compresses it
        solution = Solution(Problem(str(i), "?", (str(path),), "1"), "The answer to this problem is 1.", "M_0")
        examples.append(Example(Judged(solution, Verdict("correct"))))
    gallery = Section("gallery", "Gallery", [Gallery([Group("all", "", examples)], "")])
    write_report(tmp_path / "page.html", Report("Noise", "Gallery", "", sections=[gallery]))
    page = (tmp_path / "page.html").read_text()
    assert 5_000_000 < len(page) < 10_000_000
    assert page.count("<image ") + page.count("is not shown: it cannot be read, or the page would be too large") == 70
    assert page.count('class="card"') == 70
    assert "<code>69/M_0/0</code>" in page, "what mathse.lineage is asked for"


def test_two_small_charts_stand_beside_each_other_or_one_and_a_narrow_table() -> None:
    chart = Chart("c", lambda figure: None, "nothing")
    wide = Chart("c", lambda figure: None, "nothing", wide=True)
    narrow, broad = Table([["a", "b"], ["1", "2"]]), Table([["a"] * 9, ["1"] * 9])
    rows = in_rows([Text("x"), chart, chart, narrow, broad, wide, narrow])
    assert [len(row) for row in rows] == [1, 2, 1, 1, 1, 1]
    assert [len(row) for row in in_rows([chart, narrow, narrow, chart])] == [2, 1, 1]


# What colour-blind people see of linear RGB (Machado, Oliveira, Fernandes 2009, severity 1).
SEEN = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "all cones": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
}


def linear(colour: str) -> Any:
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG's ratio."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05 for colour in (a, b))
    return high / low


def lab(rgb: Any) -> Any:
    xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]] @ np.clip(rgb, 0, 1)
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_the_page_and_colour_blind_people_tell_them_apart(scheme: int) -> None:
    css = (TEMPLATES / "style.css").read_text()
    colour = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", css.split(":root")[scheme + 1]))
    for text in ("ink", "dim", "right", "wrong", "odd"):
        assert min(contrast(colour[text], colour[ground]) for ground in ("page", "card", "soft")) >= 4.5
    series = [colour[f"series-{i}"] for i in range(1, 9)]
    marks = [*series, *(colour[name] for name in ("right-mid", "wrong-mid"))]
    assert min(contrast(mark, colour["page"]) for mark in marks) >= 2.9
    pairs = [
        *itertools.combinations(series, 2),
        (colour["right"], colour["wrong"]),
        (colour["right"], colour["wrong-mid"]),
    ]
    for eye, matrix in SEEN.items():
        for a, b in pairs:
            assert np.linalg.norm(lab(matrix @ linear(a)) - lab(matrix @ linear(b))) > 15, (eye, a, b)


def test_numbers_stand_below_each_other_and_an_interval_may_go_below_its_number() -> None:
    rows = [["a", "b", "c", "d"], ["1", "1.26k", "<1e-300", "0.91 [0.88, 0.95]"], ["2", "31 +?", "2e-28", "1.2 ± 0.3"]]
    assert Table(rows).numeric == [True] * 4
    page = to_html(Report("", "", "", sections=[Section("s", "s", [Table(rows)])]))
    assert '<td class="n over">0.91 <span>[0.88, 0.95]</span></td>' in page
    assert page.count('<td class="n">') == 5
    assert '<th scope="col">a</th>' in page, "the first column names its rows"


def test_acceptance_has_its_intervals_and_none_where_a_round_is_missing(told: Told) -> None:
    run = read_run(told.folder, Path(told.exp.store))
    first, second = (one.metrics for one in run.rounds)
    found = intervals(run)
    assert found["accept_recall"][1] == wilson(round(second["accept_precision"] * second["accepted"]), second["right"])
    del run.rounds[0]
    assert all(np.isnan(found[0]).all() and found[1][0] < found[1][1] for found in intervals(run).values())
    assert first["accepted"] > 0


def test_where_answer_match_judges_its_agreement_with_itself_is_no_measurement(told: Told) -> None:
    run = read_run(told.folder, Path(told.exp.store))
    for one in run.rounds:
        run.recipes[one.name] = {"inputs": {"source": {"_target_": "mathse.feedback.answer.AnswerMatch"}}}
    (found,) = rounds(run)
    assert "1 by construction" in found.parts[0].words  # type: ignore[union-attr]
    assert [part.title for part in found.parts if isinstance(part, Chart)] == ["Solutions of each round"]


def test_hostile_names_stay_text_in_titles_tables_and_charts() -> None:
    evil = "</script></style><script>x</script>\"'--><!-- \ud800 $x$"

    def draw(figure: Any) -> None:
        figure.add_subplot().set_title(evil.replace("\ud800", ""))

    sections = [Section("s", evil, [Table([[evil, "b"], [evil, evil]], evil), Chart(evil, draw, evil), Text(evil)])]
    page = to_html(Report(evil, evil, evil, command=evil, notices=[evil], sections=sections))
    assert page.count("<script") == page.count("</script") == 1
    assert page.count("</style") == 1
    assert "\ud800" not in page


# ---- in a browser ----


@pytest.fixture(scope="module")
def visited(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """What a real browser finds on the page, by name."""
    if not find():
        pytest.skip("there is no Chromium here")
    address = (told.folder / "report.html").as_uri()
    shown = "[...document.querySelectorAll('.card')].filter(card => card.checkVisibility()).length"
    said = "document.querySelector('output').textContent"
    form = "document.forms[0]"
    found: dict[str, Any] = {}

    async def visit(page: Page) -> None:
        await page.open(address)
        tables = "document.querySelectorAll('.table .scroll')"
        found["wide"] = await page.ask(f"[...{tables}].filter(table => table.scrollWidth > table.clientWidth).length")
        found["all"] = (await page.ask(shown), await page.ask(said))
        await page.ask(f"{form}.elements.status.value = 'unreadable'; {form}.dispatchEvent(new Event('input'))")
        found["unreadable"] = await page.ask(shown)
        await page.ask(f"{form}.elements.stage.value = 'Round 2'; {form}.dispatchEvent(new Event('input'))")
        found["both"] = (await page.ask(shown), await page.ask(said), await page.ask("decodeURI(location.hash)"))
        await page.ask(f"{form}.elements.q.value = 'no such words anywhere'; {form}.dispatchEvent(new Event('input'))")
        found["none"] = (await page.ask(shown), await page.ask("document.querySelector('.none').checkVisibility()"))
        await page.ask("document.forms[0].reset()")
        await page.ask("new Promise(done => setTimeout(done, 50))")
        found["cleared"] = (await page.ask(shown), await page.ask("location.hash"))
        found["scripts"] = await page.ask("document.scripts.length")
        found["images"] = await page.ask("document.images.length")
        await page.ask("document.activeElement.blur(); scrollTo(0, 0)")
        await page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", windowsVirtualKeyCode=9)
        found["first stop"] = await page.ask("document.activeElement.className")
        await page.open("about:blank")
        await page.open(f"{address}#gallery&stage=Round+1&status=rejected", width=320, height=700)
        found["by address"] = (
            await page.ask("document.forms[0].elements.stage.value"),
            await page.ask(shown),
            await page.ask(said),
        )
        found["phone"] = await page.ask("document.documentElement.scrollWidth")
        light = await page.ask("getComputedStyle(document.body).backgroundColor")
        await page.open(address, width=390, dark=True)
        size = "parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a"  # 0 of text that stands upright
        found["smallest"] = await page.ask(
            f"Math.min(...[...document.querySelectorAll('.chart text')].map(text => {size}).filter(size => size > 0.1))"
        )
        found["schemes"] = (light, await page.ask("getComputedStyle(document.body).backgroundColor"))
        found["complaints"] = list(page.complaints)
        found["asked"] = [url for url in page.asked if not url.startswith(("data:", "file:", "about:"))]

    browse(tmp_path_factory.mktemp("profile"), visit)
    return found.__getitem__


def test_it_opens_without_a_complaint_and_asks_for_nothing(visited: Callable[[str], Any]) -> None:
    assert visited("complaints") == []
    assert visited("asked") == []


def test_no_table_is_wider_than_the_page(visited: Callable[[str], Any]) -> None:
    assert visited("wide") == 0


def test_nothing_that_models_wrote_became_part_of_the_page(visited: Callable[[str], Any]) -> None:
    assert visited("scripts") == 1
    assert visited("images") == 0


def test_filters_leave_what_fits_and_say_how_many(visited: Callable[[str], Any], page: str) -> None:
    count = page.count('class="card"')
    assert visited("all") == (count, f"{count} of {count} shown")
    assert visited("unreadable") == page.count('data-status="unreadable"') > 0
    both = len(re.findall(r'data-stage="Round 2"[^>]*data-status="unreadable"', page))
    assert visited("both") == (both, f"{both} of {count} shown", "#gallery&stage=Round+2&status=unreadable")
    assert 0 < both < visited("unreadable")
    assert visited("none") == (0, True)
    assert visited("cleared") == (count, "#gallery")


def test_an_address_sets_the_filters(visited: Callable[[str], Any], page: str) -> None:
    fits = len(re.findall(r'data-stage="Round 1"[^>]*data-status="rejected"', page))
    count = page.count('class="card"')
    assert visited("by address") == ("Round 1", fits, f"{fits} of {count} shown")


def test_it_fits_a_phone_is_dark_where_wanted_and_begins_with_a_way_past_the_head(
    visited: Callable[[str], Any],
) -> None:
    assert visited("phone") <= 320
    assert visited("smallest") > 9, "pixels: text in charts can be read on a phone"
    assert visited("schemes") == ("rgb(251, 251, 250)", "rgb(21, 24, 27)")
    assert visited("first stop") == "skip"
