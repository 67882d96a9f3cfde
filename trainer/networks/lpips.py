"""LPIPS with a pretrained AlexNet that comes in a wheel: no hub, no download at run time.

The network is the shift-tolerant AlexNet of ST-LPIPS (Ghildyal and Liu, ECCV 2022). The package
`stlpips-pytorch` 0.0.2 (BSD-2-Clause) carries its weights. Only that file is read, since importing
the package wants torchvision.

B frames, H W pixel rows and columns.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PACKAGE, FILE = "stlpips_pytorch", Path("weights", "vST0.0", "alex_shift_tolerant.pth")
CONVOLUTIONS = {  # name in the file -> padding; all with stride 1
    "net.slice1.0": 2,
    "net.slice2.5": 2,
    "net.slice3.9": 1,
    "net.slice4.11": 1,
    "net.slice5.13": 1,
}


def packaged_weights() -> Path:
    """The package's file of AlexNet weights; `ValueError` says how to install it."""
    spec = find_spec(PACKAGE)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        if (path := Path(folder) / FILE).is_file():
            return path
    raise ValueError(
        "LPIPS (alex) needs the weights of stlpips-pytorch; install them with "
        "pip install --no-deps stlpips-pytorch==0.0.2"
    )


class AlexLpips(nn.Module):
    """Two batches of frames `[B, 3, H, W]` in [-1, 1] -> a distance each, `[B]`; 0 for equals.

    Differentiable, so that it serves as a loss too. `ValueError` when the file holds other tensors.
    """

    blur: Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        state = torch.load(path, map_location="cpu", weights_only=True)
        try:
            for name in CONVOLUTIONS:
                for part in ("weight", "bias"):
                    self.register_buffer(_buffer(name, part), state[f"{name}.{part}"])
            for layer in range(len(CONVOLUTIONS)):
                weight = state[f"lin{layer}.model.1.weight"]
                self.register_buffer(f"lin{layer}", weight)
        except KeyError as error:
            raise ValueError(
                f"{path} has no tensor {error}; give alex_shift_tolerant.pth of stlpips-pytorch"
            ) from error
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("blur", row[:, None] * row[None, :])

    def forward(self, frames: Tensor, other: Tensor) -> Tensor:
        distance = frames.new_zeros(len(frames))
        pairs = zip(self.features(frames), self.features(other), strict=True)
        for layer, (a, b) in enumerate(pairs):
            apart = (_unit(a) - _unit(b)).square()
            distance = distance + F.conv2d(apart, getattr(self, f"lin{layer}")).mean((1, 2, 3))
        return distance

    def features(self, x: Tensor) -> list[Tensor]:
        """Activations after each of the five convolutions."""
        x = F.relu(self._halved(self._convolved(x, "net.slice1.0")))
        features = [x]
        for name in list(CONVOLUTIONS)[1:]:
            if name == "net.slice2.5" or name == "net.slice3.9":
                x = self._halved(F.max_pool2d(x, 3, stride=1))
            x = F.relu(self._convolved(x, name))
            features.append(x)
        return features

    def _convolved(self, x: Tensor, name: str) -> Tensor:
        weight, bias = (getattr(self, _buffer(name, part)) for part in ("weight", "bias"))
        return F.conv2d(x, weight, bias, padding=CONVOLUTIONS[name])

    def _halved(self, x: Tensor) -> Tensor:
        """Blurred, then every second pixel: a shift by one pixel changes little."""
        channels = x.shape[1]
        kernel = self.blur.expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(x, (2, 2, 2, 2), "reflect"), kernel, stride=2, groups=channels)


def _buffer(name: str, part: str) -> str:
    return f"{name}.{part}".replace(".", "_")


def _unit(x: Tensor) -> Tensor:
    # The small number inside the root keeps the gradient finite where nothing is active.
    return x / ((x.square().sum(1, keepdim=True) + 1e-20).sqrt() + 1e-10)
