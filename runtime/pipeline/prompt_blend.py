"""The prompt in force, turning into another over a number of chunks.

Shapes: S text tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PromptBlend:
    """Embeddings `[1, S, text_dim]` on a straight line from `begin` to `end`, `step` of `steps`."""

    begin: Tensor
    end: Tensor
    step: int = 1
    steps: int = 1

    @property
    def embeddings(self) -> Tensor:
        """What the chunk of this step is rendered with; at the last step exactly `end`."""
        if self.step >= self.steps:
            return self.end
        return torch.lerp(self.begin, self.end, self.step / self.steps)

    @property
    def settled(self) -> bool:
        """The end is reached; further steps change nothing."""
        return self.step >= self.steps

    def next(self) -> PromptBlend:
        """One chunk further."""
        return self if self.settled else replace(self, step=self.step + 1)

    def toward(self, end: Tensor, steps: int) -> PromptBlend:
        """From the embeddings of now to others, over `steps` chunks; this is the first of them."""
        return PromptBlend(self.embeddings, end, 1, steps)
