"""DINO features: frames in, patch tokens of a frozen DINOv3 or DINOv2 out.

The networks are those of transformers; this module prepares pixels, drops the tokens that are not
patches and reads Hugging Face folders. It knows nothing of the adapter that uses the tokens, nor
of time: frames are encoded independently.

Shapes: B batch, F pixel frames, H W pixel rows and columns, N = rows * columns of the token grid
(row-major), Dd width of the features.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import (
    AttentionInterface,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PretrainedConfig,
    PreTrainedModel,
)

from c2r.kernels.attention import sdpa
from c2r.models.configs import DinoConfig
from c2r.models.pretrained import Pretrained, locate
from c2r.models.seeded import seeded

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DINOV2_TRAINED_SIZE = 518  # pixels a side; sets how many position embeddings the network holds

FAMILIES: dict[str, Any] = {
    "dinov3_vit": DINOv3ViTModel,
    "dinov2": Dinov2Model,
    "dinov2_with_registers": Dinov2WithRegistersModel,
}
ADVICE = (
    "DINOv3's weights are gated and many requests are refused: give a local folder that holds "
    "config.json and model.safetensors, or use DINOv2 (facebook/dinov2-base, Apache-2.0)"
)


def _attend(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **_: Any
) -> tuple[Tensor, None]:
    """Our attention as transformers calls one: `[B, h, L, d]` in, `[B, L, h, d]` out."""
    assert mask is None, "every patch sees every patch"
    # Rotated in float32, q and k may be wider than v.
    return sdpa(*(part.to(v.dtype).transpose(1, 2) for part in (q, k, v))), None


ATTENTION = "c2r"
AttentionInterface.register(ATTENTION, _attend)


class DinoEncoder(nn.Module):
    """Frozen DINO: frames of any size to one token per cell of `grid` (rows, columns).

    Always in eval mode, whatever `train` is called with: DINOv3 jitters its positions in training
    mode. `ValueError` for a model of another family or an empty grid.
    """

    def __init__(
        self,
        model: DINOv3ViTModel | Dinov2Model | Dinov2WithRegistersModel,
        grid: tuple[int, int],
    ) -> None:
        super().__init__()
        if not isinstance(model, (DINOv3ViTModel, Dinov2Model, Dinov2WithRegistersModel)):
            accepted = ", ".join(family.__name__ for family in FAMILIES.values())
            raise ValueError(f"model is a {type(model).__name__}; DINO must be one of: {accepted}")
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(f"grid {grid} must be (rows, columns), each at least 1")
        self.model = model.requires_grad_(False)
        self.model.set_attn_implementation(ATTENTION)
        self.grid = grid
        self.product_dtype: torch.dtype | None = None
        self.eval()

    def multiply_in(self, dtype: torch.dtype) -> None:
        """Compute matrix products in `dtype`; sums, norms and the tokens stay float32."""
        self.product_dtype = dtype
        for layer in self.model.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                layer.to(dtype)

    @property
    def dim(self) -> int:
        """Width Dd of a token."""
        return int(self.model.config.hidden_size)

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) in pixels of what the network sees; other frames are resized to it."""
        patch = self.model.config.patch_size
        height, width = (patch, patch) if isinstance(patch, int) else patch
        return self.grid[0] * height, self.grid[1] * width

    @property
    def prefix(self) -> int:
        """Tokens before the first patch: CLS and the registers."""
        if isinstance(self.model, Dinov2Model):
            return 1
        return 1 + int(self.model.config.num_register_tokens)

    def train(self, mode: bool = True) -> DinoEncoder:
        """Stay in eval mode; `mode` is for `nn.Module`'s signature only."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, frames: Tensor, batch: int | None = None) -> Tensor:
        """Patch tokens `[B, F, N, Dd]`, in the model's dtype, after its final norm.

        `frames`: `[B, F, 3, H, W]`, RGB, uint8 in 0..255 or float in [0, 1] (not checked: that
        would wait on the device). The whole frame is resized to `size`; nothing is cropped.
        `batch`: most frames to encode at a time, to bound memory; the result is the same.
        `ValueError` for another shape or dtype. No gradient flows.
        """
        _check_frames(frames, batch)
        flat = rearrange(frames, "B F C H W -> (B F) C H W")
        parts = [flat] if batch is None else flat.split(batch)
        tokens = torch.cat([self._encode(part) for part in parts])
        return rearrange(tokens, "(B F) N Dd -> B F N Dd", B=frames.shape[0])

    def _encode(self, frames: Tensor) -> Tensor:
        assert not self.model.training, "DINO must stay in eval mode; call train on its owner"
        pixels = prepare(frames, self.size).to(self.model.dtype)
        if self.product_dtype is None:
            return self.model(pixels).last_hidden_state[:, self.prefix :]
        with torch.autocast(pixels.device.type, self.product_dtype):
            return self.model(pixels).last_hidden_state[:, self.prefix :]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DinoEncoder:
        super()._apply(fn, recurse)
        _restore_rope(self.model)
        return self


def prepare(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames `[B, 3, H, W]` (uint8, or float in [0, 1]) as float32 input of DINO, `size` pixels."""
    pixels = frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()
    if pixels.shape[-2:] != size:
        pixels = interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)
    # Plain numbers, a channel at a time: a buffer would be lost by building on the meta device,
    # and a tensor made here would be a copy to the device that the host waits for.
    channels = zip(pixels.unbind(1), IMAGENET_MEAN, IMAGENET_STD, strict=True)
    return torch.stack([(channel - mean) / std for channel, mean, std in channels], dim=1)


def _check_frames(frames: Tensor, batch: int | None) -> None:
    if frames.ndim != 5 or frames.shape[2] != 3 or 0 in frames.shape:
        raise ValueError(f"frames have shape {list(frames.shape)}; they must be [B, F, 3, H, W]")
    if frames.dtype != torch.uint8 and not frames.is_floating_point():
        raise ValueError(
            f"frames are {frames.dtype}; give uint8 in 0..255 or a floating dtype in [0, 1]"
        )
    if batch is not None and batch < 1:
        raise ValueError(f"batch {batch} must be at least 1, or None for all frames at once")


def _restore_rope(model: PreTrainedModel) -> None:
    """Recompute DINOv3's rotary frequencies, in float32.

    They follow from the config and are in no state dict, so `to_empty` leaves them undefined and
    `.to(torch.bfloat16)` would round them. In place where possible: a captured graph keeps the
    address.
    """
    if isinstance(model, DINOv3ViTModel):
        rope = model.rope_embeddings
        exponents = torch.arange(0, 1, 4 / rope.head_dim, dtype=torch.float32, device="cpu")
        rope.inv_freq = rope.inv_freq.float().copy_(1 / rope.base**exponents)


def build_dino(
    config: DinoConfig, grid: tuple[int, int], *, seed: int | None = None
) -> DinoEncoder:
    """A DINO of that shape with random weights.

    With a `seed` on the CPU; without one on the current device, `torch.device("meta")` included.
    `ValueError` for widths that the family cannot have.
    """
    family, options = _family(config)
    with seeded(seed):
        return DinoEncoder(FAMILIES[family.model_type](family(**options)), grid)


def _family(config: DinoConfig) -> tuple[type[PretrainedConfig], dict[str, Any]]:
    """transformers' config class for `config`, and its arguments."""
    if config.hidden % (4 * config.heads):
        raise ValueError(
            f"DINO width {config.hidden} must split into {config.heads} heads of a multiple of 4; "
            "change hidden or heads"
        )
    options: dict[str, Any] = {
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "patch_size": config.patch,
    }
    if config.family == "dinov3":
        activation = "silu" if config.gated_mlp else "gelu"  # as published: H+ is SwiGLU
        gate = {"use_gated_mlp": config.gated_mlp, "hidden_act": activation}
        width = {"intermediate_size": config.mlp, "num_register_tokens": config.registers}
        return DINOv3ViTConfig, options | gate | width
    if config.mlp % config.hidden:
        raise ValueError(f"DINOv2's mlp {config.mlp} must be a multiple of hidden {config.hidden}")
    options |= {
        "mlp_ratio": config.mlp // config.hidden,
        "use_swiglu_ffn": config.gated_mlp,
        "image_size": DINOV2_TRAINED_SIZE,
    }
    if config.registers:
        return Dinov2WithRegistersConfig, options | {"num_register_tokens": config.registers}
    return Dinov2Config, options


def load_dino(
    source: str | Path,
    grid: tuple[int, int],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> DinoEncoder:
    """DINOv3 or DINOv2 from a local folder or a Hugging Face id (`owner/name`).

    The family is read from its config.json. `ValueError` when it cannot be read, is something
    else, or its weights do not fit its config; the message says what was found and what to do.
    """
    checkpoint = Pretrained(locate(source, ADVICE), ADVICE)
    model_type = checkpoint.config().get("model_type")
    if model_type not in FAMILIES:
        raise ValueError(
            f"{source} holds model_type {model_type!r}; DINO accepts: {', '.join(FAMILIES)}. "
            + ADVICE
        )
    # A classification head is fine to leave out: the features end before it.
    model = checkpoint.load(FAMILIES[model_type], dtype, unused=("classifier.",))
    return DinoEncoder(model, grid).to(device)
