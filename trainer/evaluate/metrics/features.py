"""What turns frames into vectors for KID and FID, and the hash that names it in a report.

Without downloads there is no Inception, so a frame's vector is made of a DINO's tokens and of
the prompt classifier's features. Numbers compare only where the hash is the same.

N frames, d width of a vector.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from c2r.models.dino import DinoEncoder
from trainer.evaluate.metrics.prompt import PromptClassifier
from trainer.networks.lpips import AlexLpips

FRAMES_AT_ONCE = 16


def weights_hash(module: nn.Module) -> str:
    """16 hexadecimal digits of the names, shapes and bytes of all weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {list(plain.shape)} {plain.dtype}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


class DinoStatistics(nn.Module):
    """Mean and standard deviation of a frame's DINO tokens, and the prompt classifier's features.

    `[N, 3, H, W]` uint8 -> `[N, d]`, d = 2 Dd (+ the classifier's width).
    """

    def __init__(self, dino: DinoEncoder, classifier: PromptClassifier | None) -> None:
        super().__init__()
        self.dino = dino
        self.classifier = classifier

    @property
    def described(self) -> str:
        parts = f"mean and deviation of {self.dino.dim}-wide DINO tokens"
        return parts if self.classifier is None else f"{parts}, prompt classifier's features"

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        tokens = self.dino(frames[None])[0].float()
        parts = [tokens.mean(dim=1), tokens.std(dim=1, unbiased=False)]
        if self.classifier is not None:
            parts.append(self.classifier.features(frames))
        return torch.cat(parts, dim=1)


class AlexStatistics(nn.Module):
    """Mean and deviation of every channel of a pretrained AlexNet's five layers.

    `[N, 3, H, W]` uint8 -> `[N, 2304]`. It has seen photographs, and no frame of this project: a
    set that is darker or softer than it should be is far away, which it is not for a DINO that was
    trained to see the same street in every light.
    """

    def __init__(self, network: AlexLpips) -> None:
        super().__init__()
        self.network = network
        self.described = "mean and deviation of an AlexNet's channels"

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        layers = self.network.features(frames.float() / 127.5 - 1)
        flat = [layer.flatten(2) for layer in layers]
        parts = [torch.cat([x.mean(-1), x.std(-1, unbiased=False)], dim=1) for x in flat]
        return torch.cat(parts, dim=1)


class ScriptedFeatures(nn.Module):
    """An extractor from a TorchScript file: `[N, 3, H, W]` uint8 -> `[N, d]`, as for torchmetrics.

    `ValueError` for a file that is none, or that gives another shape.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.network = load_scripted(path)
        self.described = f"TorchScript {path.name}"

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        vectors = self.network(frames)
        if not isinstance(vectors, Tensor) or vectors.ndim != 2 or len(vectors) != len(frames):
            raise ValueError(f"{self.path} gives no [N, d] for {len(frames)} frames; it must")
        return vectors.float()


def load_scripted(path: Path) -> nn.Module:
    """A TorchScript file as a frozen network on the CPU; `ValueError` when it is none."""
    if not path.is_file():
        raise ValueError(f"there is no TorchScript file {path}")
    try:
        network: nn.Module = torch.jit.load(str(path), map_location="cpu")
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is no TorchScript file ({reason}); export it again") from error
    return network.eval()


def features_of(extractor: nn.Module, frames: Tensor) -> Tensor:
    """Vectors `[N, d]` of frames `[N, 3, H, W]` uint8, a few at a time; float32 on the CPU."""
    parameter = next(extractor.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    return torch.cat([extractor(part.to(device)).cpu() for part in frames.split(FRAMES_AT_ONCE)])
