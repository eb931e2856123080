"""What cannot be true in a table is found; what can be is let be."""

from __future__ import annotations

from pathlib import Path

import pytest

from mathse.check_table import main, slips, tables_of

PAPER = """
### Table 1 - MathVL-test accuracy (%)
| model | base | +reflection |
|---|---|---|
| CogVLM2 | 30.85 | **64.70** |
| InternVL2.5-8B | 33.20 | 65.13 |
| Claude 3.5 Sonnet | 46.84 | - |

### Table 2 - public benchmarks
| model | MathVista GPS | MathVista | MathVerse | MathVision | avg |
|---|---|---|---|---|---|
| CogVLM2 base | 39.61 | 40.85 | 25.76 | 13.20 | 29.86 |
| Qwen2-VL-7B base | 43.75 | 59.40 | 35.53 | 16.92 | 37.94 |
| MathSE-Qwen | 69.71 | 60.60 | 45.36 | 25.22 | 50.22 |

### Figure 3
| model | base |
|---|---|
| CogVLM2 | 27.47 |

### Figure 4 (n=700)
| | reasoning | vision | total |
|---|---|---|---|
| MathSE | 63.14 | 36.86 | 99.0 |
"""


def test_the_papers_own_slips_are_found(tmp_path: Path) -> None:
    file = tmp_path / "paper.md"
    file.write_text(PAPER)
    found = [line.partition(", ")[2] for line in slips(tables_of(file))]
    assert "InternVL2.5-8B, +reflection: 65.13 % is no k of 2000 (k would be 1302.60)" in found
    assert "Claude 3.5 Sonnet, base: 46.84 % is no k of 2000 (k would be 936.80)" in found
    assert "Qwen2-VL-7B base, avg: 37.94, but its cells give 38.90" in found
    assert "MathSE-Qwen, MathVision: 25.22 % is no k of 3040 (k would be 766.69)" in found
    assert "CogVLM2, base: 27.47, but 30.85 in the table of line 3" in found
    assert "MathSE, total: 99.0, but its cells give 100.00" in found
    assert not any("CogVLM2, +reflection" in line or "MathSE-Qwen, avg" in line for line in found)


@pytest.mark.parametrize(
    ("table", "slip"),
    [
        ("model,n,accuracy\nA,7,14.3\n", None),
        ("model,n,accuracy\nA,7,14.4\n", "no k of 7"),
        ("model,accuracy (n=7)\nA,14.4\n", "no k of 7"),
        ("model,accuracy\nn,7\nA,14.4\n", "no k of 7"),
        ("model,accuracy\nA,14.4\n", None),
        ("model,count (n=7),b\nA,1434,1\n", None),
        ("model,a,b,average\nA,1.0,2.0,1.5\nB,1.0,,1.6\n", None),
        ("model,a,b,average\nA,1.0,2.0,1.7\n", "give 1.50"),
        ("model,a,b,average\nA,1.06,2.06,1.6\n", None),
    ],
)
def test_what_follows_and_what_does_not(table: str, slip: str | None, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(table)
    found = slips(tables_of(file))
    assert not found if slip is None else len(found) == 1 and slip in found[0]


def test_the_exit_status_says_whether_something_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "table.csv"
    for text, status in (("model,n,accuracy\nA,7,14.3\n", 0), ("model,n,accuracy\nA,7,14.4\n", 1), ("", 2)):
        file.write_text(text)
        monkeypatch.setattr("sys.argv", ["check_table", str(file)])
        assert main() == status
    assert "there is no table in it" in capsys.readouterr().err
