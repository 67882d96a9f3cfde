"""Words that the project gave up for the field's own, in names, prose and messages alike."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RETIRED = {
    r"anew": "again, from the start; a stream is reset",
    r"held against": "compared with",
    r"(plain )?twins?": "reference implementation, counterpart",
    r"films?|filmed|filming": "clip, capture, record",
    r"seats?|seated": "static buffers, slot",
    r"lobby": "admission",
    r"tally|tallies": "session stats, loss meter",
    r"customers?": "render job",
    r"(render)?desk": "scheduler",
    r"stumbled?|stumbles": "record_failure",
    r"forgot": "on_state_lost",
    r"laps?|hostlap|devicelap": "elapsed time, timing",
    r"story": "provenance",
    r"sight": "feature cache, visibility",
    r"whoever": "name who it is",
    r"in force": "current",
    r"world of (its|their|our) own": "separate process group",
    r"learn(ed|t) by heart": "few-step ODE regression",
    r"drawn_\w+": "synthetic, random",
    r"there_and_back": "ping-pong indices",
    r"\w+desk": "scheduler",
}
IN_FOLDER = {
    "trainer": {r"courses?(?!\")": "rollout plan"},  # "course" names a random draw of old runs
    "runs": {r"courses?": "rollout plan"},
    "runtime": {
        r"painted|paints": "rendered",
        r"pieces?": "graph steps",
        r"lanes?": "stream schedule",
    },
    "c2r": {r"painted|paints": "rendered", r"pieces?": "fused ops"},
}
LIBRARY_NAMES = {"set_film_size"}
SUFFIXES = {".py", ".md", ".cpp", ".h", ".cs", ".sh", ".yaml", ".toml", ".proto", ""}
ALLOWED = {
    "tests/docs/test_words.py",
    "LICENSE",
    "c2r/wire/v1",  # generated from the contract
}


def sources() -> list[Path]:
    """Every text file of the project that people read."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    paths = (Path(name) for name in listed)
    return [
        path
        for path in paths
        if path.suffix in SUFFIXES
        and not any(str(path).startswith(name) for name in ALLOWED)
        and (ROOT / path).is_file()
        and (path.parts[0] != "assets" or path.suffix == ".md")
    ]


def words_of(text: str) -> str:
    """Identifiers taken apart at underscores and capitals, so that a name counts as its words."""
    for name in LIBRARY_NAMES:
        text = text.replace(name, "")
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return f"{text}\n{apart.replace('_', ' ')}"


def findings(path: Path, text: str) -> list[str]:
    """`path: word -> what to say instead` for each retired word in a text."""
    rules = RETIRED | IN_FOLDER.get(path.parts[0], {})
    text = words_of(text)
    return [
        f"{path}: {match[0]!r} -> {instead}"
        for word, instead in rules.items()
        if (match := re.search(rf"(?<![\w-])(?:{word})(?![\w-])", text, re.IGNORECASE))
    ]


def test_retired_words_are_gone():
    found = [
        line
        for path in sources()
        for line in findings(path, f"{path}\n{(ROOT / path).read_text(encoding='utf-8')}")
    ]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    "text", ["begins anew", "class RenderDesk:", "seat_of = 1", "the plain twin", "HostLap"]
)
def test_a_retired_word_is_seen(text):
    assert findings(Path("runtime/x.py"), text)


@pytest.mark.parametrize("text", ["filmic tone mapping", "overlapping", "storey", "desktop"])
def test_other_words_are_left_alone(text):
    assert findings(Path("street/x.py"), text) == []
