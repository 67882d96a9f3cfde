"""`c2r bench`: every stage is counted, with and without transport, and the file says it all."""

from __future__ import annotations

import json

import pytest

from c2r.__main__ import run
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


def test_mistakes():
    assert run(["bench", "--chunks", "0"]) == 2
    assert run(["bench", "--preset", "tiny", "--stream.windw", "3"]) == 2
