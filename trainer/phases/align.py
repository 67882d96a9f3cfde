"""Phase 1: the DiT learns the look of real video from text alone.

The whole DiT trains, or low-rank updates beside its layers. No DINO and no control network are in
memory; the renderer it writes has none.
"""

from __future__ import annotations

from trainer.networks.assemble import LORA_MARK, Trains
from trainer.phases.flow_phase import FlowPhase
from trainer.settings import TrainConfig


class Align(FlowPhase):
    """Flow matching of the DiT on clips with text."""

    name = "align"
    needs_control = False

    @classmethod
    def trains(cls, config: TrainConfig) -> Trains:
        """The DiT's parameters, or with LoRA only the updates."""
        if config.lora is not None:
            return lambda name: LORA_MARK in name
        return lambda name: name.startswith("dit.")
