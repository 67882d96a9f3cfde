"""`c2r export`: ONNX served by onnxruntime, whole folders, refusals."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

import onnx

from c2r.__main__ import run
from c2r.engines.fingerprint import weights_sha256
from c2r.engines.stages import eager_stages
from c2r.weights.engines import MANIFEST, Manifest, manifest_text, read_manifest
from c2r.weights.renderer import read_renderer, save_renderer, seeded_networks
from export import build as build_module
from export import folder as folder_module
from export.build import BuildRequest, build_engines
from export.engines.targets import check_capabilities, get_target
from export.graphs import OPSET
from export.verify import verify
from runtime.backends import stages_of
from runtime.pipeline import Pipeline
from tests.export.small import small_networks

SIZE = ["--width", "64", "--height", "48"]


def build(folder: Path, seed: int = 1) -> Manifest:
    request = BuildRequest(get_target("onnx"), folder, "float32")
    return build_engines(small_networks(seed), request, say=lambda _: None)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    build(folder)
    return folder


def copy_of(built: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in built.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(folder: Path, **changes: object) -> None:
    """A manifest that says something else, and is otherwise sound."""
    manifest = replace(read_manifest(folder), **changes)  # type: ignore[arg-type]
    (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a.astype(float) - b.astype(float)) ** 2).mean())
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def test_a_stream_from_onnxruntime_is_eagers(tmp_path):
    """The tiny preset from nothing, by the command; 20 chunks, past the window's first moves."""
    folder = tmp_path / "tiny"
    arguments = ["--preset", "tiny", "--target", "onnx", "--output", str(folder), *SIZE]
    assert run(["export", *arguments]) == 0
    networks = seeded_networks(_tiny(), 0)
    engines = Pipeline(networks, stages_of(networks, "onnxruntime", folder))
    draw, made, caches = np.random.default_rng(0), [], []
    frames = draw.integers(0, 256, (9 + 19 * 12, 48, 64, 3), np.uint8)
    for pipeline in (Pipeline(networks), engines):
        state, text = pipeline.open(5), pipeline.text(pipeline.prompt("noon"))
        pictures, done = [], 0
        for _ in range(20):
            count = pipeline.frames_wanted(state)
            rendered = pipeline.render(state, frames[done : done + count], text)
            pipeline.finalize(state, rendered)
            pictures.append(rendered.pictures)
            done += count
        made.append(np.concatenate(pictures))
        caches.append(state.stream.cache)
    assert psnr(*made) >= 50
    assert caches[0].length == caches[1].length == 9
    for a, b in ((caches[0].keys, caches[1].keys), (caches[0].values, caches[1].values)):
        assert (a - b).abs().max() <= 1e-3 * a.abs().max()


def _tiny():
    from c2r.config import override
    from c2r.models.presets import get_preset

    return override(get_preset("tiny"), {"width": 64, "height": 48})


def test_the_manifest_says_what_was_built(built):
    manifest, networks = read_manifest(built), small_networks()
    assert manifest.weights == weights_sha256(networks) != weights_sha256(small_networks(2))
    assert [entry.graph for entry in manifest.engines] == [
        "dino",
        "control_first",
        "control",
        "denoise",
        "decode_first",
        "decode",
    ]
    denoise = manifest.entry("denoise")
    assert [profile["P"] for profile in denoise.profiles] == [2, 4, 6]
    assert denoise.aliases["keys_out.1"] == "keys.1"
    assert manifest.verified["rollout"]["cosine"] > 0.99999
    assert {"denoise 2", "denoise 4", "denoise 6", "vae later"} <= manifest.verified.keys()
    model = onnx.load(built / denoise.file)
    labels = {entry.key: entry.value for entry in model.metadata_props}
    assert labels["c2r.weights"] == manifest.weights
    assert labels["c2r.size"] == "64x48"
    assert model.opset_import[0].version == OPSET


def test_building_again_does_nothing(built):
    times = {file: file.stat().st_mtime_ns for file in built.iterdir()}
    build(built)
    assert {file: file.stat().st_mtime_ns for file in built.iterdir()} == times


def test_other_weights_build_anew(built, tmp_path):
    folder = copy_of(built, tmp_path / "copy")
    before = read_manifest(folder)
    after = build(folder, seed=2)
    assert after.weights != before.weights
    assert all(a.key != b.key for a, b in zip(before.engines, after.engines, strict=True))


def test_an_interrupted_build_is_no_folder_and_goes_on(tmp_path, monkeypatch):
    real, exported = build_module.export_onnx, []

    def until_denoise(graph, path, metadata):
        if graph.name == "denoise":
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        exported.append(graph.name)
        return real(graph, path, metadata)

    monkeypatch.setattr(build_module, "export_onnx", until_denoise)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path)
    with pytest.raises(ValueError, match="no whole engine folder"):
        read_manifest(tmp_path)
    assert not (tmp_path / "denoise.onnx").exists()
    assert not (tmp_path / folder_module.STAGING).exists()
    first = list(exported)

    def noted(graph, path, metadata):
        exported.append(graph.name)
        return real(graph, path, metadata)

    monkeypatch.setattr(build_module, "export_onnx", noted)
    build(tmp_path)
    assert exported == [*first, "denoise", "decode_first", "decode"]
    assert read_manifest(tmp_path).verified


def test_a_full_disk_is_told_and_leaves_nothing_half(tmp_path, monkeypatch, built):
    folder = copy_of(built, tmp_path / "copy")

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module, "flush", full)
    with pytest.raises(OSError, match=r"disk of .* is full \(.* GiB free\)"):
        build(folder, seed=3)
    assert not (folder / MANIFEST).exists()
    assert not (folder / folder_module.STAGING).exists()


def serve(folder: Path, backend: str = "onnxruntime", seed: int = 1, **changes):
    return stages_of(small_networks(seed, **changes), backend, folder)


def test_every_mismatch_names_its_field(built, tmp_path):
    from c2r.models.presets import StreamConfig

    serve(built)
    with pytest.raises(ValueError, match=r"settings\.stream\.window is 6, here 8"):
        serve(built, stream=StreamConfig(chunk=2, window=8, sink=2, timesteps=(1000.0,)))
    with pytest.raises(ValueError, match="weights is"):
        serve(built, seed=2)
    with pytest.raises(ValueError, match="precision is 'float32', here 'bfloat16'"):
        serve(built, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"target: .* holds onnx engines"):
        serve(built, "tensorrt")
    folder = copy_of(built, tmp_path / "copy")
    versions = {**read_manifest(folder).versions, "onnxruntime": "0.1"}
    change(folder, versions=versions)
    with pytest.raises(ValueError, match=r"versions\.onnxruntime is '0\.1'"):
        serve(folder)


def test_a_manifest_edited_by_hand_is_refused(built, tmp_path):
    folder = copy_of(built, tmp_path / "copy")
    content = json.loads((folder / MANIFEST).read_text())
    content["precision"] = "bfloat16"
    (folder / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ValueError, match="changed after the build: digest"):
        serve(folder)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ValueError, match="is no manifest"):
        serve(folder)
    (folder / MANIFEST).write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(ValueError, match="format is 99"):
        serve(folder)


def test_damaged_and_missing_engines_are_refused(built, tmp_path):
    folder = copy_of(built, tmp_path / "copy")
    file = folder / "decode.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(ValueError, match=r"decode\.onnx: files\.sha256 differs"):
        serve(folder)
    file.unlink()
    with pytest.raises(ValueError, match=r"lacks decode\.onnx"):
        serve(folder)
    entries = tuple(entry for entry in read_manifest(built).engines if entry.graph != "decode")
    other = copy_of(built, tmp_path / "other")
    change(other, engines=entries)
    with pytest.raises(ValueError, match="lack graph 'decode'"):
        serve(other)


def test_what_does_not_agree_is_not_released(tmp_path):
    networks = small_networks()
    stages = eager_stages(networks)

    def wrong(latents, state):
        frames, following = stages.vae(latents, state)
        return frames.flip(-1), following

    with pytest.raises(ValueError, match="do not agree with PyTorch in vae first"):
        verify(networks, replace(stages, vae=wrong), "float32")
    assert verify(networks, stages, "float32")["rollout"]["relative_error"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "cuda"], "target 'cuda' is unknown"),
        (["--target", "rtx"], "say for which"),
        (["--target", "rtx", "--compute-capability", "90"], "Hopper"),
        (["--target", "rtx", "--compute-capability", "75"], "Turing"),
        (["--target", "onnx", "--strip"], "--strip is for TensorRT"),
        (["--target", "onnx", "--compute-capability", "89"], "is for --target rtx"),
        (["--target", "onnx", "--via", "torch-tensorrt"], "only tensorrt"),
        (["--target", "onnx", "--preset", "huge"], "preset 'huge' is unknown"),
        (["--target", "onnx", "--weights", "absent"], "is no renderer's folder"),
        (["--target", "onnx", "--stream.windw", "3"], "unknown key 'stream.windw'"),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, capsys):
    assert run(["export", *arguments, "--output", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("via", [[], ["--via", "torch-tensorrt"]])
def test_an_absent_wheel_is_told_before_any_work(via, tmp_path, capsys):
    target = get_target("tensorrt", via[1] if via else None)
    try:
        target.load()
    except ValueError:
        pass
    else:
        pytest.skip(f"{target.distribution} is installed here")
    output = ["--output", str(tmp_path / "out")]
    assert run(["export", "--preset", "wan-14b", "--target", "tensorrt", *via, *output]) == 2
    assert f"pip install {target.distribution}" in capsys.readouterr().err


def test_weights_of_another_preset(tmp_path, capsys):
    save_renderer(small_networks(), tmp_path / "weights")
    assert read_renderer(tmp_path / "weights")[0].name == "tiny"
    arguments = ["--preset", "wan-1.3b", "--target", "onnx", "--weights", str(tmp_path / "weights")]
    assert run(["export", *arguments]) == 2
    assert "holds a tiny renderer, --preset says wan-1.3b" in capsys.readouterr().err


def test_capabilities_are_built_once():
    assert check_capabilities(get_target("rtx"), [89, 120, 89]) == (89, 120)
