"""One call of `c2r eval`: what was chosen, where it runs, and what had to be left out."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from rich.console import Console
from rich.progress import Progress

from trainer.evaluate.options import named_folders


class Run:
    """One call of the command: what was chosen, and a bar for everything that takes long."""

    def __init__(self, chosen: argparse.Namespace, console: Console, bars: Progress) -> None:
        self.chosen, self.console, self.bars = chosen, console, bars
        self.left_out: list[str] = []
        self.weights = named_folders(chosen.weights, "--weights")
        self.device = chosen_device(chosen.device)

    def bar(self, words: str) -> Callable[[int, int], None]:
        """A function that shows (done, of)."""
        task = self.bars.add_task(words, total=None)
        return lambda done, of: self.bars.update(task, completed=done, total=of)


def chosen_device(name: str) -> torch.device:
    """`auto` is CUDA where there is some. `ValueError` for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device {name} is no device; use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"--device {name}: PyTorch sees no CUDA device here; use cpu")
    return device
