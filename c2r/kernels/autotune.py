"""The fastest of several kernels on the shapes at hand: measured at warm-up, then remembered.

A kernel that cannot run here, or whose numbers are not those of its twin, is left out and the
reason kept.
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
"""Largest |difference| / |twin| of a kernel in half precision; float32 stays far below."""


@dataclass(frozen=True)
class AttentionShape:
    """One attention call: L queries see S keys."""

    queries: int
    keys: int
    heads: int
    head_dim: int
    batch: int = 1

    def draw(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Random q, k and v of this shape, the same ones every time."""
        generator = torch.Generator(device).manual_seed(0)

        def drawn(tokens: int) -> Tensor:
            shape = (self.batch, tokens, self.heads, self.head_dim)
            return torch.randn(shape, generator=generator, device=device, dtype=dtype)

        return drawn(self.queries), drawn(self.keys), drawn(self.keys)


@dataclass(frozen=True)
class Choice:
    """The kernel to use, by name; milliseconds of all that ran, and why others did not."""

    name: str
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


_REMEMBERED: dict[tuple[object, ...], Choice] = {}


@torch.no_grad()
def choose_attention(
    shapes: Sequence[AttentionShape], device: torch.device, dtype: torch.dtype
) -> Choice:
    """The fastest attention kernel for one call of each of `shapes`; `get_attention` gives it.

    Off CUDA, and in float32, that is `sdpa`, unmeasured. Measured once a process.
    """
    if device.type != "cuda" or dtype == torch.float32:
        return Choice("sdpa")
    key = (tuple(shapes), str(device), dtype)
    if key not in _REMEMBERED:
        inputs = [shape.draw(device, dtype) for shape in shapes]
        expected = [sdpa(*given) for given in inputs]
        _REMEMBERED[key] = fastest(
            {name: _trial(name, inputs, expected) for name in BACKENDS}, device
        )
    return _REMEMBERED[key]


def _trial(
    name: str, inputs: Sequence[tuple[Tensor, Tensor, Tensor]], expected: Sequence[Tensor]
) -> Callable[[], Callable[[], object]]:
    def ready() -> Callable[[], None]:
        attend = get_attention(name)
        for given, wanted in zip(inputs, expected, strict=True):
            check_close(attend(*given), wanted)

        def run() -> None:
            for given in inputs:
                attend(*given)

        return run

    return ready


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
) -> tuple[FusedOps, dict[str, Choice]]:
    """Each step between products in its fastest form, and by step's name how it was chosen.

    For eager passes: a compiler fuses the plain ones itself. Off CUDA all are plain, unmeasured.
    """
    names = [step.name for step in fields(FusedOps)]
    if device.type != "cuda":
        return REFERENCE, {name: Choice("plain") for name in names}
    calls = _calls(shape, device, dtype)
    made = {}
    for name in names:
        expected = calls[name](REFERENCE)
        trials = {form: partial(_ready_piece, form, calls[name], expected) for form in NAMES}
        made[name] = fastest(trials, device)
    steps = {name: getattr(get_fused_ops(choice.name), name) for name, choice in made.items()}
    return FusedOps(**steps), made


def _calls(
    shape: TokenShape, device: torch.device, dtype: torch.dtype
) -> dict[str, Callable[[FusedOps], Tensor]]:
    """One call of every step, on numbers of that shape."""
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


def _ready_piece(
    form: str, call: Callable[[FusedOps], Tensor], expected: Tensor
) -> Callable[[], object]:
    fused_ops = get_fused_ops(form)
    check_close(call(fused_ops), expected)
    return lambda: call(fused_ops)


def check_close(found: Tensor, expected: Tensor) -> None:
    """`ValueError` unless a kernel gave its twin's numbers, to half precision."""
    off = (found.float() - expected.float()).norm() / expected.float().norm()
    if not off <= TOLERANCE:  # NaN is not
        raise ValueError(f"gives other numbers: off by {float(off):.1e}")


def fastest(
    trials: Mapping[str, Callable[[], Callable[[], object]]], device: torch.device
) -> Choice:
    """Measure what each trial prepares; `ValueError` when none of them can run here."""
    times: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, ready in trials.items():
        try:
            times[name] = milliseconds(ready(), device)
        except (ValueError, RuntimeError, NotImplementedError) as error:
            left_out[name] = str(error).partition("\n")[0]
    if not times:
        raise ValueError(f"no kernel runs on {device}: {left_out}")
    return Choice(min(times, key=lambda name: times[name]), times, left_out)


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
