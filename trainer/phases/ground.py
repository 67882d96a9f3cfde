"""Phase 2: the control network learns to steer a DiT that stays as it is.

DINO and the DiT are frozen; the adapter (temporal convolutions, projection, bridge) or the
ControlNet's blocks and projections train. Control of real clips is the clip itself in other
colours, that of pairs the coarse render.
"""

from __future__ import annotations

from torch import Tensor

from trainer.data.batch import Batch
from trainer.networks.assemble import Trains
from trainer.phases.flow_matching import Kept
from trainer.phases.flow_phase import FlowPhase
from trainer.phases.settings import FlowRun


class Ground(FlowPhase[FlowRun]):
    """Flow matching of the control network."""

    name = "ground"
    needs_control = True

    @classmethod
    def check(cls, config: FlowRun) -> None:
        """A control network is needed."""
        if config.model.control.kind == "none":
            raise ValueError(
                f"phase {cls.name} trains a control network, but model.control.kind is none; set "
                "it to adapter or controlnet"
            )

    @classmethod
    def trains(cls, config: FlowRun) -> Trains:
        """The control network's parameters, all of them."""
        return lambda name: name.startswith("control.")

    def conditions(self, batch: Batch, kept: Kept) -> dict[str, Tensor]:
        """Features of the control; strength 0 where it is dropped."""
        strength = kept.control.to(self.world.device)
        return {"features": self.encoders.features(batch), "strength": strength}
