"""What a small program prints is found without running it; whatever goes beyond that has no answer and does nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mathse.answers.programs import printed


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("a = 5\nb = 3\nprint(a - b)", "2"),
        ("print((4 * 2.50) + (5 * 3.00))", "25.0"),
        ("import math\nprint(math.sqrt(3**2 + 4**2))", "5.0"),
        ("import math as m\nprint(round(m.pi * 5**2 / 2, 2))", "39.27"),
        ("from math import sqrt\nprint(sqrt(16))", "4.0"),
        ("print('first')\nprint('second', 2)", "second 2"),
        ("bars = [10, 15, 20]\nprint(max(bars), len(bars), sum(bars[1:]))", "20 3 35"),
        ("def area(a, b):\n    return a * b\n\nprint(area(3, 4))", "12"),
        (
            "def f(x):\n    if x > 90:\n        return 'obtuse'\n    elif x == 90:\n        return 'right'\n    return ''\nprint(f(90))",
            "right",
        ),
        ("chart = {'a': 10, 'b': 5}\nprint(min(chart.values()))", "5"),
        ("for word in ['half', 'past']:\n    if word in 'quarter past':\n        break\nprint(word)", "past"),
        ("n = 0\nwhile n < 10:\n    n += 3\nprint(n)", "12"),
        ("print([x * x for x in range(4) if x % 2])", "[1, 9]"),
        (
            "found = []\nfor i in range(3):\n    found.append(i)\nfound[0] = 7\nprint(found, sum(n for n in found))",
            "[7, 1, 2] 10",
        ),
        ("x, y = 3, 4\nprint(f'{x}/{y} = {x / y:.2f}')", "3/4 = 0.75"),
        ("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(fib(8))", "21"),
        ("print(1 < 2 < 3 and not False)", "True"),
        ("The answer is print(5", None),
        ("x = 5", None),
        ("print(unknown)", None),
        ("print(1 / 0)", None),
        ("import sympy as sp\nprint(sp.solve(1))", None),
        ("print(max([1, 2], key=abs))", None),
    ],
)
def test_a_program_prints_what_python_would(program: str, said: str | None) -> None:
    assert printed(program) == said


@pytest.mark.parametrize(
    "program",
    [
        "print(__import__('os').system('touch {marker}'))",
        "import os\nos.system('touch {marker}')\nprint(1)",
        "open('{marker}', 'w')\nprint(1)",
        "eval(\"open('{marker}', 'w')\")\nprint(1)",
        "exec(\"open('{marker}', 'w')\")\nprint(1)",
        "print(().__class__.__base__.__subclasses__())",
        "print('{0.__class__}'.format(1))",
        "print((lambda: 1)())",
        "class A:\n    pass\nprint(A())",
        "print(9**9**9)",
        "print(2**10**9)",
        "print(round(5, -10**9), 10**600 * 10**700)",
        "while True:\n    pass\nprint(1)",
        "for i in range(10**12):\n    pass\nprint(i)",
        "print([0] * 10**9)",
        "print('a' * 10**9)",
        "x = [1]\nfor i in range(100):\n    x = [x, x]\nprint(x)",
        "x = [1]\nx.append(x)\nprint(x)",
        "x = 'a'\nfor i in range(100):\n    x = x + x\nprint(x)",
        "def f(n):\n    return f(n)\nprint(f(1))",
        "print(" + "(" * 1500 + "1" + ")" * 1500 + ")",
        "print(" + "-" * 3000 + "1)",
        "print(" + "[" * 90 + "]" * 90 + ")",
        "print('%1000000000d' % 1)",
        "print(f'{1:1000000000d}')",
        "print(1)\0",
        "print(\ud83d)",
        "return 5\nprint(1)",
        "print(1)\n" * 100_000,
    ],
)
def test_a_hostile_program_takes_a_moment_and_does_nothing(program: str, tmp_path: Path) -> None:
    marker = tmp_path / "touched"
    started = time.monotonic()
    said = printed(program.replace("{marker}", str(marker)))
    assert time.monotonic() - started < 2
    assert said is None or len(said) < 5000
    assert not marker.exists()
