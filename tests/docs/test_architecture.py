"""ARCHITECTURE.md against the code: every file, class and function that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
TOPS = "c2r|street|runtime|engine_bridge|trainer|export|proto|tests"


def named() -> list[tuple[str, str]]:
    """(path, name in it or "") for all that stands in backquotes."""
    return re.findall(rf"`((?:{TOPS})/[\w/.]+)(?::([\w.]+))?`", TEXT)


def names_of(path: Path) -> set[str]:
    """Classes, functions and `Class.method` of a file."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{getattr(inner, 'name', '')}" for inner in node.body}
    return names


def test_every_file_is_there():
    paths = [path for path, _ in named()]
    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_function_is_there():
    functions = [(path, name) for path, name in named() if name]
    assert len(functions) > 10
    assert [entry for entry in functions if entry[1] not in names_of(ROOT / entry[0])] == []


def test_a_frame_walks_at_most_seven_files_of_the_server():
    life = TEXT.split("## The life of one frame")[1].split("\n## ")[0]
    steps = life[: life.index("10. **Show.**")].split("1. **Capture.**")[1]
    files = {path for path, _ in re.findall(r"`(runtime/[\w/]+\.py)(:[\w.]+)?`", steps)}
    assert "runtime/server/service.py" in files
    assert len(files) <= 7


@pytest.mark.parametrize("package", ["core", "server", "engine's side", "sample world", "Training"])
def test_decisions_are_told_by_package(package):
    assert re.search(rf"^### .*{package}", TEXT, re.MULTILINE)
