"""`c2r bench`: every stage is counted, with and without transport, and the file says it all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from c2r.__main__ import run
from c2r.exported.stages import eager_stages
from runtime.bench.backends import compare_backends
from runtime.bench.latency_sweep import Setting
from runtime.bench.parity import psnr_db
from runtime.bench.synthetic import coarse_frames
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import debug_networks

ARGUMENTS = ["--preset", "debug"]


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
    assert run(["bench", *arguments, *ARGUMENTS]) == 0
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
    """The same networks on the same frames, whatever the backends are called."""
    file = tmp_path / "backends.json"
    arguments = ["--chunks", "1", "--compare", "vae=eager", "--json", str(file)]
    assert run(["bench", *arguments, *ARGUMENTS]) == 0
    first, second = json.loads(file.read_text())["backends"]
    assert (first["backend"], second["backend"]) == ("eager", "vae=eager")
    for row in (first, second):
        assert row["psnr_db"] is None
        assert row["latents_off"] == 0
        assert {"dino", "denoise", "vae", "kv_write"} <= row["report"]["stages_ms"].keys()
    shown = capsys.readouterr().out
    assert "vae=eager" in shown
    assert "latents off by" in shown


def test_the_sweep(tmp_path, capsys, monkeypatch):
    """Frames wait for their chunk: with shorter chunks they are seen sooner."""
    settings = (Setting(2, 6, 1), Setting(1, 6, 1), Setting(2, 6, 1, first_chunk=1))
    monkeypatch.setattr("runtime.cli.bench.SETTINGS", settings)
    file = tmp_path / "sweep.json"
    arguments = ["--sweep", "--chunks", "2", "--rate", "2", "--json", str(file)]
    assert run(["bench", *arguments, *ARGUMENTS]) == 0
    rows = json.loads(file.read_text())["sweep"]
    assert [row["setting"]["chunk"] for row in rows] == [2, 1, 2]
    assert [row["gather_ms"] for row in rows] == [3500, 1500, 3500]
    assert rows[1]["visible_ms"] < rows[0]["visible_ms"]
    assert rows[2]["first_picture_ms"] < rows[0]["first_picture_ms"]
    assert all(row["fps"] > 0 and row["visible_ms"] > row["gather_ms"] for row in rows)
    assert "to visible" in capsys.readouterr().out


def test_what_another_backend_computes_is_seen():
    """A VAE that inverts changes pictures alone, a DiT that is off changes the latents."""
    networks = debug_networks()
    stages, frames = eager_stages(networks), coarse_frames(8, 64, 48, 0)

    def inverted(latents, state, guide=None, strength=None):
        decoded, following = stages.vae(latents, state)
        return 1 - decoded, following

    def off(*arguments, **named):
        return 1.1 * stages.denoise(*arguments, **named)

    pipelines = {
        "eager": Pipeline(networks, stages),
        "vae": Pipeline(networks, replace(stages, vae=inverted)),
        "denoise": Pipeline(networks, replace(stages, denoise=off)),
    }
    rows = compare_backends(pipelines, frames, lambda *_: None, 0)  # type: ignore[arg-type]
    assert rows[0].psnr_db == float("inf")
    assert rows[1].psnr_db < 100
    assert [row.latents_off > 0.01 for row in rows] == [False, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunks", "0"], "measure at least one"),
        (["--preset", "tiny", "--stream.windw", "3"], "did you mean stream.window?"),
        (["--compare", "cuda"], "backends are auto, eager"),
        (["--compare", "eager"], "--compare eager: it is measured already"),
        (["--compare", "compiled", "--transport", "grpc"], "the pipeline alone"),
        (["--compare", "onnxruntime"], "needs --engines FOLDER"),
        (["--sweep", "--compare", "compiled"], "--sweep measures one backend"),
        (["--sweep", "--transport", "grpc"], "--sweep measures the pipeline alone"),
        (["--sweep", "--stream.window", "3"], "--stream.window: --sweep tries values of its own"),
        (["--rate", "3"], "--rate: only --sweep"),
        (["--engines", "x"], "runs no exported engine"),
        (["--backend", "graphs", "--device", "cpu"], "needs CUDA"),
    ],
)
def test_mistakes(arguments, message, capsys):
    assert run(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_difference_of_pictures():
    black, nearly = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 1, np.uint8)
    assert psnr_db(black, black) == float("inf")
    assert psnr_db(black, nearly) == pytest.approx(48.13, abs=0.01)
