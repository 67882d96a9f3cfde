"""Trains the tiny preset's DINO: a ViT of DINOv3's architecture, by objectives of our own.

Two views of one moment (a clip's frame and its control: the coarse render of a pair, or the frame
in other colours) go through the network, each recoloured once more. Tokens of one place must agree
whatever the view looks like, yet differ from place to place and carry much: invariance, variance
and covariance terms of VICReg (Bardes et al., 2022, arXiv:2105.04906) on projected tokens. And from
either view's token a linear head must predict the true frame's patch, each patch brought to mean 0
and variance 1 first, as masked autoencoders do (He et al., 2022, arXiv:2111.06377): structure
without light and colour. Both heads are dropped after training.

Shapes: B clips, F frames, N tokens a frame, D token width, P values of a patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.dino import DinoEncoder, prepare
from c2r.models.seeded import seeded
from trainer.data.batch import Batch
from trainer.data.jitter import draw_jitter, jittered
from trainer.logs.loss_meter import Losses
from trainer.phases.foundation import FoundationPhase, pixels
from trainer.sample_random import plain_random
from trainer.settings import JitterConfig, TrainConfig

DINO_FOLDER = "dino"
PROJECTED = 512
TOKENS = 2048
"""Most tokens of a micro-batch in the variance and covariance terms."""
INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0
"""VICReg's own weights (section 4.2); the sum is divided by the first."""
RECOLOUR = JitterConfig(hue=0.5, saturation=0.9, value=0.5)
GREY = 0.25
"""Share of views without colour."""


class DinoWithHeads(nn.Module):
    """The ViT with its two heads. Attributes are names in checkpoints."""

    def __init__(self, dino: DinoEncoder) -> None:
        super().__init__()
        self.grid, self.size, self.prefix = dino.grid, dino.size, dino.prefix
        self.patch = (dino.size[0] // dino.grid[0], dino.size[1] // dino.grid[1])
        self.dino = dino.model.requires_grad_(True)
        # For masked images, which this training has not: no gradient would ever reach it.
        self.dino.embeddings.mask_token.requires_grad_(False)
        self.project = nn.Sequential(
            nn.Linear(dino.dim, PROJECTED),
            nn.BatchNorm1d(PROJECTED),
            nn.ReLU(),
            nn.Linear(PROJECTED, PROJECTED),
        )
        self.tell = nn.Linear(dino.dim, 3 * self.patch[0] * self.patch[1])

    def tokens(self, frames: Tensor) -> Tensor:
        """Frames `[M, 3, H, W]` in [0, 1] -> `[M, N, D]`."""
        hidden = self.dino(prepare(frames, self.size)).last_hidden_state
        return cast(Tensor, hidden[:, self.prefix :])

    def patches(self, frames: Tensor) -> Tensor:
        """Frames `[M, 3, H, W]` as normalised patches `[M, N, P]`."""
        height, width = self.patch
        if frames.shape[-2:] != self.size:
            frames = F.interpolate(frames, self.size, mode="bilinear", antialias=True)
        rows = rearrange(frames, "M c (r y) (s x) -> M (r s) (c y x)", y=height, x=width)
        return (rows - rows.mean(-1, keepdim=True)) / (rows.var(-1, keepdim=True) + 1e-4).sqrt()


def spread_loss(rows: Tensor) -> tuple[Tensor, Tensor]:
    """VICReg's variance and covariance terms of rows `[M, P]` (its equations 1 and 4)."""
    centred = rows - rows.mean(0)
    deviation = (centred.var(0) + 1e-4).sqrt()
    covariance = centred.T @ centred / (len(rows) - 1)
    off = covariance - torch.diag_embed(covariance.diagonal())
    return F.relu(1 - deviation).mean(), off.square().sum() / rows.shape[1]


class TrainDino(FoundationPhase[TrainConfig]):
    """Tokens that say what is where, whatever its light and colours."""

    name = "train_dino"
    needs_control = True
    PART = "dino"

    def build(self) -> nn.Module:
        dino = self.start.dino()
        with seeded(self.start.seed):
            return DinoWithHeads(dino)

    def losses(self, batch: Batch, step: int) -> Losses:
        """Both objectives on a micro-batch."""
        network = cast(DinoWithHeads, self.network)
        assert batch.control is not None
        truth = pixels(batch, self.world.device).flatten(0, 1)
        target = network.patches(truth)
        views = [self._view(frames, batch, name) for name, frames in self._moments(batch)]
        tokens = [network.tokens(view) for view in views]
        errors = [F.mse_loss(network.tell(one).float(), target, reduction="none") for one in tokens]
        chosen = self._chosen(tokens[0], batch)
        rows = [network.project(one.flatten(0, 1)[chosen]).float() for one in tokens]
        agree = F.mse_loss(rows[0], rows[1])
        terms = [spread_loss(one) for one in rows]
        varied = (terms[0][0] + terms[1][0]) / 2
        apart = (terms[0][1] + terms[1][1]) / 2
        vicreg = (INVARIANCE * agree + VARIANCE * varied + COVARIANCE * apart) / INVARIANCE
        samples = sum(one.mean((1, 2)).view(len(batch.draws), -1).mean(1) for one in errors) / 2
        assert isinstance(samples, Tensor)
        total = vicreg + samples.mean()
        levels = torch.zeros(len(batch.draws))
        return Losses(total, samples.detach(), levels, batch.sources)

    def _moments(self, batch: Batch) -> list[tuple[str, Tensor]]:
        assert batch.frames is not None
        assert batch.control is not None
        return [("frame", batch.frames), ("control", batch.control)]

    def _view(self, frames: Tensor, batch: Batch, name: str) -> Tensor:
        """Recoloured `[B*F, 3, H, W]` in [0, 1], the same way for all frames of a clip."""
        recoloured = []
        for clip, draw in zip(frames.cpu().numpy(), batch.draws, strict=True):
            # The purpose's text is part of the seed; it stays for the sake of resumed runs.
            random_ = plain_random(self.config.seed, draw, f"see {name}")
            colours = torch.from_numpy(jittered(clip, draw_jitter(RECOLOUR, random_))).float() / 255
            if random_.random() < GREY:
                colours = colours.mean(1, keepdim=True).expand_as(colours)
            recoloured.append(colours)
        return torch.cat(recoloured).to(self.world.device)

    def _chosen(self, tokens: Tensor, batch: Batch) -> Tensor:
        count = tokens.shape[0] * tokens.shape[1]
        generator = torch.Generator().manual_seed(self.config.seed * 7_919 + batch.draws[0])
        return torch.randperm(count, generator=generator)[:TOKENS].to(tokens.device)

    @torch.no_grad()
    def sample_frames(self, batch: Batch) -> Tensor:
        """The true frames' patches as predicted from the control's tokens, as grey relief."""
        network = cast(DinoWithHeads, self.network)
        assert batch.control is not None
        flat = batch.control.to(self.world.device).flatten(0, 1).float() / 255
        patches = network.tell(network.tokens(flat)).float()
        rows, columns = network.grid
        height, width = network.patch
        frames = rearrange(
            patches, "M (r s) (c y x) -> M c (r y) (s x)", r=rows, s=columns, y=height, x=width
        )
        shown = (frames * 0.2 + 0.5).clamp(0, 1) * 255
        size = batch.control.shape[-2:]
        shown = F.interpolate(shown, size, mode="nearest")
        return shown.to(torch.uint8).view(batch.control.shape).cpu()

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """A transformers folder `dino` in the run's folder."""
        dino = self.start.dino()
        own = {n.removeprefix("dino."): t for n, t in weights.items() if n.startswith("dino.")}
        unexpected = dino.model.load_state_dict(own, strict=False).unexpected_keys
        assert not unexpected, f"{unexpected} have no place in the ViT"
        dino.model.save_pretrained(self.config.folder / DINO_FOLDER)
