"""The parts that include no engine headers, built and run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unreal.plugin import PLUGIN, SOURCE, build_program, run_program

HERE = Path(__file__).parent
RUNTIME = SOURCE / "C2RRuntime"
INCLUDES = [RUNTIME / "Public", RUNTIME / "Private", PLUGIN / "Shaders"]


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("program", ["ring", "playback", "rows", "street", "shader"])
def test_the_program_finds_nothing_wrong(program: str, tmp_path: Path) -> None:
    said = run_program(build_program(HERE / "programs" / f"{program}.cpp", tmp_path, INCLUDES))
    assert said.strip().endswith("checked"), said
