"""The packages that run exported engines: how they are imported, installed, and their versions."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

ONNX, RTX, TENSORRT = "onnx", "rtx", "tensorrt"
"""What engines are built for: the `target` of a manifest."""
NVIDIA_INDEX = "--extra-index-url https://pypi.nvidia.com"


@dataclass(frozen=True)
class Library:
    """`package` is the import name, `distribution` what pip calls it, `install` the command."""

    package: str
    distribution: str
    install: str

    def load(self) -> ModuleType:
        """The package; `ValueError` says which wheel to install and from where."""
        try:
            return import_module(self.package)
        except (ImportError, OSError) as error:
            raise ValueError(
                f"{self.distribution} cannot be loaded ({error}); install it: {self.install}"
            ) from error

    def versions(self) -> dict[str, str]:
        """The installed version, by distribution; `ValueError` where there is none."""
        try:
            return {self.distribution: version(self.distribution)}
        except PackageNotFoundError:  # wheels for one CUDA version carry it in their name
            return {self.distribution: str(self.load().__version__)}


LIBRARIES = {
    ONNX: Library(
        "onnxruntime", "onnxruntime", "pip install onnxruntime (onnxruntime-gpu for CUDA)"
    ),
    RTX: Library("tensorrt_rtx", "tensorrt-rtx", "pip install tensorrt-rtx"),
    TENSORRT: Library("tensorrt", "tensorrt", f"pip install tensorrt {NVIDIA_INDEX}"),
}
"""Target -> the library that runs its engines."""
