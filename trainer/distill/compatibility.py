"""Whether teacher and student are compatible: same latents, text embeddings and frames.

Widths and depths may differ, but a teacher's score of a student's latents means something only when
their VAEs, text encoders, frame sizes and rates agree.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from c2r.models.build import PromptEncoder
from c2r.models.configs import Preset
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import WanVAE
from trainer.networks.start import Start, weights_hash

PROBE_FRAMES, PROBE_SIDE = 9, 128

_NUMBERS: dict[str, Callable[[Preset], object]] = {
    "model.width and model.height": lambda preset: (preset.width, preset.height),
    "model.fps": lambda preset: preset.fps,
    "model.dit.channels": lambda preset: preset.dit.channels,
    "model.dit.text_dim": lambda preset: preset.dit.text_dim,
    "model.dit.text_len": lambda preset: preset.dit.text_len,
}


def check_compatible(student: Start, other: Start, who: str, least: float) -> None:
    """`ValueError` naming what differs and what to do. `who`: the other renderer, for messages."""
    for name, number in _NUMBERS.items():
        own, theirs = number(student.preset), number(other.preset)
        if own != theirs:
            raise ValueError(
                f"{who} and student are not compatible: {name} is {theirs} in {who} and {own} "
                "in the student; make them equal in the config, or choose another renderer"
            )
    _check_latents(student, other, who, least)
    _check_text(student, other, who)


def _check_latents(student: Start, other: Start, who: str, least: float) -> None:
    if _same_files(student.paths["vae"], other.paths["vae"]):
        return
    own, theirs = student.vae(), other.vae()
    if weights_hash(own) == weights_hash(theirs):
        return
    agreement = latent_agreement(own, theirs)
    if agreement < least:
        raise ValueError(
            f"{who} and student have different VAEs, and their latents of one clip agree to "
            f"{agreement:.2f}, less than distil.least_agreement {least:g}; start the student with "
            f"{who}'s VAE (start.vae {other.paths['vae']})"
        )


def _check_text(student: Start, other: Start, who: str) -> None:
    if _same_files(student.paths["text"], other.paths["text"]):
        return
    if _text_hash(student.text(), "student") != _text_hash(other.text(), who):
        raise ValueError(
            f"{who} and student have different text encoders, so a prompt means different things "
            f"to them; start the student with {who}'s (start.text {other.paths['text']})"
        )


def _text_hash(text: PromptEncoder, whose: str) -> str:
    try:
        return weights_hash(text)
    except ValueError as error:
        raise ValueError(f"the {whose}'s text encoder: {error}") from error


def _same_files(one: str | None, other: str | None) -> bool:
    """Whether two files, or folders without subfolders, are equal byte for byte."""
    if one is None or other is None:
        return False
    first, second = Path(one), Path(other)
    if first.is_file() and second.is_file():
        return filecmp.cmp(first, second, shallow=False)
    if not (first.is_dir() and second.is_dir()):
        return False
    names = [sorted(path.name for path in folder.iterdir()) for folder in (first, second)]
    if names[0] != names[1]:
        return False
    _, differing, faults = filecmp.cmpfiles(first, second, names[0], shallow=False)
    return not differing and not faults


@torch.no_grad()
def latent_agreement(one: TinyVAE | WanVAE, other: TinyVAE | WanVAE) -> float:
    """How far two VAEs' latents of a clip of soft, drifting colours agree, scale and offset too.

    1 is equal, 0 what latents of their mean would give: `1 - mean (a - b)^2 / var a`.
    """
    clip = _probe()
    own, theirs = (vae.eval().encode(clip).float() for vae in (one, other))
    return float(1 - (own - theirs).square().mean() / own.var(unbiased=False))


def _probe() -> Tensor:
    """`[1, F, 3, H, W]` in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    spots = torch.rand(1, 3, 8, 8, generator=generator)
    frame = F.interpolate(spots, (PROBE_SIDE, PROBE_SIDE), mode="bicubic").clamp(0, 1)
    return torch.stack([frame.roll(2 * number, -1) for number in range(PROBE_FRAMES)], dim=1)
