"""The command table: what is unknown, what is missing, what ends how."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from c2r.__main__ import COMMANDS, run


def test_every_command_is_there_and_explains_itself(capsys):
    for name, (place, _) in COMMANDS.items():
        module, function = place.split(":")
        assert callable(getattr(import_module(module), function))
        with pytest.raises(SystemExit) as end:
            run([name, "--help"])
        assert end.value.code == 0
        assert f"c2r {name}" in capsys.readouterr().out


def test_usage(capsys):
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in COMMANDS)
    assert run([]) == 2
    assert run(["paint"]) == 2
    assert capsys.readouterr().err == "c2r: unknown command 'paint'; c2r --help lists them\n"


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    """As on a machine with the engine's side alone."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "runtime.cli.bench", raising=False)
    monkeypatch.delitem(sys.modules, "runtime.cli.network_options", raising=False)
    monkeypatch.delitem(sys.modules, "runtime.pipeline.stage_timer", raising=False)
    assert run(["bench"]) == 2
    err = capsys.readouterr().err
    assert "needs the package torch" in err
    assert "pip install" in err


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted by Linux")
def test_numpy_has_no_threads_that_spin():
    code = """
import os, sys
from c2r.__main__ import main
assert "numpy" not in sys.modules
sys.argv = ["c2r", "--help"]
try:
    main()
except SystemExit:
    import numpy
    numpy.ones((64, 64)) @ numpy.ones((64, 64))
    print("threads", len(os.listdir("/proc/self/task")))
"""
    clean = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    assert ran.stdout.endswith("threads 1\n")


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("runtime.cli.bench.main", interrupted)
    assert run(["bench"]) == 130
    assert "interrupted" in capsys.readouterr().err
