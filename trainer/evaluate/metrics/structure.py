"""Structure agreement: do two videos hold the same things in the same places, whatever the look?

F frames, N DINO tokens of a frame, D their width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from c2r.models.dino import DinoEncoder
from trainer.evaluate.videos import Pictures, as_frames

FRAMES_AT_ONCE = 16


def tokens(dino: DinoEncoder, pictures: Pictures) -> Tensor:
    """DINO tokens `[F, N, D]` of frames `[F, H, W, 3]`, float32 on the CPU."""
    device = next(dino.parameters()).device
    return dino(as_frames(pictures)[None].to(device), batch=FRAMES_AT_ONCE)[0].float().cpu()


def gram_agreement(ours: Tensor, theirs: Tensor) -> float:
    """How alike the Gram matrices of two videos' tokens `[F, N, D]` are, in [0, 1], up is better.

    Linear CKA (Kornblith et al. 2019) of each frame, averaged: with K and L the Gram matrices of
    the tokens less their mean, `<K, L> / (|K| |L|)`. Relations between places count, their look
    does not (as in VideoREPA's loss). A frame of equal tokens agrees with nothing.
    """
    first, second = (x - x.mean(dim=1, keepdim=True) for x in (ours.double(), theirs.double()))
    gram, other = (x @ x.transpose(1, 2) for x in (first, second))
    inner = (gram * other).sum(dim=(1, 2))
    size = torch.linalg.matrix_norm(gram) * torch.linalg.matrix_norm(other)
    agreement = torch.where(size > 0, inner / size.clamp_min(1e-30), torch.zeros_like(inner))
    return float(agreement.mean())
