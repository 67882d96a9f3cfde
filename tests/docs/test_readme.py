"""The README's annotated tree and its commands against what is there."""

from __future__ import annotations

import re
from pathlib import Path

from c2r.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
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
    packages |= {
        f"{top}/{path.parent.name}"
        for top in ("c2r", "street", "engine_bridge", "runtime", "trainer")
        for path in ROOT.glob(f"{top}/*/__init__.py")
    }
    assert packages - named - {"build"} == set()


def test_it_is_short_and_opens_with_an_animation():
    assert len(README.splitlines()) <= 180
    image = ROOT / re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)[0]
    assert image.suffix == ".webp"
    assert image.stat().st_size < 4_000_000


def test_the_first_snippet_has_eight_lines():
    snippet = README.split("```python\n")[1].split("```")[0]
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 8


def test_every_link_leads_somewhere():
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "trainer" / "README.md"]
    dead = [
        f"{document.relative_to(ROOT)}: {link}"
        for document in documents
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        if "://" not in link and not (document.parent / link).exists()
    ]
    assert dead == []


def test_every_command_is_explained():
    assert [name for name in COMMANDS if f"c2r {name}" not in README] == []


def test_every_make_target_is_there():
    targets = set(re.findall(r"`?make ([a-z][a-z-]*)", README))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "check"} <= targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
