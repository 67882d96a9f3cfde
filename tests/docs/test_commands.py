"""Every command and snippet of the README and the guides, run in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, Runner, blocks

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    yield runner
    runner.close()


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_command_runs(document: Path, runner: Runner):
    found = blocks(document)
    assert any(block.lang in ("sh", "python") for block in found)
    for block in found:
        runner.run(block)


def test_a_command_that_fails_is_seen(runner: Runner):
    with pytest.raises(AssertionError, match="no-such-preset"):
        runner.run(Block("sh", "c2r describe --preset no-such-preset\n", "", None))
    with pytest.raises(AssertionError):
        runner.run(Block("sh", "c2r describe --preset tiny\n", "needs weights", None))


def test_blocks_are_found(tmp_path: Path):
    document = tmp_path / "guide.md"
    document.write_text(
        "Text\n\n<!-- run: torchrun -->\n```sh\na \\\n  b  # why\n```\n\n"
        "```python file=one.py\nx = 1\n```\n"
    )
    first, second = blocks(document)
    assert (first.kind, first.commands) == ("torchrun", ["a b"])
    assert (second.file, second.text) == ("one.py", "x = 1\n")
