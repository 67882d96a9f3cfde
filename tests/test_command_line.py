"""Options of all commands: misspelt ones name the near one, unused ones are refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from c2r.__main__ import run
from c2r.command_line import ArgumentParser, refuse
from c2r.spelling import did_you_mean


@pytest.fixture
def parser() -> ArgumentParser:
    options = ArgumentParser("c2r test", changes=("stream", "first_chunk"))
    options.add_argument("--preset", choices=["tiny", "debug"], default="tiny")
    options.add_argument("--prompt")
    options.add_argument("--required", required=True)
    return options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--presett", "tiny"], "unknown option --presett; did you mean --preset?"),
        (["--presett=tiny"], "unknown option --presett; did you mean --preset?"),
        (["--strem.window", "3"], "unknown option --strem.window; did you mean --stream.window?"),
        (["--prompt.x", "3"], r"unknown option --prompt.x; --help lists all"),
        (["--zzz"], "unknown option --zzz; --help lists all"),
        (["--preset", "tinny"], "--preset 'tinny' is unknown; did you mean tiny?"),
        ([], "required: --required"),
        (["--prompt"], "--prompt: expected one argument"),
    ],
)
def test_mistakes_name_the_near_option(parser, words, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as raised:
        parser.parse_known_args(words)
    assert "\n" not in str(raised.value)


def test_changes_are_left_and_given_options_known(parser):
    words = ["--required", "a", "--stream.window", "12", "--first-chunk=1", "--prompt=--x y"]
    chosen, rest = parser.parse_known_args(words)
    assert rest == ["--stream.window", "12", "--first-chunk=1"]
    assert chosen.given == {"required", "prompt"}
    refuse(chosen, ["preset"], "never used")
    with pytest.raises(ValueError, match="--prompt: never used"):
        refuse(chosen, ["preset", "prompt"], "never used")


def test_a_command_that_passes_options_on(parser):
    chosen, rest = parser.parse_passing_on(["--required", "a", "--weights", "folder"])
    assert (chosen.required, rest) == ("a", ["--weights", "folder"])
    with pytest.raises(ValueError, match="did you mean --required"):
        parser.parse_passing_on(["--requird", "a"])


def test_nearest_words():
    assert did_you_mean("servve", ["serve", "render"]) == "; did you mean serve?"
    assert did_you_mean("xyz", ["serve", "render"]) == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sevre"], "unknown command 'sevre'; did you mean serve?"),
        (["data", "encod"], "unknown command 'encod'; did you mean encode?"),
        (["serve", "--presett", "tiny"], "did you mean --preset?"),
        (["serve", "--preset", "tinyy"], "did you mean tiny?"),
        (["serve", "--blend-chunk", "3"], "did you mean --blend-chunks?"),
        (["serve", "--backend", "graph"], "did you mean graphs?"),
        (["serve", "--stream.windw", "3"], "did you mean stream.window?"),
        (["render", "--inptu", "x"], "did you mean --input?"),
        (["replay", "file", "--sped", "2"], "did you mean --speed?"),
        (["describe", "--presett", "tiny"], "did you mean --preset?"),
        (["export", "--targt", "onnx"], "did you mean --target?"),
        (["weights", "pack", "a", "b", "--precisio", "float16"], "did you mean --precision?"),
        (["weights", "pac", "a", "b"], "did you mean pack?"),
        (["train", "--config", "x", "--optin.lr", "1"], "did you mean --optim.lr?"),
        (["eval", "--dat", "x"], "did you mean --data?"),
        (["data", "encode", "x", "--ou", "y"], "did you mean --out?"),
        (["data", "curate", "x", "--licens", "y"], "did you mean --licence?"),
        (["data", "synthesize", "--scene", "y"], "did you mean --scenes?"),
        (["data", "encode", "x", "--out", "y", "--zoom", "1"], "give --windows"),
        (["demo", "--second", "5"], "did you mean --seconds?"),
        (["play", "--headles"], "did you mean --headless?"),
        (["play", "--headless", "--prompt", "a", "--prompt", "b"], "give one --prompt"),
        (["eval", "--data", "x", "--steps", "3"], "--steps: it says how --weights render"),
        (
            ["eval", "--data", "x", "--weights", "y", "--mode", "stream", "--steps", "3"],
            "--steps: it belongs to --mode offline",
        ),
        (["export", "--verify", "x", "--strip"], "--strip: --verify builds nothing"),
    ],
)
def test_every_command_tells_in_one_line(words, message, capsys):
    assert run(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"c2r {words[0]}:") or words == ["sevre"]
    assert message in lines[0]


def test_the_parser_needs_few_packages():
    program = (
        "import sys, c2r.command_line; "
        "assert not {'torch', 'rich', 'pydantic', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_given_options_are_no_settings(parser):
    chosen = parser.parse_args(["--required", "a"])
    assert vars(chosen) == {"preset": "tiny", "prompt": None, "required": "a"}
