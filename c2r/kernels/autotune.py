"""Picks the fastest of several kernels for given shapes: measured at warm-up, then cached.

A kernel that cannot run here, or that differs from its reference, is left out with the reason.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial

import torch
from torch import Tensor

from c2r.kernels.attention import BACKENDS, get_attention, sdpa
from c2r.kernels.fused_ops import NAMES, REFERENCE, FusedOps, get_fused_ops

RUNS, WARM_UPS = 7, 3
TOLERANCE = 2e-2
"""Largest |difference| / |reference| of a kernel in half precision; float32 stays far below."""


@dataclass(frozen=True)
class AttentionShape:
    """One attention call: L queries see S keys."""

    queries: int
    keys: int
    heads: int
    head_dim: int
    batch: int = 1

    def random_inputs(
        self, device: torch.device, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Random q, k and v of this shape, the same ones every time."""
        generator = torch.Generator(device).manual_seed(0)

        def random(tokens: int) -> Tensor:
            shape = (self.batch, tokens, self.heads, self.head_dim)
            return torch.randn(shape, generator=generator, device=device, dtype=dtype)

        return random(self.queries), random(self.keys), random(self.keys)


@dataclass(frozen=True)
class KernelChoice:
    """The fastest kernel by name, milliseconds of all that ran, and why the others did not."""

    name: str
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


_CACHE: dict[tuple[object, ...], KernelChoice] = {}


@torch.no_grad()
def choose_attention(
    shapes: Sequence[AttentionShape], device: torch.device, dtype: torch.dtype
) -> KernelChoice:
    """The fastest attention kernel for one call of each of `shapes`; `get_attention` loads it.

    Off CUDA, and in float32, that is `sdpa`, unmeasured. Measured once per process.
    """
    if device.type != "cuda" or dtype == torch.float32:
        return KernelChoice("sdpa")
    key = (tuple(shapes), str(device), dtype)
    if key not in _CACHE:
        inputs = [shape.random_inputs(device, dtype) for shape in shapes]
        expected = [sdpa(*qkv) for qkv in inputs]
        _CACHE[key] = fastest(
            {name: _attention_trial(name, inputs, expected) for name in BACKENDS}, device
        )
    return _CACHE[key]


def _attention_trial(
    name: str, inputs: Sequence[tuple[Tensor, Tensor, Tensor]], expected: Sequence[Tensor]
) -> Callable[[], Callable[[], object]]:
    def prepare() -> Callable[[], None]:
        attend = get_attention(name)
        for qkv, reference in zip(inputs, expected, strict=True):
            check_close(attend(*qkv), reference)

        def run() -> None:
            for qkv in inputs:
                attend(*qkv)

        return run

    return prepare


@dataclass(frozen=True)
class TokenShape:
    """Tokens of one pass: T latents of N tokens, h heads of width d."""

    latents: int
    tokens: int
    heads: int
    head_dim: int


@torch.no_grad()
def choose_fused_ops(
    shape: TokenShape, device: torch.device, dtype: torch.dtype
) -> tuple[FusedOps, dict[str, KernelChoice]]:
    """The fastest implementation of every fused op, and how each was chosen, by the op's name.

    For eager passes: a compiler fuses the reference ops itself. Off CUDA all are the reference,
    unmeasured.
    """
    names = [op.name for op in fields(FusedOps)]
    if device.type != "cuda":
        return REFERENCE, {name: KernelChoice("reference") for name in names}
    calls = _calls(shape, device, dtype)
    choices = {}
    for name in names:
        expected = calls[name](REFERENCE)
        trials = {by: partial(_prepare_op, by, calls[name], expected) for by in NAMES}
        choices[name] = fastest(trials, device)
    ops = {name: getattr(get_fused_ops(choice.name), name) for name, choice in choices.items()}
    return FusedOps(**ops), choices


def _calls(
    shape: TokenShape, device: torch.device, dtype: torch.dtype
) -> dict[str, Callable[[FusedOps], Tensor]]:
    """One call of every op, on random tensors of that shape."""
    width, length = shape.heads * shape.head_dim, shape.latents * shape.tokens
    x = torch.randn(1, shape.latents, shape.tokens, width, device=device).to(dtype)
    shift, scale, gate = torch.randn(3, 1, 1, 1, width, device=device).unbind(0)
    weight = torch.randn(width, device=device).to(dtype)
    angles = torch.randn(length, shape.head_dim // 2, device=device)
    table = angles.cos(), angles.sin()
    return {
        "norm_modulate": lambda fused_ops: fused_ops.norm_modulate(x, shift, scale, 1e-6),
        "norm_rotate": lambda fused_ops: fused_ops.norm_rotate(
            x.flatten(1, 2), weight, 1e-6, table
        ),
        "gate_add": lambda fused_ops: fused_ops.gate_add(x, x, gate),
    }


def _prepare_op(
    implementation: str, call: Callable[[FusedOps], Tensor], expected: Tensor
) -> Callable[[], object]:
    fused_ops = get_fused_ops(implementation)
    check_close(call(fused_ops), expected)
    return lambda: call(fused_ops)


def check_close(out: Tensor, expected: Tensor) -> None:
    """`ValueError` unless a kernel gave its reference's numbers, to half precision."""
    off = (out.float() - expected.float()).norm() / expected.float().norm()
    if not off <= TOLERANCE:  # NaN is not
        raise ValueError(f"gives other numbers: off by {float(off):.1e}")


def fastest(
    trials: Mapping[str, Callable[[], Callable[[], object]]], device: torch.device
) -> KernelChoice:
    """Measure what each trial prepares; `ValueError` when none of them runs here."""
    times: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, prepare in trials.items():
        try:
            times[name] = milliseconds(prepare(), device)
        except (ValueError, RuntimeError, NotImplementedError) as error:
            left_out[name] = str(error).partition("\n")[0]
    if not times:
        raise ValueError(f"no kernel runs on {device}: {left_out}")
    return KernelChoice(min(times, key=lambda name: times[name]), times, left_out)


def milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """Median time of one run, warmed up."""
    for _ in range(WARM_UPS):
        run()
    clock = _cuda_ms if device.type == "cuda" else _host_ms
    return statistics.median(clock(run) for _ in range(RUNS))


def _cuda_ms(run: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def _host_ms(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1000
