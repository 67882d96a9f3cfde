"""The plan of a training rollout: its length, the exit step, and which latents are scored.

Drawn from the run's seed and the step alone, so it is the same on every process and in every block:
sharded weights are gathered by all processes together, and one that ran another number of passes
would leave the others waiting for it. Long rollouts need long control: a clip's frames are indexed
forwards and backwards (ping-pong), as often as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.models.configs import FRAMES_PER_LATENT, StreamConfig
from trainer.distill.settings import RolloutConfig
from trainer.sample_random import plain_random
from trainer.settings import TrainConfig


@dataclass(frozen=True)
class RolloutPlan:
    """A rollout of `latents` latents. `scored`: those in the loss; their chunks stop at the exit
    step, with gradients, and all other chunks run every step, as served. `place`: the exit as a
    share of a chunk's steps, 0 to 1; None: every step runs.
    """

    latents: int
    scored: range
    place: float | None = None

    def blocks(self, chunk: int) -> list[range]:
        """The chunks; the last may be shorter."""
        starts = range(0, self.latents, chunk)
        return [range(start, min(start + chunk, self.latents)) for start in starts]

    def reached(self, block: range) -> bool:
        """Whether a chunk has latents that are scored."""
        return block.start < self.scored.stop and self.scored.start < block.stop

    def exit_of(self, block: range, steps: int) -> int | None:
        """The last step that a chunk runs; None: all of them.

        A share and not a number: the first chunk may have more steps than later ones.
        """
        if self.place is None or not self.reached(block):
            return None
        return min(int(self.place * steps), steps - 1)


def frames_of(latents: range) -> slice:
    """The pixel frames of latents of a stream: one for its first latent, four for each later."""
    first = FRAMES_PER_LATENT * latents.start - FRAMES_PER_LATENT + 1 if latents.start else 0
    return slice(first, FRAMES_PER_LATENT * (latents.stop - 1) + 1)


def ping_pong_indices(have: int, count: int) -> Tensor:
    """Indices `[count]` of a clip of `have` frames, played forwards and backwards without end."""
    if have == 1:
        return torch.zeros(count, dtype=torch.long)
    place = torch.arange(count) % (2 * have - 2)
    return torch.where(place < have, place, 2 * have - 2 - place)


def longest_at(rollout: RolloutConfig, latents: int, step: int) -> int:
    """Latents of the longest rollout at a step: those of a sample, then more and more."""
    most = max(rollout.longest, latents)
    if step < rollout.grow_from:
        return latents
    if step >= rollout.grow_until:
        return most
    share = (step - rollout.grow_from) / (rollout.grow_until - rollout.grow_from)
    return latents + int(share * (most - latents))


def draw_rollout_plan(config: TrainConfig, rollout: RolloutConfig, step: int) -> RolloutPlan:
    """The rollout of a step. Scored is a clip of `clip` latents: the first ones, or, later in
    the stream, one frame and what follows it from the beginning of a chunk on.
    """
    stream, latents = config.model.stream, rollout.clip or config.latents
    # The purpose's text is part of the seed: another word would give other plans to a resumed run.
    random = plain_random(config.seed, step, "course")
    place, early = random.random(), random.random() < rollout.from_start
    longest = longest_at(rollout, latents, step)
    grown = latents > 1 and longest > latents
    later = range(stream.chunk, longest - latents + 2, stream.chunk) if grown else range(0)
    begin = 0 if early or not len(later) else random.choice(later)
    scored = range(begin, begin - 1 + latents) if begin else range(latents)
    return RolloutPlan(_whole(scored.stop, stream), scored, place)


def _whole(latents: int, stream: StreamConfig) -> int:
    return -(-latents // stream.chunk) * stream.chunk
