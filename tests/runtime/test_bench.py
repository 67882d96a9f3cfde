"""`c2r bench`: every stage is counted, with and without transport, and the file says it all."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from c2r.__main__ import run
from runtime.bench_backends import psnr_db
from tests.runtime.test_render import SMALL_ARGUMENTS


@pytest.mark.parametrize(
    ("transport", "stages"),
    [
        ("none", {"upload", "dino", "control", "denoise", "vae", "download", "kv_write"}),
        ("grpc", {"decode", "queue", "dino", "adapter", "denoise", "vae", "encode", "kv_write"}),
    ],
)
def test_the_report(tmp_path, transport, stages, capsys):
    file = tmp_path / "bench.json"
    arguments = ["--chunks", "3", "--transport", transport, "--json", str(file)]
    assert run(["bench", *arguments, *SMALL_ARGUMENTS]) == 0
    found = json.loads(file.read_text())
    assert found["frames_sent"] == found["frames_rendered"] + found["frames_dropped"] == 24
    assert found["frames_dropped"] == 0, "a bench whose client waits for room drops nothing"
    assert stages <= found["stages_ms"].keys()
    assert all(row["p50"] <= row["p90"] <= row["p99"] for row in found["stages_ms"].values())
    assert found["fps_steady"] > 0
    assert 0 < found["ttff_ms"] <= found["details"]["ttff_cold_ms"] + found["ttff_ms"]
    assert bool(found["left_out"]) == (transport == "none")
    for key in ("preset", "weights", "device", "width", "height", "latency_ms", "versions"):
        assert found[key]
    assert {"dtype", "attention", "threads", "peak_memory_gib", "transport"} <= found[
        "details"
    ].keys()
    assert "denoise" in capsys.readouterr().out


def test_backends_side_by_side(tmp_path, capsys):
    """The same networks on the same frames: what differs is who computes."""
    file = tmp_path / "backends.json"
    arguments = ["--chunks", "1", "--compare", "vae=compiled", "--json", str(file)]
    torch._dynamo.reset()
    assert run(["bench", *arguments, *SMALL_ARGUMENTS]) == 0
    first, second = json.loads(file.read_text())["backends"]
    assert (first["backend"], second["backend"]) == ("eager", "vae=compiled")
    assert first["psnr_db"] is None
    assert first["latents_off"] == 0
    assert second["psnr_db"] is None or second["psnr_db"] > 45
    assert second["latents_off"] < 1e-4
    for row in (first, second):
        assert {"dino", "denoise", "vae", "kv_write"} <= row["report"]["stages_ms"].keys()
    shown = capsys.readouterr().out
    assert "vae=compiled" in shown
    assert "latents off" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunks", "0"], "measure at least one"),
        (["--preset", "tiny", "--stream.windw", "3"], "unknown key 'stream.windw'"),
        (["--compare", "cuda"], "backends are eager"),
        (["--compare", "eager"], "--compare eager: it is measured already"),
        (["--compare", "compiled", "--transport", "grpc"], "the pipeline alone"),
        (["--compare", "onnxruntime"], "needs --engines FOLDER"),
    ],
)
def test_mistakes(arguments, message, capsys):
    assert run(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_difference_of_pictures():
    black, nearly = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 1, np.uint8)
    assert psnr_db(black, black) is None
    assert psnr_db(black, nearly) == pytest.approx(48.13, abs=0.01)
