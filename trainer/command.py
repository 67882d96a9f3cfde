"""`c2r train`: one phase of training, as its configuration says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from c2r.command_line import ArgumentParser, silence_libraries
from trainer.phases import SECTIONS, read_settings
from trainer.settings import TrainConfig


def parser() -> ArgumentParser:
    """The options; all else is `--key.sub VALUE`."""
    options = ArgumentParser(
        "c2r train",
        "Train one phase. A run whose folder has checkpoints goes on from the newest.",
        changes=list(SECTIONS),
        epilog="Any setting can be changed: --optim.lr 1e-4, --model.dit.dim 384. On many GPUs: "
        "torchrun --nproc-per-node 8 -m trainer.train --config FILE.",
    )
    options.add_argument("--config", type=Path, required=True, help="YAML file; names the phase")
    options.add_argument(
        "--dry-run", action="store_true", help="count on the meta device, print, and stop"
    )
    return options


def dry_run(config: TrainConfig) -> None:
    """Print what the run would take; `ValueError` when it cannot fit."""
    from trainer.dry_run import check_fits, planned, table

    plan = planned(config)
    Console().print(table(config, plan))
    check_fits(config, plan)


def train(config: TrainConfig) -> None:
    """Run the phase on this process, and on those that torchrun started beside it."""
    from trainer.dist.parallel import close_world, open_world
    from trainer.distill.remote import end_requests, serve_students
    from trainer.loop import Loop, open_dataset
    from trainer.phases import load_phase
    from trainer.phases.settings import TaughtRun

    phase_class = load_phase(config.phase)
    phase_class.check(config)
    distil = config.distil if isinstance(config, TaughtRun) else None
    world = open_world(config.parallel, config.device, distil.teacher_ranks if distil else 0)
    try:
        if distil is not None and world.teaches:
            serve_students(config, distil, world)
            return
        phase = phase_class(config, world)
        Loop(config, phase, world, open_dataset(config, phase)).run()
        if world.link is not None:
            end_requests(world.link, world.rank)
    finally:
        close_world()


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    silence_libraries()  # torchrun starts this without `c2r`
    chosen, rest = parser().parse_known_args(arguments)
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)],
    )
    config = read_settings(chosen.config, rest)
    if chosen.dry_run:
        dry_run(config)
    else:
        train(config)
    return 0
