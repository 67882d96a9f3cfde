"""`make bench-gpu` and the sweep, whole, on the CPU with a narrow renderer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from c2r.models.configs import StreamConfig
from runtime.bench import parity
from runtime.bench.gpu import main, parser, run
from runtime.bench.gpu_profile import operations
from runtime.bench.latency_sweep import SETTINGS, Setting
from runtime.bench.report import Findings
from runtime.bench.synthetic import coarse_chunk, random_networks
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import DEBUG, debug_networks

ABSENT = (
    *("pydantic", "rich", "ftfy", "av", "diffusers", "simplejpeg", "zstandard", "lz4"),
    *("panda3d", "grpc_health", "grpc_reflection"),
)
"""Packages that a machine with PyTorch for a GPU need not have."""
STREAM = StreamConfig(chunk=2, window=6, sink=2)


def test_the_whole_run(tmp_path, capsys):
    torch.manual_seed(0)
    file = tmp_path / "found.json"
    arguments = ["--device", "cpu", "--quick", "--json", str(file), "--chunks", "1"]
    found = run(parser().parse_args(arguments), replace(DEBUG, stream=STREAM))
    assert found.failed == []
    assert found.left_out == []
    named = {one.name: one for one in found.checks}
    assert {"graphs = eager", "3 streams in turns = each alone"} <= named.keys()
    assert {"FP8 = plain", "fast kernels = plain"} <= named.keys()
    assert named["graphs = eager"].passed
    assert named["graphs = eager"].psnr_db == float("inf"), "the stand-in is exact"
    assert named["3 streams in turns = each alone"].passed
    assert named["fast kernels = plain"].passed
    assert named["FP8 = plain"].cosine < 1, "FP8 that changes nothing was not used"
    assert [(row.name, row.transport) for row in found.speed] == [
        (f"{precision}, {steps} steps", transport)
        for precision in ("float32", "fp8")
        for steps in (4, 2)
        for transport in ("none", "grpc")
    ]
    assert all(row.fps > 0 and row.chunk_p50_ms <= row.chunk_p99_ms for row in found.speed)
    assert {"dino", "control", "denoise", "vae", "kv_write"} <= {row.stage for row in found.stages}
    assert [row.setting for row in found.sweep] == list(SETTINGS[:2])
    written = json.loads(file.read_text())
    assert written["checks"][0]["psnr_db"] is None, "infinity is no JSON"
    assert len(written["speed"]) == 8
    shown = capsys.readouterr().out
    assert "TFLOP/s" in shown
    assert shown.rindex("float32, 4 steps") > shown.rindex("graphs = eager"), (
        "what matters most is last"
    )


def test_what_there_is_no_time_for_is_said(tmp_path):
    arguments = ["--device", "cpu", "--budget", "0", "--json", str(tmp_path / "found.json")]
    found = run(parser().parse_args(arguments), DEBUG)
    assert found.checks == []
    assert len(found.left_out) == 3 + 4 + 1 + len(SETTINGS)
    assert not found.sound, "a run that checked nothing is not sound"


def test_without_a_gpu_the_command_says_so(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main([]) == 2
    assert "PyTorch sees no GPU" in capsys.readouterr().out


@pytest.mark.parametrize("lost", ["slide", "dino", "control", "denoise", "vae", "kv_write"])
def test_a_wrong_graph_is_found(lost):
    """A replay that does nothing must not pass for the plain pipeline, whichever it is."""

    class Forgetful:
        def capture(self, stream, step):
            with torch.no_grad():
                step()
            return (lambda: None) if step.func.__name__ == lost else torch.no_grad()(step)

    networks = debug_networks()
    coarse = coarse_chunk(networks.preset, 0)
    wrong = GraphedPipeline(networks, capture=Forgetful())
    assert not parity.graph_equals_eager(wrong, Pipeline(networks), coarse, 0).passed


def test_flat_or_broken_pictures_prove_nothing():
    flat = parity.StreamOutput(np.zeros((2, 4, 4, 3), np.uint8), torch.ones(1, 2, 1, 1, 1))
    assert not parity.compared("flat", flat, flat, lambda *_: True).passed
    noise = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    broken = parity.StreamOutput(noise, torch.full((1, 2, 1, 1, 1), float("nan")))
    assert not parity.compared("broken", broken, broken, lambda *_: True).passed


def test_a_failed_part_or_check_is_not_sound():
    passed = parity.Check("a", True)
    assert Findings("p", "d", "t", {}, checks=[passed]).sound
    assert not Findings("p", "d", "t", {}, checks=[passed], failed=["x"]).sound
    assert not Findings("p", "d", "t", {}, checks=[passed, parity.Check("b", False)]).sound


def test_operations_of_the_stages_are_those_of_describe():
    found = operations(DEBUG)
    assert {"dino", "control", "denoise", "vae", "kv_write"} == found.keys()
    assert found["denoise"] == len(DEBUG.stream.timesteps) * found["kv_write"]


def test_random_networks_have_no_silent_layer():
    networks = random_networks(DEBUG, 1, torch.device("cpu"), torch.float32)
    assert networks.control is not None
    for module in (networks.dit, networks.control, networks.vae):
        for name, parameter in module.named_parameters():
            assert parameter.any() or name.endswith("bias"), name


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_a_preset(setting):
    preset = setting.of(DEBUG)
    assert preset.stream.chunk == setting.chunk
    assert len(preset.stream.timesteps) == setting.steps
    assert preset.chunk_frames(True) == 4 * (setting.first_chunk or setting.chunk) - 3


def test_a_short_first_chunk_is_streamed_alike():
    preset = Setting(2, 6, 1, first_chunk=1).of(DEBUG)
    networks = debug_networks(stream=preset.stream)
    coarse = coarse_chunk(preset, 0)
    graphed, plain = GraphedPipeline(networks), Pipeline(networks)
    assert plain.frames_wanted(plain.open(0)) == 1
    assert parity.graph_equals_eager(graphed, plain, coarse, 0).psnr_db == float("inf")


def test_the_command_needs_few_packages():
    """In a process of its own, where those packages cannot be found."""
    program = f"""
import sys, importlib.machinery as machinery
class Few(machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            return None
        return machinery.PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Few if one is machinery.PathFinder else one for one in sys.meta_path]
import runtime.bench.gpu
assert not set({ABSENT!r}) & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
