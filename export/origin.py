"""What an engine follows from, as hashes: the same key need not be built again."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import c2r
from c2r.exported.fingerprint import weights_sha256
from c2r.exported.manifest import baked_settings, file_sha256, json_sha256
from c2r.models.build import Networks
from export.graphs import OPSET

ROOT = Path(c2r.__file__).parent.parent
SOURCES = (
    "c2r/kernels",
    "c2r/models",
    "c2r/exported/names.py",
    "export/graphs.py",
    "export/onnx_export.py",
    "export/precision/nvfp4.py",
    "export/precision/quantize.py",
)
"""The source that decides what a graph computes."""
EXPORTERS = ("torch", "onnx", "onnxscript")


@dataclass(frozen=True)
class Origin:
    """Everything that all engines of a build follow from.

    `settings`: what of the preset is baked in. `weights`, `code`: hashes. `versions`: of the
    exporter's packages.
    """

    settings: Mapping[str, Any]
    precision: str
    weights: str
    versions: Mapping[str, str]
    code: str = field(default_factory=lambda: _code_sha256())

    def key(self, **more: Any) -> str:
        """Hash of all that and `more`."""
        return json_sha256({**vars(self), "opset": OPSET, **more})


def origin_of(networks: Networks, precision: str) -> Origin:
    """The origin of engines of these networks, in this checkout and environment."""
    versions = {name: version(name) for name in EXPORTERS}
    return Origin(baked_settings(networks.preset), precision, weights_sha256(networks), versions)


def commit() -> str:
    """The commit of this checkout, or `unknown`."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _code_sha256() -> str:
    places = [ROOT / source for source in SOURCES]
    files = [
        file for place in places for file in ([place], sorted(place.rglob("*.py")))[place.is_dir()]
    ]
    return json_sha256({str(file.relative_to(ROOT)): file_sha256(file) for file in files})
