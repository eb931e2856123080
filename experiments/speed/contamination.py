"""The contamination gate at the paper's size: `python experiments/speed/contamination.py [--problems 100000] [--tests 6000]`.

Made-up problems, a third of them Chinese, each with a picture; planted among them are leaks of every kind. It prints seconds, memory,
how many of each kind were found, and how many of the unrelated problems were taken for leaks.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from PIL import Image

from mathse.data.contamination import Thresholds, matches
from mathse.figures.data import Figures
from mathse.types import Problem

KINDS = ("copy", "numbers", "choices", "resized", "recompressed", "all")
PER_KIND = 200
WORDS = [
    "triangle",
    "circle",
    "square",
    "angle",
    "side",
    "length",
    "radius",
    "area",
    "height",
    "width",
    "point",
    "line",
    "segment",
    "parallel",
    "perpendicular",
    "graph",
    "function",
    "slope",
    "chart",
    "bar",
    "value",
    "table",
    "column",
    "price",
    "number",
    "ratio",
    "speed",
    "distance",
    "time",
    "volume",
    "surface",
    "cube",
    "cone",
    "prism",
    "tangent",
    "chord",
    "arc",
    "sector",
    "median",
    "bisector",
    "vertex",
    "diagonal",
    "perimeter",
    "average",
    "total",
    "largest",
    "smallest",
    "difference",
    "sum",
]
OPENINGS = ["In the figure,", "As shown,", "According to the chart,", "Look at the picture:", "Given the diagram,"]
HAN = "三角形圆正方边长半径面积高宽点线段平行垂直图像函数表格数量价格比速度距离时间体积切弦弧中位分顶对周总最大小差和求如已知等于"


def question(rng: random.Random) -> str:
    """Words and numbers of mathematics in no order."""
    if rng.random() < 1 / 3:
        parts = [
            "".join(rng.choices(HAN, k=rng.randint(3, 9))) + str(rng.randint(2, 99)) for _ in range(rng.randint(2, 6))
        ]
        return "如图，" + "，".join(parts) + "，求" + "".join(rng.choices(HAN, k=4)) + "。"
    words = [rng.choice(WORDS) if rng.random() < 0.8 else str(rng.randint(2, 99)) for _ in range(rng.randint(6, 30))]
    return f"{rng.choice(OPENINGS)} the {' '.join(words)}. What is the {rng.choice(WORDS)}?"


def make(count: int, pictures: list[str], rng: random.Random, name: str) -> list[Problem]:
    """Unrelated problems, a quarter of them with choices."""
    problems = []
    for i in range(count):
        choices = tuple(str(rng.randint(1, 999)) for _ in range(4)) if rng.random() < 0.25 else ()
        problems.append(Problem(f"{name}{i}", question(rng), (rng.choice(pictures),), "1", choices))
    return problems


def plant(test: Problem, kind: str, folder: Path, rng: random.Random) -> Problem:
    """The test problem as it may turn up in training data."""
    planted = replace(test, id=f"{kind}/{test.id}")
    if kind in ("numbers", "all"):
        planted = replace(
            planted, question="".join(rng.choice("123456789") if c.isdecimal() else c for c in test.question)
        )
    if kind in ("choices", "all"):
        planted = replace(planted, choices=tuple(reversed(test.choices)))
    if kind in ("resized", "recompressed", "all"):
        with Image.open(test.images[0]) as picture:
            shown = picture.convert("RGB")
        if kind != "recompressed":
            shown = shown.resize((shown.width * 2 // 3, shown.height * 2 // 3))
        if kind != "resized":
            data = io.BytesIO()
            shown.save(data, "JPEG", quality=40)
            shown = Image.open(data).convert("RGB")
        path = folder / f"{planted.id.replace('/', '-')}.png"
        shown.save(path)
        planted = replace(planted, images=(str(path),))
    return planted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=100_000)
    parser.add_argument("--tests", type=int, default=6_000)
    parser.add_argument("--pictures", type=int, default=2_000, help="different ones that the problems share")
    args = parser.parse_args()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = Figures(size=args.pictures, seed=0, split="train", families=()).write(folder)
        pictures = [problem.images[0] for problem in drawn]
        tests = make(args.tests, pictures, rng, "test")
        planted = [plant(test, kind, folder, rng) for kind in KINDS for test in rng.sample(tests, PER_KIND)]
        problems = make(args.problems - len(planted), pictures, rng, "train") + planted
        before = resource.getrusage(resource.RUSAGE_SELF)
        begun = time.monotonic()
        found = matches(problems, tests, Thresholds(question=0.8, similar=0.4, picture=0.94))
        after = resource.getrusage(resource.RUSAGE_SELF)
    hit = Counter(problems[match.problem].id.split("/")[0] for match in found if "/" in problems[match.problem].id)
    wrong = sum("/" not in problems[match.problem].id for match in found)
    print(f"{len(problems)} problems against {len(tests)}: {time.monotonic() - begun:.0f} s")
    print(f"processor {after.ru_utime - before.ru_utime:.0f} s, peak {after.ru_maxrss // 1024} MB")
    for kind in KINDS:
        print(f"planted, {kind}: {hit[kind]} of {PER_KIND} found")
    print(f"unrelated: {wrong} of {len(problems) - len(planted)} taken for leaks")


if __name__ == "__main__":
    main()
