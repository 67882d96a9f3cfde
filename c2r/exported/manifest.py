"""The manifest of a folder of exported engines: what they were built from, and whether they fit.

A folder holds engines and `manifest.json`, which is written last: without it the folder is
incomplete. Everything that an engine has baked in is a field here, and opening the folder compares
the fields. Knows no network and no engine's library; imports no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2r.models.configs import Preset

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class TensorSpec:
    """An input or output: dtype as PyTorch names it; a name in the shape is a dynamic size."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class EngineEntry:
    """One graph as one engine.

    `files`: SHA-256 of each file, the engine first. `profiles`: the sets of values that the
    dynamic sizes take. `aliases`: outputs written in place of an input. `key`: hash of everything
    that the engine depends on; the same key need not be built again. `build`: the builder's report
    (time, peak memory, precision of layers).
    """

    graph: str
    key: str
    files: Mapping[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    profiles: tuple[Mapping[str, int], ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    compute_capability: int | None = None
    onnx_sha256: str = ""
    build: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of the engine's own file."""
        return next(iter(self.files))


@dataclass(frozen=True)
class Manifest:
    """Everything about an engine folder.

    `settings`: the preset's settings that are baked in. `weights`: hash of the networks' weights.
    `versions`: of the libraries that built the engines. `verified`: the comparison with PyTorch, or
    why there was none. `calibration`: the error of quantization by layer, where it was measured.
    `quantized`: "fp8" when the denoise engine was built so, else empty.
    """

    preset: str
    settings: Mapping[str, Any]
    target: str
    precision: str
    weights: str
    versions: Mapping[str, str]
    commit: str
    engines: tuple[EngineEntry, ...]
    verified: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    quantized: str = ""
    format: int = FORMAT

    def entry(self, graph: str, compute_capability: int | None = None) -> EngineEntry:
        """The engine of a graph; `ValueError` names those that there are."""
        of_graph = [entry for entry in self.engines if entry.graph == graph]
        for entry in of_graph:
            if entry.compute_capability in (None, compute_capability):
                return entry
        if not of_graph:
            have = ", ".join(sorted({entry.graph for entry in self.engines}))
            raise ValueError(f"the engines lack graph {graph!r} (there are: {have}); build again")
        built = ", ".join(str(entry.compute_capability) for entry in of_graph)
        raise ValueError(
            f"engines[{graph}].compute_capability: built for {built}, this device is "
            f"{compute_capability}; build with --compute-capability {compute_capability}"
        )


def baked_settings(preset: Preset) -> dict[str, Any]:
    """The settings of a preset that graphs have baked in, as nested JSON values."""
    whole = dataclasses.asdict(preset)
    kept = {key: whole[key] for key in ("width", "height", "dit", "dino", "vae", "control")}
    kept["stream"] = {key: whole["stream"][key] for key in ("chunk", "window")}
    plain: dict[str, Any] = json.loads(json.dumps(kept))
    return plain


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_sha256(value: Any) -> str:
    """SHA-256 of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_text(manifest: Manifest) -> str:
    """The manifest as JSON, closed by the hash of its content."""
    content = json.loads(json.dumps(dataclasses.asdict(manifest)))
    return json.dumps({**content, "digest": json_sha256(content)}, indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder whose files are all there; `ValueError` says what is wrong."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"{folder} is no whole engine folder: it has no {MANIFEST}, which a build writes last; "
            "build it (again) with c2r export"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("digest")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no manifest ({error}); build the engines again") from error
    if content.get("format") != FORMAT:
        raise ValueError(
            f"{path}: format is {content.get('format')}, this version reads {FORMAT}; build again"
        )
    if digest != json_sha256(content):
        raise ValueError(
            f"{path} was changed after the build: digest does not match its content; put the "
            "original back or build again"
        )
    from pydantic import TypeAdapter, ValidationError  # slow to import; only needed here

    try:
        manifest = TypeAdapter(Manifest).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {place}: {first['msg']}; build again") from error
    names = [name for entry in manifest.engines for name in entry.files]
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise ValueError(f"{folder} lacks {', '.join(absent)}; build the engines again")
    return manifest


def check_files(folder: Path, entry: EngineEntry) -> None:
    """`ValueError` unless the files of an engine are as the build wrote them."""
    for name, expected in entry.files.items():
        if file_sha256(folder / name) != expected:
            raise ValueError(
                f"{folder / name}: files.sha256 differs from the manifest; the file is damaged or "
                "of another build: build again"
            )


def check_fit(
    manifest: Manifest,
    *,
    preset: Preset,
    precision: str,
    weights: str,
    versions: Mapping[str, str],
) -> None:
    """`ValueError`, naming the field, unless the engines were built from exactly this.

    `versions`: of the libraries that will run them. `precision`: dtype of the networks in PyTorch,
    whose cache the engines write into.
    """
    for field_name, ours, theirs in _pairs(baked_settings(preset), manifest.settings, "settings"):
        _refuse(field_name, theirs, ours, "build engines of this preset, or change the preset back")
    if manifest.precision != precision:
        _refuse("precision", manifest.precision, precision, f"use --precision {manifest.precision}")
    if manifest.weights != weights:
        _refuse(
            "weights", manifest.weights[:12], weights[:12], "build engines of these weights, or "
            "give the weights (and --seed) that they were built from",
        )  # fmt: skip
    for name, ours in versions.items():
        if manifest.versions.get(name) != ours:
            _refuse(
                f"versions.{name}", manifest.versions.get(name), ours, "install that version, or "
                "build again with this one",
            )  # fmt: skip


def _pairs(ours: Any, theirs: Any, path: str) -> list[tuple[str, Any, Any]]:
    """Where two nested values differ: (path, ours, theirs)."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        keys = [*ours, *(key for key in theirs if key not in ours)]
        nested = [_pairs(ours.get(key), theirs.get(key), f"{path}.{key}") for key in keys]
        return [pair for pairs in nested for pair in pairs]
    return [] if ours == theirs else [(path, ours, theirs)]


def _refuse(field_name: str, theirs: Any, ours: Any, remedy: str) -> None:
    raise ValueError(f"engines do not fit: {field_name} is {theirs!r}, here {ours!r}; {remedy}")
