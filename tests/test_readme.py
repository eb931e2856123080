"""What README says is there, and what it tells people to type composes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mathse.config import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^\s+python train\.py ([^#\n]+)", README, re.MULTILINE)))


def tree() -> list[str]:
    """The paths in README's annotated tree."""
    block = README.split("## The tree")[1].split("##")[0]
    paths, folder = [], ""
    for line in block.splitlines():
        match = re.match(r"^    (\s*)(\S+(?:, \S+)*)(?:\s{2,}|$)", line)
        if match:
            names = match[2].split(", ")
            paths += [folder + name if match[1] else name for name in names]
            if not match[1] and match[2].endswith("/"):
                folder = match[2]
    return paths


def test_every_path_of_the_tree_exists() -> None:
    paths = tree()
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_module_and_folder_of_the_package_is_in_the_tree() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    inside = {Path(path).parts[1] for path in tracked if path.startswith("mathse/")} - {"__init__.py"}
    named = {path.removeprefix("mathse/").rstrip("/") for path in tree() if path.startswith("mathse/")}
    block = README.split("## The tree")[1].split("##")[0]
    assert {name for name in inside if name not in named and name not in block} == set()
    top = {Path(path).parts[0] for path in tracked if "/" in path and not path.startswith(".")}
    assert {name for name in top if f"{name}/" not in block} == {"docs"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_composes(command: str) -> None:
    overrides = [word for word in shlex.split(command) if "=" in word]
    load(*(override.split(",")[0].replace("glob(*)", "qwen2vl") for override in overrides))


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 5
