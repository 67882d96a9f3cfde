"""The command `c2r serve`, as a person runs it: in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from c2r.wire.events import EndReason
from runtime.cli.serve import parser, settings_from
from runtime.session.settings import TLSFiles
from tests.runtime.serving import run, session

START_S = 60


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`c2r serve` on a tiny renderer made tinier."""
    program = "import sys; from runtime.cli.serve import main; sys.exit(main(sys.argv[1:]))"
    small = ["--width", "64", "--height", "48", "--dit.layers", "1", "--stream.chunk", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", *small, *words],
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
def test_it_says_where_it_listens_and_ends_well():
    with started() as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:")
        address = line.removeprefix("listening on ").strip()

        async def test() -> None:
            async with session(address, width=64, height=48) as client:
                process.send_signal(signal.SIGTERM)
                await client.over()
                assert client.ended is not None
                assert client.ended.reason is EndReason.SHUTDOWN

        run(test())
        _, errors = process.communicate(timeout=START_S)
        assert process.returncode == 0
        assert "RANDOM WEIGHTS" in errors


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
