"""The command table: what is unknown, what is missing, what ends how."""

from __future__ import annotations

import sys
from importlib import import_module

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


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("runtime.cli.bench.main", interrupted)
    assert run(["bench"]) == 130
    assert "interrupted" in capsys.readouterr().err
