"""The command `c2r serve`, as a person runs it: in a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from c2r.weights.renderer import SHIPPED, WeightPaths
from c2r.wire.events import EndReason
from runtime.backends import resolve_backend
from runtime.cli.log_lines import OneLine
from runtime.cli.network_options import Choice, read_choice
from runtime.cli.serve import main, parser, settings_from
from runtime.session.settings import TLSFiles
from tests.runtime.bare_client import session
from tests.runtime.serving import run

START_S = 60


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`c2r serve` with the debug preset, unless `words` say otherwise."""
    words = words or ("--preset", "debug", "--random-weights", "--stream.chunk", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "c2r", "serve", "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=START_S)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of other processes end them there")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_it_says_where_it_listens_and_ends_well(name):
    if signal.getsignal(signal.Signals[name]) is signal.SIG_IGN:
        pytest.skip("ignored here, as under nohup, and so in the server")
    with started() as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:")
        address = line.removeprefix("listening on ").strip()

        async def test() -> None:
            async with session(address, width=64, height=48) as client:
                process.send_signal(signal.Signals[name])
                await client.over()
                assert client.ended is not None
                assert client.ended.reason is EndReason.SHUTDOWN

        run(test())
        _, errors = process.communicate(timeout=START_S)
        assert process.returncode == 0
        assert "RANDOM WEIGHTS" in errors


@pytest.mark.skipif(sys.platform == "win32", reason="signals of other processes end them there")
def test_the_shipped_weights_are_served_without_bars_of_libraries():
    with started("--preset", "tiny", "--width", "64", "--height", "48") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on ")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=START_S)
        assert "RANDOM WEIGHTS" not in errors
        assert "%|" not in errors, "a progress bar of transformers"


def choice_of(*words: str) -> Choice:
    return read_choice(*parser().parse_known_args([*words, "--device", "cpu"]))


def test_weights_without_the_option():
    """The shipped ones where there are any, random ones if they are asked for."""
    choice = choice_of()
    assert choice.paths.absent == ()
    assert Path(str(choice.paths.dit)).parent == SHIPPED["tiny"]
    assert choice_of("--random-weights").paths == WeightPaths()
    mixed = choice_of("--dit", "other.safetensors").paths
    assert mixed == replace(choice.paths, dit="other.safetensors")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "wan-1.3b"], r"give --weights FOLDER, or --random-weights"),
        (["--preset", "wan-1.3b", "--dit", "x"], r"no weights for control, vae, dino, text"),
        (["--weights", str(SHIPPED["tiny"]), "--random-weights"], "leave --random-weights out"),
        (["--dit.layers", "4"], r"--dit.layers: .* or --random-weights"),
        (["--control.kind", "none"], r"--control.kind: .* or --random-weights"),
        (["--engines", "x"], "runs no exported engine"),
        (["--backend", "onnxruntime"], "needs --engines FOLDER"),
        (["--backend", "graphs"], "needs CUDA"),
        (["--attention", "flash"], "needs CUDA and --precision"),
        (["--backend", "onnxruntime", "--engines", "x", "--attention", "sdpa"], "--attention: "),
        (["--backend", "onnxruntime", "--engines", "x", "--precision", "fp8"], "--quantize"),
        (["--backend", "compiled", "--precision", "int8"], "--backend eager; on CUDA fp8"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_is_loaded(words, message):
    with pytest.raises(ValueError, match=message):
        choice_of(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frames", "9"], "a served stream has no length"),
        (["--seed", "9"], "every network has weights"),
    ],
)
def test_what_serving_does_not_use_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        main(words)


def test_backend_and_precision_without_the_options():
    choice = choice_of()
    assert (choice.backend, choice.precision, choice.dtype) == ("eager", None, torch.float32)
    assert choice_of("--precision", "bfloat16").dtype == torch.bfloat16
    assert choice_of("--precision", "fp8").dtype == torch.float32
    assert choice_of("--precision", "int8").dtype == torch.float32
    assert resolve_backend("auto", torch.device("cuda")) == "graphs"


def test_options_become_settings(tmp_path):
    token = tmp_path / "token"
    token.write_text("correct-horse-battery", encoding="utf-8")
    words = ["--host", "0.0.0.0", "--port", "7", "--tls-cert", "a", "--tls-key", "b"]
    words += ["--tls-client-ca", "c", "--token-file", str(token), "--reflection"]
    words += ["--max-sessions", "2", "--resume-grace", "3", "--idle-timeout", "9.5"]
    settings = settings_from(parser().parse_args(words))
    assert (settings.host, settings.port, settings.reflection) == ("0.0.0.0", 7, True)
    assert settings.tls == TLSFiles(Path("a"), Path("b"), Path("c"))
    assert settings.token == b"correct-horse-battery"
    assert (settings.max_sessions, settings.resume_grace_s) == (2, 3.0)
    assert settings.idle_timeout_s == 9.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tls-cert", "a"], "belong together"),
        (["--tls-client-ca", "a"], "needs --tls-cert"),
        (["--port", "70000"], "port 70000"),
        (["--max-sessions", "0"], "max_sessions 0"),
        (["--idle-timeout", "0"], "idle_timeout_s"),
    ],
)
def test_what_makes_no_sense_is_said(words, message):
    with pytest.raises(ValueError, match=message):
        settings_from(parser().parse_args(words))


def test_help_names_the_essentials(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    text = capsys.readouterr().out
    for word in ("--preset", "--tls-cert", "--token-file", "--record", "--weights"):
        assert word in text


def test_a_log_line_is_one_line(capsys):
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(name)s: %(message)s"))
    name = "game\n2026-01-01 c2r: all is well\x1b[2J\u202e é 街"
    try:
        raise RuntimeError("a traceback keeps its lines")
    except RuntimeError:
        record = logging.LogRecord("c2r", 20, "", 0, "session %s", (name,), sys.exc_info())
    line, *trace = handler.format(record).splitlines()
    assert line == r"c2r: session game\n2026-01-01 c2r: all is well\x1b[2J\u202e é 街"
    assert trace[-1] == "RuntimeError: a traceback keeps its lines"


def test_a_clients_name_forges_no_line_of_the_log():
    words = ("--preset", "debug", "--random-weights", "--verbose")
    with started(*words) as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("listening on ").strip()

        async def test() -> None:
            forged = "one\nFORGED\x1b[31m"
            async with session(address, width=64, height=48, client=forged) as client:
                process.send_signal(signal.SIGTERM)
                await client.over()

        run(test())
        _, errors = process.communicate(timeout=START_S)
        assert r"one\nFORGED\x1b[31m" in errors
        assert "\nFORGED" not in errors
