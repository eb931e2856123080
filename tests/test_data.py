"""Problems that others made: whatever a file holds, each row is kept, or dropped for a reason that is named."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import loaded
from PIL import Image

from mathse.benchmarks.jsonl import JsonlProblems
from mathse.config import load
from mathse.data.dropped import read_dropped
from mathse.data.fields import choices_within
from mathse.data.source import Source
from mathse.steps.data import check_dropped
from mathse.steps.data import load as step
from mathse.store import Artifact, canonical
from mathse.types import Problem

ROW = {"id": "7", "question": "How long is AB?", "image": "a.png", "answer": "5"}


def picture(path: Path, color: str = "white") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), color).save(path)
    return path


def bomb(path: Path) -> None:
    """A PNG of a few hundred bytes that says that it has 400 million pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def source(path: Path, *overrides: str) -> Source:
    data = loaded("data=jsonl", *overrides).data
    assert isinstance(data, Source)
    return dataclasses.replace(data, path=str(path))


def write(folder: Path, *lines: str | bytes | dict[str, Any], name: str = "p.jsonl") -> Path:
    """A file of these lines; its folder has a picture, a.png."""
    picture(folder / "a.png")
    texts = [json.dumps(line) if isinstance(line, dict) else line for line in lines]
    (folder / name).write_bytes(b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts) + b"\n")
    return folder / name


def taken(path: Path, *overrides: str) -> tuple[list[Problem], dict[str, tuple[str, str]]]:
    """What was kept, and what was dropped and why, by row."""
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    problems = source(path, *overrides).write(out)
    return problems, {row.row: (row.reason, row.detail) for row in read_dropped(out)}


# ---- formats -------------------------------------------------------------------------------------------------------

ROWS = [
    {"question": "How long is AB?", "images": ["a.png"], "answer": "5 cm", "choices": [], "level": 2},
    {"question": "如图，求 △ABC 的面积。", "images": ["a.png", "b/c.png"], "answer": "12", "choices": [], "level": 1},
    {"question": "Which is larger?", "images": [], "answer": "B", "choices": ["2", "3"], "level": 3},
]


def as_jsonl(folder: Path) -> Path:
    return write(folder, *ROWS)


def as_json(folder: Path) -> Path:
    return write(folder, json.dumps(ROWS, indent=1, ensure_ascii=False), name="p.json")


def as_json_with_a_byte_order_mark(folder: Path) -> Path:
    return write(folder, b"\xef\xbb\xbf" + json.dumps(ROWS).encode(), name="p.json")


def as_json_by_id(folder: Path) -> Path:
    return write(folder, json.dumps({f"q{i}": row for i, row in enumerate(ROWS)}), name="p.json")


def as_csv(folder: Path) -> Path:
    text = io.StringIO()
    table = csv.DictWriter(text, list(ROWS[0]))
    table.writeheader()
    for row in ROWS:
        table.writerow({key: json.dumps(value) if isinstance(value, list) else value for key, value in row.items()})
    return write(folder, text.getvalue(), name="p.csv")


def as_parquet(folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(folder)
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "p.parquet")
    return folder / "p.parquet"


def as_a_datasets_folder(folder: Path) -> Path:
    """Its pictures are within."""
    import datasets

    write(folder)
    shown = [{**row, "images": [str(folder / image) for image in row["images"]]} for row in ROWS]  # type: ignore[attr-defined]
    made = datasets.Dataset.from_list(shown).cast_column("images", datasets.List(datasets.Image()))
    made.save_to_disk(str(folder / "saved"))
    return folder / "saved"


FORMATS = [as_jsonl, as_json, as_json_with_a_byte_order_mark, as_json_by_id, as_csv, as_parquet, as_a_datasets_folder]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_problems(form: Callable[[Path], Path], tmp_path: Path) -> None:
    picture(tmp_path / "b/c.png", "black")
    problems, dropped = taken(form(tmp_path))
    assert dropped == {}
    assert [problem.question for problem in problems] == [
        "How long is AB?",
        "如图，求 △ABC 的面积。",
        "Which is larger?\n(A) 2\n(B) 3",
    ]
    assert [(problem.answer, problem.choices, problem.level) for problem in problems] == [
        ("5 cm", (), 2),
        ("12", (), 1),
        ("B", ("2", "3"), 3),
    ]
    assert [len(problem.images) for problem in problems] == [1, 2, 0]
    assert len(list((tmp_path / "out/images").iterdir())) == 2  # a.png is stored once
    assert Image.open(problems[1].images[1]).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_folder_of_parquet_files_is_a_dataset_of_the_hub_with_its_pictures(kind: str, tmp_path: Path) -> None:
    """As the hub has Geometry3K: pictures are structs of bytes and path."""
    import datasets

    shown = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(shown, kind)
    made = datasets.Dataset.from_list(
        [{"problem": f"<image>Find {name}.", "answer": "3", "images": [{"bytes": shown.getvalue()}]} for name in "xyz"]
    ).cast_column("images", datasets.List(datasets.Image()))
    (tmp_path / "hub/data").mkdir(parents=True)
    for i in range(3):
        made.select([i]).to_parquet(str(tmp_path / f"hub/data/train-0000{i}-of-00003.parquet"))
    (tmp_path / "out").mkdir()
    for where, count in (
        (f"data.name={tmp_path}/hub", 3),
        (f"data.path={tmp_path}/hub/data/train-00000-of-00003.parquet", 1),
    ):
        problems = load("data=geometry3k", where).data.write(tmp_path / "out")
        assert [problem.question for problem in problems] == ["Find x.", "Find y.", "Find z."][:count]
        assert {Image.open(problem.images[0]).format for problem in problems} == {kind}
        assert {Path(problem.images[0]).suffix for problem in problems} == {".png" if kind == "PNG" else ".jpg"}


def test_a_dataset_of_the_hub_is_read_out_of_its_cache_and_named_where_it_is_not_there(tmp_path: Path) -> None:
    for overrides, said in (([], "data.name"), (["data.name=no/such"], "no/such is not in the hub's cache")):
        with pytest.raises(ValueError, match=said):
            load("data=hub", *overrides).data.write(tmp_path)


# ---- bad input -----------------------------------------------------------------------------------------------------

BAD: list[tuple[str | bytes | dict[str, Any], str, str]] = [
    ("{", "cannot be read", "not JSON"),
    ("[1, 2]", "cannot be read", "not a JSON object"),
    ("3", "cannot be read", "not a JSON object"),
    ("[" * 100_000, "cannot be read", "not JSON"),
    (b'{"question": "\xff\xfe", "answer": "5"}', "cannot be read", "not UTF-8"),
    ('{"question": "\\ud800?", "answer": "5"}', "not UTF-8", r"\ud800"),
    ({**ROW, "question": " "}, "empty question", ""),
    ({**ROW, "question": "<image>"}, "empty question", ""),
    ({"prompt": "How long?", "answer": "5"}, "empty question", "set data.fields.question"),
    ({**ROW, "question": {"en": "How long?"}}, "wrong type", "question should be text, got dict"),
    ({**ROW, "question": True}, "wrong type", "question"),
    ({**ROW, "answer": None}, "no answer", ""),
    ('{"question": "How long?", "answer": 1e999}', "no answer", ""),
    ({**ROW, "answer": ["5", "6"]}, "wrong type", "answer should be text, got list"),
    ({**ROW, "answer": "5" * 201}, "over-long", "201 characters"),
    ({**ROW, "answer": "9", "choices": ["5", "6"]}, "bad answer", "none of its choices"),
    ({**ROW, "choices": "5 or 6"}, "wrong type", "choices"),
    ({**ROW, "choices": [["5"], ["6"]]}, "wrong type", "choices"),
    ({**ROW, "choices": ["5", ""]}, "bad choices", "1 of them empty"),
    ({**ROW, "question": "How long? " * 500}, "over-long", "data.longest"),
    ({**ROW, "image": ["a.png"] * 9}, "too many pictures", "9"),
    ({**ROW, "image": "b.png"}, "missing picture", "b.png"),
    ({**ROW, "image": "."}, "missing picture", "."),
    ({**ROW, "image": 3}, "wrong type", "picture"),
    ({**ROW, "image": [None]}, "wrong type", "picture"),
    ({**ROW, "image": "a\0.png"}, "missing picture", "no path"),
    ({**ROW, "image": "a" * 5000}, "missing picture", ""),
    ({**ROW, "image": "https://example.org/a.png"}, "missing picture", "an address"),
    ({**ROW, "image": "../secret.png"}, "outside the folder", "../secret.png"),
    ({**ROW, "image": "link.png"}, "outside the folder", "link.png"),
    ({**ROW, "image": "/etc/hostname"}, "outside the folder", "/etc/hostname"),
    ({**ROW, "image": "text.png"}, "unreadable picture", "no picture"),
    ({**ROW, "image": "empty.png"}, "unreadable picture", "empty"),
    ({**ROW, "image": "torn.png"}, "unreadable picture", "torn.png"),
    ({**ROW, "image": "bomb.png"}, "unreadable picture", "pixels are not opened"),
    ({**ROW, "image": "thin.png"}, "unreadable picture", "times as long as wide"),
    (ROW, "duplicate", "the same as line 1"),
    ({**ROW, "answer": "6"}, "duplicate", "with another answer"),
]


@pytest.fixture
def dangers(tmp_path: Path) -> Path:
    """A folder of what pictures should not be, beside a picture that is none of the data's."""
    folder = tmp_path / "data"
    picture(tmp_path / "secret.png")
    picture(folder / "a.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    Image.effect_noise((200, 200), 90).save(folder / "torn.png")
    (folder / "torn.png").write_bytes((folder / "torn.png").read_bytes()[:2000])
    bomb(folder / "bomb.png")
    Image.new("L", (3000, 2)).save(folder / "thin.png")
    return folder


@pytest.mark.parametrize(("line", "reason", "detail"), BAD)
def test_a_bad_row_is_named_with_its_reason_and_the_others_are_kept(
    line: str | bytes | dict[str, Any], reason: str, detail: str, dangers: Path
) -> None:
    path = write(dangers, ROW, line, {**ROW, "question": "How wide?"})
    problems, dropped = taken(path)
    assert [problem.question for problem in problems] == ["How long is AB?", "How wide?"]
    assert set(dropped) == {"line 2"}
    assert dropped["line 2"][0] == reason
    assert detail in dropped["line 2"][1]
    assert str(path.parent / "out") not in dropped["line 2"][1]


def test_all_of_them_in_one_file_are_counted_and_the_rest_is_kept(dangers: Path) -> None:
    path = write(dangers, ROW, *(line for line, *_ in BAD))
    out = dangers / "out"
    out.mkdir()
    metrics = step(out, data=source(path))
    assert metrics["read"] == 1 + len(BAD)
    assert metrics["problems"] == 1
    assert metrics["dropped"] == len(BAD) == sum(v for k, v in metrics.items() if k.startswith("dropped: "))
    assert metrics["dropped: unreadable picture"] == 5
    assert len(list((out / "images").iterdir())) == 1


def test_strict_fails_with_the_counts_and_the_first_rows_and_is_no_other_recipe(dangers: Path) -> None:
    out = dangers / "out"
    out.mkdir()
    path = write(dangers, ROW, "{", {**ROW, "answer": ""})
    loose, strict = source(path), source(path, "data.strict=true")
    assert canonical(loose) == canonical(strict)
    read = Artifact("load-1", out, step(out, data=loose))
    check_dropped(loose, read)
    with pytest.raises(ValueError, match=r"2 of 3 rows .*1 cannot be read, 1 no answer.*line 2: .*data.strict=false"):
        check_dropped(strict, read)
    check_dropped(strict, Artifact("load-2", out, step(out, data=source(write(dangers, ROW)))))


WRONG: dict[str, tuple[str, bytes, str]] = {
    "nothing": ("p.jsonl", b"", "there is no row in it"),
    "no problem": ("p.jsonl", b'{"q": 1}\n{"q": 2}\n', "none of 2 rows .*2 empty question.*set data.fields.question"),
    "a picture": ("p.jsonl", b"\x89PNG\r\n\x1a\n", "not what its name says, but a PNG picture"),
    "a spreadsheet": ("p.csv", b"PK\x03\x04....", "save it as CSV"),
    "a pickle": ("p.pk", b"\x80\x04....", "a pickle, which is not opened"),
    "UTF-16": ("p.csv", "\ufeffquestion,answer\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
    "binary": ("p.json", b"abc\0def", "a binary file"),
    "no Parquet": ("p.parquet", b'{"question": "?"}', "no Parquet file"),
    "half a JSON list": ("p.json", b'[{"question": "?"', "not JSON"),
    "CSV in another encoding": ("p.csv", "question,answer\n求面积,5\n".encode("gbk"), "none of 1 rows.*1 not UTF-8"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_not_what_it_says_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    file, content, said = WRONG[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        taken(tmp_path / file)
    assert str(tmp_path / file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_no_dataset_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for path, said in ((tmp_path / "d", "no folder that `datasets` saved"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(ValueError, match=said):
            source(path).write(tmp_path)


def test_a_table_with_too_many_cells_names_the_line(tmp_path: Path) -> None:
    problems, dropped = taken(write(tmp_path, "question,answer", "How long?,5,6", "How wide?,7", name="p.csv"))
    assert [problem.answer for problem in problems] == ["7"]
    assert dropped == {"line 2": ("cannot be read", "3 cells under 2 names of columns")}


def test_broken_text_in_parquet_costs_its_row_only(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = pa.array([b"How long?", b"\xff", b"How wide?"]).view(pa.string())
    pq.write_table(pa.table({"question": broken, "answer": ["1", "2", "3"]}), tmp_path / "p.parquet")
    problems, dropped = taken(tmp_path / "p.parquet")
    assert [problem.answer for problem in problems] == ["1", "3"]
    assert list(dropped) == ["row 2"]


# ---- what a row means ----------------------------------------------------------------------------------------------

MEANINGS: list[tuple[dict[str, Any], list[str], tuple[str, str, tuple[str, ...]]]] = [
    ({"question": "Find x.", "answer": 5}, [], ("Find x.", "5", ())),
    ({"question": "Find x.", "answer": ["5"]}, [], ("Find x.", "5", ())),
    ({"question": "Find x.", "answer": "5", "level": "9" * 5000}, [], ("Find x.", "5", ())),
    ({"question": "<image>\nFind x.", "answer": "5"}, [], ("Find x.", "5", ())),
    (
        {"question": "Is it? Choices: (A) yes (B) no", "answer": "B"},
        [],
        ("Is it? Choices: (A) yes (B) no", "B", ("yes", "no")),
    ),
    (
        {"question": "求 x。A．1 B．2 C．3", "answer": "C"},
        [],
        ("求 x。A．1 B．2 C．3", "C", ("1", "2", "3")),
    ),
    (
        {"question": "Find x.", "answer": "2", "choices": ["A. 1", "B. 2"]},
        [],
        ("Find x.\n(A) 1\n(B) 2", "B", ("1", "2")),
    ),
    (
        {"question": "Find x.\nA: 1\nB: 2", "answer": "A", "choices": {"B": 2, "A": 1}},
        [],
        ("Find x.\nA: 1\nB: 2", "A", ("1", "2")),
    ),
    (
        {"problem": "Find x.", "label": 1, "options": ["1", "2"]},
        ["data.fields.question=problem", "data.fields.answer=label", "data.fields.answer_is=index"],
        ("Find x.\n(A) 1\n(B) 2", "B", ("1", "2")),
    ),
    (
        {
            "conversations": [
                {"value": "<image>\nFind x.\nChoices:\n(A) 1\n(B) 2"},
                {"value": "The answer is B"},
            ]
        },
        [
            "data.fields.question=conversations.0.value",
            "data.fields.answer=conversations.1.value",
            "data.fields.answer_is=stated",
        ],
        ("Find x.\nChoices:\n(A) 1\n(B) 2", "B", ("1", "2")),
    ),
    (
        {"conversations": [{"value": "<image>\nFind x."}, {"value": "2x = 4, so the answer is 2."}]},
        [
            "data.fields.question=conversations.0.value",
            "data.fields.answer=conversations.1.value",
            "data.fields.answer_is=stated",
        ],
        ("Find x.", "2", ()),
    ),
    (
        {"question": "求x。A．1 B．2", "answer": "2x=4，x=2．故选：B．"},
        ["data.fields.answer_is=stated"],
        ("求x。A．1 B．2", "B", ("1", "2")),
    ),
]


@pytest.mark.parametrize(("row", "overrides", "means"), MEANINGS)
def test_fields_are_mapped_by_settings(
    row: dict[str, Any], overrides: list[str], means: tuple[str, str, tuple[str, ...]], tmp_path: Path
) -> None:
    (problem,), dropped = taken(write(tmp_path, row), *overrides)
    assert dropped == {}
    assert (problem.question, problem.answer, problem.choices) == means


@pytest.mark.parametrize(
    ("row", "overrides", "reason"),
    [
        ({"question": "?", "answer": 2, "choices": ["1", "2"]}, ["data.fields.answer_is=index"], "bad answer"),
        ({"question": "?", "answer": "Let me think."}, ["data.fields.answer_is=stated"], "no answer"),
        ({"question": "?", "answer": "故选B"}, ["data.fields.answer_is=stated"], "no answer"),
    ],
)
def test_an_answer_that_is_not_what_the_settings_say_is_none(
    row: dict[str, Any], overrides: list[str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        taken(write(tmp_path, row), *overrides)


def test_a_triangles_corner_is_no_choice() -> None:
    assert choices_within("In triangle A. B is right of C.") == ()
    assert choices_within("Find AB. (A) 3 (C) 4") == ()


# ---- identity ------------------------------------------------------------------------------------------------------


def test_moving_the_data_changes_no_recipe_and_changing_a_row_or_a_picture_does(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    recipes = [canonical(source(write(tmp_path / name, ROW))) for name in ("one", "two")]
    assert recipes[0] == recipes[1]
    size = (tmp_path / "two/a.png").stat().st_size
    for picture_of_that_size in (b"a" * size, b"b" * size, None):
        if picture_of_that_size:
            (tmp_path / "two/a.png").write_bytes(picture_of_that_size)
        else:
            (tmp_path / "two/a.png").unlink()
        recipes.append(canonical(source(tmp_path / "two/p.jsonl")))
    assert len({json.dumps(recipe) for recipe in recipes}) == 4
    assert canonical(source(write(tmp_path / "one", ROW, ROW))) != recipes[0]


def test_an_id_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    other = {**ROW, "id": "8", "question": "How wide?"}
    first, _ = taken(write(tmp_path, ROW, other))
    then, _ = taken(write(tmp_path, {**other, "id": "1"}, {"question": "New?", "answer": "1"}, {**ROW, "answer": "6"}))
    ids = {problem.question: problem.id for problem in first}
    assert {problem.question: problem.id for problem in then if problem.question in ids} == ids
    assert [problem.facts for problem in first] == [{"id": "7"}, {"id": "8"}]


def test_test_problems_need_no_id_and_a_changed_picture_makes_others_of_them(tmp_path: Path) -> None:
    path = write(tmp_path, {"question": "How long?", "image": "a.png", "answer": "5"}, {"question": "?", "answer": "6"})

    def data() -> JsonlProblems:
        made = load("benchmark=jsonl", f"benchmark.data.path={path}").benchmark.data
        assert isinstance(made, JsonlProblems)
        return made

    assert len({problem.id for problem in data().read()}) == 2
    before = canonical(data())
    assert canonical(data()) == before
    picture(tmp_path / "a.png", "black")
    assert canonical(data()) != before
