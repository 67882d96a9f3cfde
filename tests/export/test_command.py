"""`c2r export` from nothing: the debug preset served, calibrated, verified again; mistakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

import onnx

from c2r.__main__ import run
from c2r.exported.manifest import MANIFEST, file_sha256, read_manifest
from c2r.weights.renderer import read_renderer, save_renderer
from export.builders.targets import get_target
from runtime.backends import stages_of
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import DEBUG, debug_networks
from tests.export.folders import CALIBRATE, SEEDED, change, copy_of

VERIFY = (*SEEDED, "--verify")
CLONES_ONCE = "--control.every_pass=false"


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a.astype(float) - b.astype(float)) ** 2).mean())
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def test_a_stream_from_onnxruntime_is_eagers(built):
    """12 chunks, past the window's first moves."""
    networks, chunks = debug_networks(), 12
    exported = Pipeline(networks, stages_of(networks, "onnxruntime", built))
    count = DEBUG.chunk_frames(True) + (chunks - 1) * DEBUG.chunk_frames(False)
    size = count, DEBUG.height, DEBUG.width, 3
    coarse = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    videos, caches = [], []
    for pipeline in (Pipeline(networks), exported):
        state, text = pipeline.open(5), pipeline.text(pipeline.prompt("noon"))
        parts, done = [], 0
        for _ in range(chunks):
            wanted = pipeline.frames_wanted(state)
            rendered = pipeline.render(state, coarse[done : done + wanted], text)
            pipeline.finalize(state, rendered)
            parts.append(rendered.frames)
            done += wanted
        videos.append(np.concatenate(parts))
        caches.append(state.stream.cache)
    assert psnr(*videos) >= 50
    assert caches[0].length == caches[1].length == DEBUG.stream.window
    for a, b in ((caches[0].keys, caches[1].keys), (caches[0].values, caches[1].values)):
        assert (a - b).abs().max() <= 1e-3 * a.abs().max()


def test_the_manifest_tells_what_fp8_costs(built):
    """Every linear layer is there: with an error, or with the reason why it is left."""
    found = read_manifest(built).calibration
    layers, excluded = found["calibration"]["layers"], found["calibration"]["excluded"]
    names = {
        name
        for name, part in debug_networks().dit.named_modules()
        if type(part).__name__ == "Linear"
    }
    assert {layer["layer"] for layer in layers} | excluded.keys() == names
    assert all(0 < layer["error"] < 0.1 for layer in layers)
    assert excluded["blocks.2.ffn.0"] == "as asked"
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
    assert run(["export", *VERIFY, str(folder), "--seed", "2"]) == 2
    assert "engines do not fit: weights is" in capsys.readouterr().err
    assert run(["export", *VERIFY, str(folder), "--stream.window", "12"]) == 2
    assert "settings.stream.window is 8, here 12" in capsys.readouterr().err
    file = folder / "decode.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    assert run(["export", *VERIFY, str(folder)]) == 2
    assert "decode.onnx: files.sha256 differs" in capsys.readouterr().err
    assert (folder / MANIFEST).read_bytes() == before
    change(folder, versions={**read_manifest(folder).versions, "onnxruntime": "0.1"})
    assert run(["export", *VERIFY, str(folder)]) == 2
    assert "versions.onnxruntime is '0.1'" in capsys.readouterr().err


def test_engines_that_give_other_frames_do_not_verify(built, tmp_path, capsys):
    """Sound files under a sound manifest; the patch embedding is not what it was."""
    folder = copy_of(built, tmp_path / "copy")
    file = folder / "dino.onnx"
    model = onnx.load(file)
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4]
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
        (["--target", "onnx", "--clips", "1"], "--clips: it needs --calibrate"),
        (["--target", "rtx", "--compute-capability", "90"], "Hopper"),
        (["--target", "rtx", "--compute-capability", "75"], "Turing"),
        (["--target", "rtx", "--compute-capability", "70"], "70 is not supported by tensorrt-rtx"),
        (["--target", "onnx", "--strip"], "--strip is for TensorRT"),
        (["--target", "onnx", "--compute-capability", "89"], "is for --target rtx"),
        (["--target", "onnx", "--via", "torch-tensorrt"], "only tensorrt"),
        (["--target", "onnx", "--preset", "huge"], "--preset 'huge' is unknown"),
        (["--target", "onnx", "--weights", "absent"], "is not a renderer's folder"),
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
        (["--target", "onnx", "--exclude", "head.*"], "--exclude: it needs --calibrate MANIFEST"),
        (["--target", "onnx", "--quantize"], "--quantize: it needs --calibrate MANIFEST"),
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
            ["--target", "onnx", "--preset", "debug", *CALIBRATE[:2], "--exclude", "block.*"],
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
    save_renderer(debug_networks(), tmp_path / "weights")
    assert read_renderer(tmp_path / "weights")[0].name == "debug"
    arguments = ["--preset", "wan-1.3b", "--target", "onnx", "--weights", str(tmp_path / "weights")]
    assert run(["export", *arguments]) == 2
    assert "holds a debug renderer, --preset says wan-1.3b" in capsys.readouterr().err
