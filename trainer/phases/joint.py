"""After phase 2: DiT and control network train together, on pairs and real clips.

Phase ground leaves the DiT as it is, as the paper does, and the control network can only steer what
the DiT already makes. That is right where the DiT has seen far more than the pairs show (14B). A
small one, trained for hours, has not: here it learns from the pairs what its control means, and
from the real clips to stay what it was.

The student's phases (autoregress, consistency, regress, dmd) train both in any case;
`flow.pure_noise` and `flow.loss` are settings of autoregress as well.
"""

from __future__ import annotations

from trainer.networks.assemble import Trains
from trainer.phases.ground import Ground
from trainer.phases.settings import FlowRun


class Joint(Ground):
    """Flow matching of the DiT and its control network."""

    name = "joint"

    @classmethod
    def trains(cls, config: FlowRun) -> Trains:
        """Everything."""
        return lambda name: True
