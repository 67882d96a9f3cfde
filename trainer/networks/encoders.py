"""The frozen networks around a denoiser: VAE, text encoder, DINO; only those a run needs.

With a cache, latents and text come ready, and the text encoder stays only long enough to encode
the empty and the negative prompt. DINO is there for phases with control alone.

Shapes: B samples, F pixel frames, T latents, N tokens, S text tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from c2r.models.build import PromptEncoder, prepare_inference
from c2r.models.configs import Preset
from c2r.models.pixels import as_bytes
from c2r.models.text import TextEncoder
from trainer.data.batch import Batch
from trainer.data.cache_format import check_cache
from trainer.dist.parallel import World
from trainer.networks.start import Start, encoder_hash, weights_hash
from trainer.settings import TrainConfig

FRAMES_AT_ONCE = 64
"""Frames that DINO sees at a time; bounds its memory, changes nothing else."""


def cache_fields(preset: Preset, vae_hash: str, text_hash: str) -> dict[str, object]:
    """What `cache.json` must say for a run with a renderer of these hashes (`encoder_hash` of the
    VAE, `weights_hash` of the text encoder)."""
    return {
        "preset": preset.name,
        "width": preset.width,
        "height": preset.height,
        "fps": preset.fps,
        "vae": vae_hash,
        "text": text_hash,
    }


class Encoders:
    """Makes latents, text embeddings and features of a batch, without gradients.

    `ValueError` when the run's cache was made with other networks, naming the field.
    """

    def __init__(self, config: TrainConfig, world: World, start: Start, *, control: bool) -> None:
        self.device = world.device
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        vae, text = start.vae(), start.text()
        if not isinstance(text, TextEncoder):
            raise ValueError(
                f"a {config.model.name} is trained with a text encoder of its own: name its "
                "weights, start.text"
            )
        if config.data.cache is not None:
            fields = cache_fields(start.preset, encoder_hash(vae), weights_hash(text))
            check_cache(config.data.cache, fields)
        # [1, S, text_dim]: of a prompt that is dropped, and what guidance leads away from.
        self.empty, self.negative = (
            text.encode([prompt]).to(self.device) for prompt in ("", config.model.negative_prompt)
        )
        ready = config.data.cache is not None and config.data.scenes is None
        self.text_encoder: PromptEncoder | None = None if ready else text.to(self.device)
        self.vae = prepare_inference(vae, dtype, self.device)
        self.dino = prepare_inference(start.dino(), dtype, self.device) if control else None

    @torch.no_grad()
    def latents(self, batch: Batch) -> Tensor:
        """Clean latents `[B, T, C, h, w]` float32."""
        if batch.latents is not None:
            return batch.latents.float()
        assert batch.frames is not None
        return self.vae.encode(batch.frames.float() / 255).float()

    @torch.no_grad()
    def text(self, batch: Batch) -> Tensor:
        """Text embeddings `[B, S, text_dim]` float32."""
        if batch.text is not None:
            return batch.text.float()
        assert self.text_encoder is not None
        return self.text_encoder.encode(list(batch.captions)).float()

    @torch.no_grad()
    def features(self, batch: Batch) -> Tensor:
        """DINO's tokens of the control `[B, F, N, Dd]`."""
        assert self.dino is not None, "only phases with control have a DINO"
        assert batch.control is not None, "the dataset was opened without control"
        return self.dino(batch.control, batch=FRAMES_AT_ONCE)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[B, T, C, h, w]` as frames `[B, F, 3, H, W]` uint8 on the CPU."""
        return as_bytes(self.vae.decode(latents)).cpu()
