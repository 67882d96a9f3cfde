"""The control adapter as published for C2R: DINO tokens, pooled causally, added to the DiT's.

Control tokens are added after the patch embedding, the sum passes a residual bridge, and they are
added again before the first blocks with a falling scale. Parameter names are those of the
published file without its `pipe.dit.` prefix. Control tokens depend neither on x_t nor on t, so
they are computed once per chunk.

Shapes: B batch, F pixel frames, T latents, N tokens of one latent, Dd DINO width, D DiT width.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from c2r.models.configs import ControlConfig, Preset
from c2r.models.control import ControlInput, ControlNetwork, ControlState, Hint, injected_blocks
from c2r.models.forward_pass import ForwardPass

STAGES = 2  # each halves the frame rate: 4 frames per latent


class CausalPool(nn.Module):
    """Depthwise temporal convolutions, kernel 3, stride 2, padded with its first input twice.

    Output t of a stage sees its inputs 2t-2, 2t-1 and 2t, so latent j of two stages sees frames
    4j-6 to 4j and a stream needs no look-ahead. Initialised as the mean of the three.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        convs = [
            nn.Conv3d(width, width, (3, 1, 1), (2, 1, 1), groups=width, bias=False)
            for _ in range(STAGES)
        ]
        for conv in convs:
            nn.init.constant_(conv.weight, 1 / 3)
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor, state: ControlState | None) -> tuple[Tensor, ControlState]:
        """`[B, F, N, Dd]` -> `[B, T, N, Dd]`, the latents completed by these F frames."""
        if state is None and x.shape[1] == 0:
            raise ValueError("control needs at least one frame to start a stream; got none")
        pending = []
        for stage, conv in enumerate(self.convs):
            held = x[:, :1].expand(-1, 2, -1, -1) if state is None else state.pending[stage]
            assert isinstance(conv, nn.Conv3d)
            x, rest = self._stage(conv.weight.flatten(1), torch.cat([held, x], dim=1))
            pending.append(rest)
        return x, ControlState(tuple(pending))

    @staticmethod
    def _stage(taps: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """One convolution as three products per token, taps `[Dd, 3]`: outputs, unused inputs."""
        count = (x.shape[1] - 1) // 2
        out = sum(x[:, tap : tap + 2 * count : 2] * taps[:, tap] for tap in range(3))
        assert isinstance(out, Tensor)
        return out, x[:, 2 * count :].clone()  # a view would keep the whole chunk alive


class PatchAdapter(nn.Module):
    """DINO patch tokens of every frame -> control tokens of every latent."""

    def __init__(self, dino_dim: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.temporal_downsample = CausalPool(dino_dim)
        self.ln = nn.LayerNorm(dino_dim)
        self.mlp = nn.Sequential(nn.Linear(dino_dim, hidden), nn.SiLU(), nn.Linear(hidden, dim))

    def forward(self, features: Tensor, state: ControlState | None) -> tuple[Tensor, ControlState]:
        """`[B, F, N, Dd]` -> `[B, T, N, D]`."""
        features = features.to(self.ln.weight.dtype)
        pooled, state = self.temporal_downsample(features, state)
        return self.mlp(self.ln(pooled)), state


class FusionBridge(nn.Module):
    """Residual two-layer network over the fused tokens; its last layer is zero-initialised."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, dim // 2)
        self.fc2 = nn.Linear(dim // 2, dim)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The residual of `x` `[B, L, D]`."""
        x = x.to(self.ln.weight.dtype)
        return self.fc2(nn.functional.silu(self.fc1(self.ln(x))))


class ControlAdapter(ControlNetwork):
    """The published control network. Its hints cost one product each, so none are kept."""

    kind = "adapter"
    float32_on_cpu = True
    width_only = True

    def __init__(self, config: ControlConfig, dino_dim: int, dim: int, layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        self.dino_patch_adapter = PatchAdapter(dino_dim, config.hidden, dim)
        self.dino_fusion_bridge = FusionBridge(dim)
        # Zero-init: an untrained adapter adds nothing, so training starts at the DiT's own output.
        for parameter in self.dino_patch_adapter.mlp[2].parameters():
            nn.init.zeros_(parameter)
        injected = injected_blocks(config.inject, layers)
        fall = (config.last_scale - config.first_scale) / max(1, len(injected) - 1)
        self.scales = {
            block: config.first_scale + fall * place for place, block in enumerate(injected)
        }

    @classmethod
    def of(cls, preset: Preset) -> Self:
        dit = preset.dit
        return cls(preset.control, preset.dino.hidden, dit.dim, dit.layers)

    def tokens(
        self, features: Tensor, state: ControlState | None = None
    ) -> tuple[Tensor, ControlState]:
        return self.dino_patch_adapter(features, state)

    def inject(self, x: Tensor, control: ControlInput, call: ForwardPass) -> tuple[Tensor, Hint]:
        # Strength 0 must be exactly no control. Scaling the tokens alone does not give that: the
        # bridge has biases and is not scaled in the published model, so it is switched off.
        strength = control.scale()
        added = strength * control.tokens.flatten(1, 2)
        x = x + added.to(x.dtype)
        x = x + ((strength > 0) * self.dino_fusion_bridge(x)).to(x.dtype)

        def hint(block: int) -> Tensor | None:
            scale = self.scales.get(block)
            return None if scale is None else (added * scale).to(x.dtype)

        return x, hint
