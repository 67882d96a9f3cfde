"""The README's annotated tree and its commands against what is there."""

from __future__ import annotations

import re
from pathlib import Path

from c2r.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree_paths() -> list[str]:
    """Every path that the tree names, from the root."""
    block = README.split("## The tree")[1].split("```")[1]
    parents: dict[int, str] = {}
    paths = []
    for line in filter(str.strip, block.splitlines()):
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip())[0].split(", ")
        above = next(
            (parents[depth] for depth in range(indent - 1, -1, -1) if depth in parents), ""
        )
        for depth in [depth for depth in parents if depth >= indent]:
            del parents[depth]
        paths += [above + name for name in names]
        if names[0].endswith("/"):
            parents[indent] = above + names[0]
    return paths


def test_the_tree_names_only_what_is_there():
    paths = tree_paths()
    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_tree_names_every_package():
    named = {path.rstrip("/") for path in tree_paths()}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    packages |= {f"c2r/{path.parent.name}" for path in ROOT.glob("c2r/*/__init__.py")}
    assert packages - named - {"build"} == set()


def test_the_files_that_architecture_names_are_there():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:c2r|runtime|engine_bridge|proto|tests)/[\w/.]+)`", text))
    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_command_is_explained():
    assert [name for name in COMMANDS if f"c2r {name}" not in README] == []


def test_every_make_target_is_there():
    targets = set(re.findall(r"`?make ([a-z][a-z-]*)", README))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "check"} <= targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
