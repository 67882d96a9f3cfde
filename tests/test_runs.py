"""The recipes in runs/: each command parses, and reads only what an earlier one writes.

The scripts run with a stand-in for `c2r` that records its arguments; nothing is trained.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("torch")

from c2r.weights.cli import _parser as weights_parser
from trainer import command as train
from trainer import encode_cache
from trainer.data.synthesize import command as synthesize
from trainer.evaluate.options import read_options
from trainer.phases import load_phase, read_settings

ROOT = Path(__file__).parent.parent
RECIPES = sorted((ROOT / "runs").glob("*.sh"))
STAND_IN = """#!/bin/sh
printf '%s\\0' "$@" >> "$RECORD"
printf '\\n\\0' >> "$RECORD"
test "$(tr -cd '\\n' < "$RECORD" | wc -c)" -ne "${STOP_AT:-0}"
"""


@dataclass(frozen=True)
class Recipe:
    """A script, and where its stand-in writes."""

    script: Path
    folder: Path

    def run(self, stop_at: int = 0) -> tuple[int, list[list[str]]]:
        """Exit code and the commands that were called; `stop_at`: the number that fails."""
        c2r, record = self.folder / "c2r", self.folder / "record"
        c2r.write_text(STAND_IN)
        c2r.chmod(0o755)
        record.unlink(missing_ok=True)
        variables = {"C2R": c2r, "RECORD": record, "STOP_AT": stop_at}
        variables |= {"DATA": self.folder / "data", "OUT": self.folder / "out"}
        env = os.environ | {name: str(value) for name, value in variables.items()}
        code = subprocess.run([self.script], env=env, check=False).returncode
        lines = record.read_text().removesuffix("\n\0").split("\n\0")
        return code, [line.removesuffix("\0").split("\0") for line in lines]


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request, tmp_path):
    return Recipe(request.param, tmp_path)


def parse(words: list[str]) -> None:
    """Read a command's options as the command does; an error is a mistake in the recipe."""
    match words:
        case ["train", *rest]:
            chosen, settings = train.parser().parse_known_args(rest)
            config = read_settings(ROOT / chosen.config, settings)
            load_phase(config.phase).check(config)
        case ["eval", *rest]:
            read_options(rest)
        case ["data", "encode", *rest]:
            encode_cache.parser().parse_args(rest)
        case ["data", "synthesize", *rest]:
            synthesize._config(synthesize.parser().parse_args(rest))
        case ["weights", *rest]:
            weights_parser().parse_args(rest)
        case _:
            pytest.fail(f"a command that no parser is known of: {words}")


def test_there_are_recipes():
    assert [recipe.stem for recipe in RECIPES] == ["ablation", "tiny"]


def test_every_command_parses(recipe, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, commands = recipe.run()
    assert code == 0
    assert len(commands) > 10
    for words in commands:
        parse(words)


def test_every_step_reads_what_an_earlier_one_wrote(recipe):
    _, commands = recipe.run()
    written: list[Path] = []
    for words in commands:
        options = ("--out", "--folder", "--guide.streamed")
        own = [Path(value) for key, value in pairwise(words) if key in options]
        paths = [Path(word.partition("=")[2] or word) for word in words]
        read = [path for path in paths if path.is_relative_to(recipe.folder) and path not in own]
        if words[:2] == ["weights", "pack"]:
            own, read = read[1:], read[:1]
        shipped = [path for path in paths if path.parts[:1] == ("assets",)]
        assert [path for path in shipped if not (ROOT / path).exists()] == []
        for path in read:
            assert any(path.is_relative_to(folder) for folder in written), (words, path)
        written += own


def test_a_failed_step_ends_the_recipe_and_a_second_start_repeats_it(recipe):
    code, begun = recipe.run(stop_at=3)
    assert code != 0
    assert len(begun) == 3
    code, commands = recipe.run()
    assert code == 0
    assert commands[:3] == begun


def test_the_defaults_are_those_of_the_configs():
    """Without variables, tiny.sh trains in the folders that the configs name."""
    recipe = Recipe(ROOT / "runs" / "tiny.sh", Path())
    text = recipe.script.read_text()
    assert "DATA=${DATA:-data}" in text
    assert "OUT=${OUT:-out/tiny}" in text
    for config in (ROOT / "trainer" / "configs").glob("*_tiny.yaml"):
        settings = read_settings(config)
        assert Path(settings.folder).is_relative_to("out/tiny"), config


def test_make_only_calls_them():
    makefile = (ROOT / "Makefile").read_text()
    for script in RECIPES:
        assert f"\n{script.stem}: $(STAMP) $(STUDIO)\n\truns/{script.name}\n" in makefile


def test_help_is_the_header(recipe):
    shown = subprocess.run([recipe.script, "--help"], capture_output=True, text=True, check=True)
    assert "writes" in shown.stdout
    assert "set -euo" not in shown.stdout
