"""The Wan 2.1 video DiT: one definition for 1.3B and 14B, bidirectional and causal.

Parameter names are Wan's official ones. Without a cache a pass attends to the whole clip, or to
what a `LatentMask` allows; with a cache, to what the cache holds and to itself. Knows nothing of
schedules, sessions, sharding or files.

Shapes: B batch, T latents, H W rows and columns of tokens, N = H x W, L = T x N tokens, D width,
h heads, d head width, C latent channels, S text tokens, M timesteps per sample (1 or T).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.kernels.attention import get_attention
from c2r.kernels.fused_ops import REFERENCE, FusedOps
from c2r.kernels.linear import Product, join, linear_gelu
from c2r.models.attention import LatentMask, attend_masked
from c2r.models.configs import DiTConfig
from c2r.models.control import ControlInput, ControlNetwork
from c2r.models.forward_pass import EmbeddedText, ForwardPass, LayerCache, Text, TextKV, TokenShare
from c2r.models.precision import full_precision
from c2r.models.rope import rope_table


class SelfAttention(nn.Module):
    """Attention among the clip's tokens; q and k are RMS-normalised over the full width.

    `joined`, when set, gives q, k and v of `x` in one product, `[B, L, 3 D]`.
    """

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.heads, self.eps = config.heads, config.eps
        self.joined: Product | None = None
        self.q, self.k, self.v, self.o = (nn.Linear(config.dim, config.dim) for _ in range(4))
        self.norm_q = nn.RMSNorm(config.dim, config.eps)
        self.norm_k = nn.RMSNorm(config.dim, config.eps)

    def split(self, x: Tensor) -> Tensor:
        """`[B, L, D]` -> `[B, L, h, d]`."""
        return x.unflatten(-1, (self.heads, -1))

    def qkv(self, x: Tensor) -> tuple[Tensor, ...]:
        """The three products of `x` `[B, L, D]`, not yet normalised."""
        if self.joined is not None:
            return self.joined(x).chunk(3, dim=-1)
        return self.q(x), self.k(x), self.v(x)

    def forward(self, x: Tensor, layer: int, call: ForwardPass) -> Tensor:
        q, k, v = self.qkv(x)
        v = self.split(v)
        q = call.fused_ops.norm_rotate(q, self.norm_q.weight, self.eps, call.rope).to(v.dtype)
        k = call.fused_ops.norm_rotate(k, self.norm_k.weight, self.eps, call.rope).to(v.dtype)
        if call.cache is not None:
            k, v = call.cache.append(layer, k, v)
        if call.share is not None:
            # After the rotation: a process has the angles of its own tokens only.
            q, k, v = (call.share.gather(part, call.latents) for part in (q, k, v))
        if call.mask is not None:
            out = attend_masked(call.attend, call.mask, q, k, v)
        else:
            out = call.attend(q, k, v)
        if call.share is not None:
            out = call.share.scatter(out, call.latents)
        return self.o(out.flatten(-2))


class CrossAttention(SelfAttention):
    """Attention from the clip's tokens to the prompt's, whose keys and values are given."""

    def text_kv(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Embedded text `[B, S, D]` -> keys and values `[B, S, h, d]`."""
        v = self.split(self.v(context))
        return self.split(self.norm_k(self.k(context))).to(v.dtype), v

    def forward(self, x: Tensor, layer: int, call: ForwardPass) -> Tensor:
        text = call.text
        pair = self.text_kv(text.context) if isinstance(text, EmbeddedText) else text[layer]
        k, v = (part.expand(x.shape[0], -1, -1, -1) for part in pair)
        q = self.split(self.norm_q(self.q(x))).to(v.dtype)
        return self.o(call.attend(q, k, v).flatten(-2))


class FeedForward(nn.Sequential):
    """Two linear layers around a GELU, fused with the first where a kernel does both."""

    def forward(self, x: Tensor) -> Tensor:
        first, _, last = self
        return last(linear_gelu(first, x))


class Block(nn.Module):
    """One transformer block: self-attention, cross-attention, feed-forward."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.self_attn = SelfAttention(config)
        self.cross_attn = CrossAttention(config)
        self.norm3 = nn.LayerNorm(config.dim, config.eps)
        self.ffn = FeedForward(
            nn.Linear(config.dim, config.ffn_dim),
            nn.GELU(approximate="tanh"),
            nn.Linear(config.ffn_dim, config.dim),
        )
        self.modulation = nn.Parameter(torch.randn(1, 6, config.dim) / config.dim**0.5)

    def forward(self, x: Tensor, layer: int, call: ForwardPass) -> Tensor:
        """Tokens `[B, L, D]` -> `[B, L, D]`; `layer` is the index in caches and text K/V."""
        parts = (self.modulation.float() + call.modulation).unsqueeze(-2).unbind(2)
        shift1, scale1, gate1, shift2, scale2, gate2 = parts

        def by_latent(x: Tensor) -> Tensor:
            return x.unflatten(1, (call.latents, -1))

        def gated(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
            return call.fused_ops.gate_add(by_latent(x), by_latent(update), gate).flatten(1, 2)

        y = call.fused_ops.norm_modulate(by_latent(x), shift1, scale1, self.eps).flatten(1, 2)
        x = gated(x, self.self_attn(y, layer, call), gate1)
        x = x + self.cross_attn(self.norm3(x), layer, call)
        y = call.fused_ops.norm_modulate(by_latent(x), shift2, scale2, self.eps).flatten(1, 2)
        return gated(x, self.ffn(y), gate2)


class Head(nn.Module):
    """From tokens to the velocity of each latent pixel."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.head = nn.Linear(config.dim, config.channels * config.patch**2)
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)

    def forward(self, x: Tensor, time: Tensor, fused_ops: FusedOps = REFERENCE) -> Tensor:
        """Tokens `[B, T, N, D]` and time embedding `[B, M, D]` -> `[B, T, N, patch^2 C]`."""
        shift, scale = (self.modulation.float() + time[:, :, None]).unsqueeze(-2).unbind(2)
        return self.head(fused_ops.norm_modulate(x, shift, scale, self.eps))


def sinusoid(timestep: Tensor, width: int) -> Tensor:
    """Timesteps `[...]` (0 to 1000) -> cosines, then sines, `[..., width]` float32."""
    half = width // 2
    steps = torch.arange(half, device=timestep.device, dtype=torch.float32)
    angle = timestep.float()[..., None] * torch.exp(steps * (-math.log(10000.0) / half))
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


class DiT(nn.Module):
    """Velocity of a noisy latent clip, given its timestep, a prompt and optional control.

    `attention` names a kernel of `c2r.kernels.attention`. Set `checkpoint_blocks` to recompute
    each block in the backward pass instead of keeping its activations, and `share` when this
    process holds only its share of every latent's tokens (training only). Set `attend` and
    `fused_ops` to choose kernels.
    """

    def __init__(self, config: DiTConfig, attention: str = "sdpa") -> None:
        super().__init__()
        dim, patch = config.dim, config.patch
        self.config = config
        self.attend = get_attention(attention)
        self.checkpoint_blocks = False
        self.share: TokenShare | None = None
        self.fused_ops = REFERENCE
        self.patch_embedding = nn.Conv3d(config.channels, dim, (1, patch, patch), (1, patch, patch))
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(
            nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = Head(config)

    @staticmethod
    def keeps_float32(name: str) -> bool:
        """Whether the parameter of that name stays float32 in a half-precision model."""
        time = name.startswith(("time_embedding.", "time_projection."))
        return time or name.endswith("modulation")

    def join_qkv(self) -> None:
        """Compute q, k and v of every self-attention in one product, over the same memory.

        Parameter names stay. Call it last: after loading, casting and moving to a device.
        `ValueError` while parameters require gradients.
        """
        if any(parameter.requires_grad for parameter in self.parameters()):
            raise ValueError("join_qkv is for inference; call requires_grad_(False) first")
        for block in self.blocks:
            assert isinstance(block, Block)
            attention = block.self_attn
            attention.joined = join([attention.q, attention.k, attention.v])

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the matrix products."""
        return self.patch_embedding.weight.dtype

    def embedded(self, embeddings: Tensor) -> EmbeddedText:
        """Text embeddings `[B, S, text_dim]`, for layers that compute their keys and values."""
        return EmbeddedText(self.text_embedding(embeddings.to(self.dtype)))

    def text_kv(self, embeddings: Tensor, control: ControlNetwork | None = None) -> TextKV:
        """Text embeddings `[B, S, text_dim]` -> keys and values of every layer, once per prompt.

        The layers of the control network's blocks follow the DiT's.
        """
        context = self.embedded(embeddings).context
        blocks = [*self.blocks, *(control.blocks if control is not None else ())]
        return tuple(block.cross_attn.text_kv(context) for block in blocks)

    def prepare_control(
        self,
        control: ControlInput | None,
        text: Text,
        *,
        cache: LayerCache | None = None,
        mask: LatentMask | None = None,
        positions: Tensor | None = None,
    ) -> ControlInput | None:
        """Compute the hints of a chunk now, when they depend neither on x_t nor on t.

        Once per chunk is enough; `forward` does it when it was not done before.
        """
        if control is None or control.hints is not None:
            return control
        precompute = control.module.precompute_hints
        if precompute is None:
            return control
        tokens = control.tokens
        zero = torch.zeros(tokens.shape[0], 1, device=tokens.device)
        call, _ = self._begin(zero, text, tokens.shape[1], control.grid, positions, mask, cache)
        hints = precompute(tokens, call)
        return replace(control, hints=hints, cached=not torch.is_grad_enabled())

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        text: Text,
        *,
        control: ControlInput | None = None,
        cache: LayerCache | None = None,
        mask: LatentMask | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Velocity `e - x_0` of noisy latents.

        `x`: `[B, T, C, rows, columns]`. `timestep`: 1000 sigma, `[B]` (per sample) or `[B, T]`
        (per latent). `text`: from `text_kv` or `embedded`. `positions`: `[T]` positions in time of
        the latents, by default those of the mask, or counted from what the cache holds. Returns
        the shape and dtype of `x`. `ValueError` for a mask of another number of latents.
        """
        assert mask is None or cache is None, "a mask is for passes without a cache"
        patch, latents = self.config.patch, x.shape[1]
        if mask is not None and mask.latents != latents:
            raise ValueError(f"the mask is for {mask.latents} latents, the clip has {latents}")
        grid = x.shape[-2] // patch, x.shape[-1] // patch
        timestep = timestep[:, None] if timestep.ndim == 1 else timestep
        call, time = self._begin(timestep, text, latents, grid, positions, mask, cache)
        control = self.prepare_control(control, text, cache=cache, mask=mask, positions=positions)
        tokens = self._embed(x)
        if control is not None:
            tokens, hint = control.module.inject(tokens, control, call)
        for layer, block in enumerate(self.blocks):
            if control is not None and (extra := hint(layer)) is not None:
                tokens = tokens + extra
            tokens = call.run(block, tokens, layer)
        if control is not None and (extra := hint(len(self.blocks))) is not None:
            tokens = tokens + extra
        out = self.head(tokens.unflatten(1, (latents, -1)), time, self.fused_ops)
        layout = "b t (h w) (p q c) -> b t c (h p) (w q)"
        return rearrange(out, layout, h=grid[0], p=patch, q=patch).to(x.dtype)

    def _embed(self, x: Tensor) -> Tensor:
        """The patch convolution as a matrix product: `[B, T, C, rows, columns]` -> `[B, L, D]`."""
        patch = self.config.patch
        flat = rearrange(x, "b t c (h p) (w q) -> b (t h w) (c p q)", p=patch, q=patch)
        weight, bias = self.patch_embedding.weight, self.patch_embedding.bias
        return F.linear(flat.to(weight.dtype), weight.flatten(1), bias)

    def _begin(
        self,
        timestep: Tensor,
        text: Text,
        latents: int,
        grid: tuple[int, int],
        positions: Tensor | None,
        mask: LatentMask | None,
        cache: LayerCache | None,
    ) -> tuple[ForwardPass, Tensor]:
        """What the blocks share, and the time embedding `[B, M, D]` for the head."""
        if positions is None and mask is not None and mask.places is not None:
            positions = torch.tensor(mask.places, device=timestep.device)
        elif positions is None:
            start = cache.length if cache is not None else 0
            positions = torch.arange(start, start + latents, device=timestep.device)
        # In bfloat16 neighbouring timesteps round to the same embedding, and the error of the
        # modulation multiplies every token of every block.
        if self.time_embedding[0].weight.dtype != torch.float32:
            raise ValueError(
                "the time embedding must stay float32; use c2r.models.precision.cast, not .to()"
            )
        with full_precision(timestep.device):
            time = self.time_embedding(sinusoid(timestep, self.config.freq_dim))
            modulation = self.time_projection(time).unflatten(-1, (6, -1))
        if self.share is None:
            rope = rope_table(positions, grid, self.config.head_dim)
        else:
            assert cache is None, "a cache holds all tokens, a share does not"
            rope = self.share.rope(positions, self.config.head_dim)
        recompute = self.checkpoint_blocks and torch.is_grad_enabled()
        if recompute and cache is not None:
            # The cache moves on before the backward pass recomputes these blocks.
            cache = cache.snapshot()
        shared = modulation, rope, text, self.attend, latents, mask, cache, recompute, self.share
        return ForwardPass(*shared, self.fused_ops), time
