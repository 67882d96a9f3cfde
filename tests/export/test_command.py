"""`c2r export` from nothing: a shallow tiny served, calibrated, verified again; mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

import onnx

from c2r.__main__ import run
from c2r.config import override
from c2r.exported.manifest import MANIFEST, file_sha256, read_manifest
from c2r.models.configs import Preset
from c2r.models.presets import get_preset
from c2r.weights.renderer import read_renderer, save_renderer, seeded_networks
from export.builders.targets import get_target
from runtime.backends import stages_of
from runtime.pipeline.pipeline import Pipeline
from tests.export.folders import change, copy_of
from tests.export.small import small_networks

SIZE = ["--width", "64", "--height", "48", "--dit.layers", "4", "--dino.layers", "2"]
STREET = Path(__file__).parents[2] / "assets" / "street" / "manifest.jsonl"
VERIFY = ("--random-weights", "--verify")
CLONES_ONCE = "--control.every_pass=false"
CALIBRATE = ["--calibrate", str(STREET), "--clips", "1", "--exclude", "blocks.3.*"]


def _tiny() -> Preset:
    layers = {"dit": {"layers": 4}, "dino": {"layers": 2}}
    return override(get_preset("tiny"), {"width": 64, "height": 48, **layers})


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The tiny preset by the command, calibrated on a clip on the way."""
    folder = tmp_path_factory.mktemp("tiny")
    arguments = ["--preset", "tiny", "--target", "onnx", "--output", str(folder), *SIZE]
    arguments.append("--random-weights")
    assert run(["export", *arguments, *CALIBRATE]) == 0
    return folder


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a.astype(float) - b.astype(float)) ** 2).mean())
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def test_a_stream_from_onnxruntime_is_eagers(built):
    """20 chunks, past the window's first moves."""
    networks = seeded_networks(_tiny(), 0)
    engines = Pipeline(networks, stages_of(networks, "onnxruntime", built))
    draw, made, caches = np.random.default_rng(0), [], []
    frames = draw.integers(0, 256, (9 + 19 * 12, 48, 64, 3), np.uint8)
    for pipeline in (Pipeline(networks), engines):
        state, text = pipeline.open(5), pipeline.text(pipeline.prompt("noon"))
        pictures, done = [], 0
        for _ in range(20):
            count = pipeline.frames_wanted(state)
            rendered = pipeline.render(state, frames[done : done + count], text)
            pipeline.finalize(state, rendered)
            pictures.append(rendered.frames)
            done += count
        made.append(np.concatenate(pictures))
        caches.append(state.stream.cache)
    assert psnr(*made) >= 50
    assert caches[0].length == caches[1].length == 9
    for a, b in ((caches[0].keys, caches[1].keys), (caches[0].values, caches[1].values)):
        assert (a - b).abs().max() <= 1e-3 * a.abs().max()


def test_the_manifest_tells_what_fewer_bits_cost(built):
    """Every linear layer is there: with an error, or with the reason why it is left."""
    found = read_manifest(built).calibration
    layers, excluded = found["calibration"]["layers"], found["calibration"]["excluded"]
    names = {
        name
        for name, part in seeded_networks(_tiny(), 0).dit.named_modules()
        if type(part).__name__ == "Linear"
    }
    assert {layer["layer"] for layer in layers} | excluded.keys() == names
    assert all(0 < layer["error"] < 0.1 for layer in layers)
    assert excluded["blocks.3.ffn.0"] == "as asked"
    assert found["chunks"] == {"train-00002": 4}
    assert 0 < found["streams"]["train-00002"]["relative_error"] < 0.5


def test_verifying_again_builds_nothing(built, tmp_path, capsys):
    """The manifest's own settings serve: no size has to be said."""
    folder = copy_of(built, tmp_path / "copy")
    verified = read_manifest(folder).verified
    change(folder, verified={"not_run": "built elsewhere"})
    times = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.onnx*")}
    assert run(["export", *VERIFY, str(folder)]) == 0
    assert read_manifest(folder).verified == verified
    assert {file.name: file.stat().st_mtime_ns for file in folder.glob("*.onnx*")} == times
    assert "rollout" in capsys.readouterr().err


def test_what_does_not_verify_keeps_its_manifest(built, tmp_path, capsys):
    """Other weights, settings or library, a damaged file: each is named."""
    folder = copy_of(built, tmp_path / "copy")
    before = (folder / MANIFEST).read_bytes()
    assert run(["export", *VERIFY, str(folder), "--seed", "1"]) == 2
    assert "engines do not fit: weights is" in capsys.readouterr().err
    assert run(["export", *VERIFY, str(folder), "--stream.window", "12"]) == 2
    assert "settings.stream.window is 9, here 12" in capsys.readouterr().err
    file = folder / "decode.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    assert run(["export", *VERIFY, str(folder)]) == 2
    assert "decode.onnx: files.sha256 differs" in capsys.readouterr().err
    assert (folder / MANIFEST).read_bytes() == before
    change(folder, versions={**read_manifest(folder).versions, "onnxruntime": "0.1"})
    assert run(["export", *VERIFY, str(folder)]) == 2
    assert "versions.onnxruntime is '0.1'" in capsys.readouterr().err


def test_engines_that_give_other_frames_do_not_verify(built, tmp_path, capsys):
    """Sound files under a sound manifest; one weight is not what it was."""
    folder = copy_of(built, tmp_path / "copy")
    file = folder / "dino.onnx"
    model = onnx.load(file)
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2]
    weights[0].raw_data = np.zeros_like(onnx.numpy_helper.to_array(weights[0])).tobytes()
    onnx.save(model, file)
    entries = tuple(
        replace(entry, files={"dino.onnx": file_sha256(file)}) if entry.graph == "dino" else entry
        for entry in read_manifest(folder).engines
    )
    change(folder, engines=entries)
    assert run(["export", *VERIFY, str(folder)]) == 2
    assert "do not agree with PyTorch in dino first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "cuda"], "--target 'cuda' is unknown"),
        (["--target", "rtx"], "say for which"),
        (["--target", "onnx", "--clips", "1"], "--clips: it is of --calibrate"),
        (["--target", "rtx", "--compute-capability", "90"], "Hopper"),
        (["--target", "rtx", "--compute-capability", "75"], "Turing"),
        (["--target", "rtx", "--compute-capability", "70"], "70 is not supported by tensorrt-rtx"),
        (["--target", "onnx", "--strip"], "--strip is for TensorRT"),
        (["--target", "onnx", "--compute-capability", "89"], "is for --target rtx"),
        (["--target", "onnx", "--via", "torch-tensorrt"], "only tensorrt"),
        (["--target", "onnx", "--preset", "huge"], "--preset 'huge' is unknown"),
        (["--target", "onnx", "--weights", "absent"], "is no renderer's folder"),
        (
            ["--target", "onnx", "--stream.windw", "3"],
            "did you mean stream.window?",
        ),
        (
            ["--target", "onnx", "--control.kind=controlnet", CLONES_ONCE],
            "export with --control.every_pass true, or serve with --backend compiled",
        ),
        (
            ["--target", "onnx", "--stream.first_chunk=1"],
            "take chunks of one size",
        ),
        ([], "say what to build: --target onnx | rtx | tensorrt; or --verify FOLDER"),
        (["--verify", "absent", "--target", "onnx"], "--verify builds nothing"),
        (["--target", "onnx", "--exclude", "head.*"], "--exclude: it is of --calibrate MANIFEST"),
        (["--target", "onnx", "--quantize"], "--quantize: it is of --calibrate MANIFEST"),
        (
            ["--target", "onnx", *CALIBRATE[:2], "--quantize", "--format", "nvfp4"],
            "--quantize builds FP8 only",
        ),
        (
            ["--target", "rtx", "--compute-capability", "86", *CALIBRATE[:2], "--quantize"],
            "compute capability 86 has no FP8",
        ),
        (["--target", "onnx", "--calibrate", "absent"], "cannot read the manifest absent"),
        (
            ["--target", "onnx", *CALIBRATE[:2], "--clips", "4"],
            "has 3 training clips with",
        ),
        (["--target", "onnx", *CALIBRATE[:2], "--clips", "0"], "at least one clip"),
        (
            ["--target", "onnx", *SIZE, *CALIBRATE[:2], "--exclude", "block.*"],
            "--exclude block.* names no linear layer",
        ),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, capsys):
    weights = [] if "--weights" in arguments else ["--random-weights"]
    assert run(["export", *arguments, *weights, "--output", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_an_absent_folder(capsys):
    assert run(["export", "--verify", "absent"]) == 2
    assert "absent is no whole engine folder" in capsys.readouterr().err


@pytest.mark.parametrize("via", [[], ["--via", "torch-tensorrt"]])
def test_an_absent_wheel_is_told_before_any_work(via, tmp_path, capsys):
    target = get_target("tensorrt", via[1] if via else None)
    try:
        target.library.load()
    except ValueError:
        pass
    else:
        pytest.skip(f"{target.library.distribution} is installed here")
    output = ["--output", str(tmp_path / "out")]
    arguments = ["--preset", "wan-14b", "--random-weights", "--target", "tensorrt"]
    assert run(["export", *arguments, *via, *output]) == 2
    assert f"pip install {target.library.distribution}" in capsys.readouterr().err


def test_weights_of_another_preset(tmp_path, capsys):
    save_renderer(small_networks(), tmp_path / "weights")
    assert read_renderer(tmp_path / "weights")[0].name == "tiny"
    arguments = ["--preset", "wan-1.3b", "--target", "onnx", "--weights", str(tmp_path / "weights")]
    assert run(["export", *arguments]) == 2
    assert "holds a tiny renderer, --preset says wan-1.3b" in capsys.readouterr().err
