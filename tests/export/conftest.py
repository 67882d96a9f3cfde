"""The debug preset as exported engines for onnxruntime, built once for all tests here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.folders import CALIBRATE, SEEDED


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """By the command, calibrated on a clip on the way. To be copied before it is changed."""
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    from c2r.__main__ import run

    folder = tmp_path_factory.mktemp("engines")
    arguments = ["--preset", "debug", "--target", "onnx", "--output", str(folder)]
    assert run(["export", *arguments, *SEEDED, *CALIBRATE]) == 0
    return folder
