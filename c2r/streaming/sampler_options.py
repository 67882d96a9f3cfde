"""The options of the sampler and its guidance, for every command that samples offline."""

from __future__ import annotations

import argparse
from typing import Any

from c2r.streaming.guidance import GuidanceConfig
from c2r.streaming.solvers import SOLVERS

KINDS = ("apg", "cfg", "none")
SCALES = ("text_scale", "control_scale", "norm_threshold", "rescale", "interval")
"""Options that `--guidance none` has no use for."""


def add_sampler_options(options: Any, *, many: bool = False) -> None:
    """Add them to a parser or a group. `many`: text scale and rescale take several values."""
    options.add_argument("--steps", type=int, default=50, help="offline: sampler steps (50)")
    options.add_argument(
        "--solver",
        choices=SOLVERS,
        default="euler",
        help="offline: unipc needs about half of the steps of euler (euler)",
    )
    several: dict[str, Any] = {"nargs": "+"} if many else {}
    each = "; a row for each" if many else ""
    options.add_argument("--guidance", choices=KINDS, default="apg", help="offline (apg)")
    options.add_argument(
        "--text-scale",
        type=float,
        default=[10.0] if many else 10.0,
        help=f"offline guidance (10){each}",
        **several,
    )
    options.add_argument("--control-scale", type=float, default=1.0, help="offline guidance (1)")
    options.add_argument(
        "--norm-threshold", type=float, help="longest difference that apg adds (unlimited)"
    )
    options.add_argument(
        "--rescale",
        type=float,
        default=[0.0] if many else 0.0,
        help=f"share by which brightness and contrast are kept from guidance (0){each}",
        **several,
    )
    options.add_argument(
        "--interval",
        type=float,
        nargs=2,
        default=(0.0, 1.0),
        metavar=("LOW", "HIGH"),
        help="noise levels that are guided (0 1)",
    )


def guidance_of(chosen: argparse.Namespace, **changes: float) -> GuidanceConfig:
    """What was chosen, with `changes` in place of options that took several values."""
    values: dict[str, Any] = {name: getattr(chosen, name) for name in SCALES} | changes
    return GuidanceConfig(kind=chosen.guidance, **values | {"interval": tuple(values["interval"])})
