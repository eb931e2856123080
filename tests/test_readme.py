"""What README says is there, and what it tells people to type composes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
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


def test_every_command_of_the_package_says_what_it_is_for() -> None:
    tracked = subprocess.run(["git", "ls-files", "mathse/*.py"], cwd=ROOT, capture_output=True, text=True).stdout
    files = [path for path in tracked.split() if 'if __name__ == "__main__"' in (ROOT / path).read_text("utf-8")]
    modules = [path.removesuffix(".py").removesuffix("/__main__").replace("/", ".") for path in files]
    modules.remove("mathse.answers.worker")  # nobody's command: answers are compared in it
    assert len(modules) > 10
    asked = [
        subprocess.Popen([sys.executable, "-m", name, "--help"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for name in modules
    ]
    for name, process in zip(modules, asked, strict=True):
        said = process.communicate()[0]
        assert (process.returncode, f"python -m {name}" in said) == (0, True), name


def test_every_command_line_of_the_readme_names_a_module_that_is_there() -> None:
    named = set(re.findall(r"python -m (mathse(?:\.\w+)+)", README))
    paths = {name: ROOT / name.replace(".", "/") for name in named}
    assert [
        name
        for name, path in paths.items()
        if not (path / "__main__.py").exists() and not path.with_suffix(".py").exists()
    ] == []
    scripts = set(re.findall(r"python (\S+\.py)", README))
    assert [name for name in scripts if not (ROOT / name).exists()] == []
