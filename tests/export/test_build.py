"""`c2r export`: ONNX served by onnxruntime, whole folders, refusals."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

import onnx

from c2r.exported.manifest import MANIFEST, Manifest, read_manifest
from c2r.exported.open_engines import weights_sha256
from c2r.exported.stages import eager_stages
from export import build as build_module
from export import folder as folder_module
from export.build import BuildRequest, build_exported
from export.builders.targets import check_capabilities, get_target
from export.graphs import OPSET, Graph
from export.verify import verify
from runtime.backends import stages_of
from tests.debug_networks import debug_networks
from tests.export.folders import change, copy_of


def build(folder: Path, seed: int = 1) -> Manifest:
    request = BuildRequest(get_target("onnx"), folder, "float32")
    return build_exported(debug_networks(seed), request, say=lambda _: None)


def test_the_manifest_says_what_was_built(built):
    manifest, networks = read_manifest(built), debug_networks()
    assert manifest.weights == weights_sha256(networks) != weights_sha256(debug_networks(2))
    assert [entry.graph for entry in manifest.engines] == [
        "dino",
        "control_first",
        "control",
        "denoise",
        "decode_first",
        "decode",
    ]
    denoise = manifest.entry("denoise")
    assert [profile["P"] for profile in denoise.profiles] == [2, 4, 6, 8]
    assert denoise.aliases["keys_out.1"] == "keys.1"
    assert manifest.verified["rollout"]["cosine"] > 0.99999
    assert {"denoise 2", "denoise 8", "vae later"} <= manifest.verified.keys()
    model = onnx.load(built / denoise.file)
    labels = {entry.key: entry.value for entry in model.metadata_props}
    assert labels["c2r.weights"] == manifest.weights
    assert labels["c2r.size"] == "64x48"
    assert model.opset_import[0].version == OPSET


def test_building_again_does_nothing(built):
    times = {file: file.stat().st_mtime_ns for file in built.iterdir()}
    build(built)
    assert {file: file.stat().st_mtime_ns for file in built.iterdir()} == times


def test_a_new_library_is_noted_after_another_comparison(built, tmp_path, monkeypatch):
    """Else the server would refuse the folder for its version, and building again not help."""
    folder = copy_of(built, tmp_path / "copy")
    manifest = read_manifest(folder)
    old, compared = {**manifest.versions, "onnxruntime": "0.1"}, {"rollout": {"cosine": 1.0}}
    change(folder, versions=old)
    monkeypatch.setattr(build_module, "compare", lambda *_: compared)
    times = {file: file.stat().st_mtime_ns for file in folder.glob("*.onnx")}
    build(folder)
    assert read_manifest(folder).versions == manifest.versions
    assert read_manifest(folder).verified == compared
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.onnx")} == times
    change(folder, verified={"not_run": "no device there"})
    build(folder)
    assert read_manifest(folder).verified == compared, "compared as soon as it can be"


class Exporter:
    """Stands in for the export, which is slow: gives what was built before, and notes what of."""

    def __init__(self, built: Path, interrupted_at: str = "") -> None:
        self.built = built
        self.interrupted_at = interrupted_at
        self.exported: list[str] = []

    def __call__(self, graph: Graph, path: Path, *_: object) -> list[Path]:
        if graph.name == self.interrupted_at:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        self.exported.append(graph.name)
        path.write_bytes((self.built / path.name).read_bytes())
        return [path]


def test_other_weights_build_again_and_stale_engines_are_not_released(built, tmp_path, monkeypatch):
    """Every graph is exported again; engines that hold the old weights fail the build."""
    folder, exporter = copy_of(built, tmp_path / "copy"), Exporter(built)
    monkeypatch.setattr(build_module, "export_onnx", exporter)
    with pytest.raises(ValueError, match="do not agree with PyTorch in dino first"):
        build(folder, seed=2)
    assert exporter.exported == [entry.graph for entry in read_manifest(built).engines]
    assert not (folder / MANIFEST).exists()


def test_an_interrupted_build_is_no_folder_and_goes_on(built, tmp_path, monkeypatch):
    exporter = Exporter(built, interrupted_at="denoise")
    monkeypatch.setattr(build_module, "export_onnx", exporter)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path)
    with pytest.raises(ValueError, match="no whole engine folder"):
        read_manifest(tmp_path)
    assert not (tmp_path / "denoise.onnx").exists()
    assert not (tmp_path / folder_module.STAGING).exists()
    assert exporter.exported == ["dino", "control_first", "control"]
    exporter.interrupted_at = ""
    build(tmp_path)
    assert exporter.exported[3:] == ["denoise", "decode_first", "decode"]
    assert read_manifest(tmp_path).verified


def test_a_killed_build_is_cleaned_up_by_the_next(built, tmp_path):
    """Killed between its last engine and the manifest, with a half written file lying about."""
    folder = copy_of(built, tmp_path / "copy")
    (folder / MANIFEST).unlink()
    (folder / folder_module.STAGING).mkdir()
    (folder / folder_module.STAGING / "decode.onnx").write_bytes(b"half")
    with pytest.raises(ValueError, match="no whole engine folder: it has no manifest"):
        serve(folder)
    times = {file: file.stat().st_mtime_ns for file in folder.glob("*.onnx")}
    build(folder)
    assert not (folder / folder_module.STAGING).exists()
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.onnx")} == times
    serve(folder)


def test_a_full_disk_is_told_and_leaves_nothing_half(tmp_path, monkeypatch, built):
    folder = copy_of(built, tmp_path / "copy")

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build_module, "export_onnx", Exporter(built))
    monkeypatch.setattr(folder_module, "flush", full)
    with pytest.raises(OSError, match=r"disk of .* is full \(.* GiB free\)"):
        build(folder, seed=3)
    assert not (folder / MANIFEST).exists()
    assert not (folder / folder_module.STAGING).exists()


def serve(folder: Path, backend: str = "onnxruntime", seed: int = 1, **changes):
    return stages_of(debug_networks(seed, **changes), backend, folder)


def test_every_mismatch_names_its_field(built, tmp_path):
    from c2r.models.configs import StreamConfig

    serve(built)
    with pytest.raises(ValueError, match=r"settings\.stream\.window is 8, here 6"):
        serve(built, stream=StreamConfig(chunk=2, window=6, sink=2, timesteps=(1000.0,)))
    with pytest.raises(ValueError, match="weights is"):
        serve(built, seed=2)
    with pytest.raises(ValueError, match="precision is 'float32', here 'bfloat16'"):
        serve(built, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"target: .* holds onnx engines"):
        serve(built, "tensorrt")
    short = StreamConfig(chunk=2, window=8, sink=2, timesteps=(1000.0,), first_chunk=1)
    with pytest.raises(ValueError, match=r"first_chunk is 1; engines take chunks of one size"):
        serve(built, stream=short)
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
    networks = debug_networks()
    stages = eager_stages(networks)

    def wrong(latents, state, guide=None, strength=None):
        frames, following = stages.vae(latents, state)
        return frames.flip(-1), following

    with pytest.raises(ValueError, match="do not agree with PyTorch in vae first"):
        verify(networks, replace(stages, vae=wrong), "float32")
    assert verify(networks, stages, "float32")["rollout"]["relative_error"] == 0


def test_capabilities_are_built_once():
    assert check_capabilities(get_target("rtx"), [89, 120, 89]) == (89, 120)
