"""Phases of training, one a file; `phase.py` says what the loop wants of one.

The table is of strings, so that knowing the names costs nothing; a phase is imported when chosen.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.phases.phase import PhaseClass

PHASES: dict[str, str] = {
    "autoencode": "trainer.phases.autoencode:Autoencode",
    "train_dino": "trainer.phases.train_dino:TrainDino",
    "train_text": "trainer.phases.train_text:TrainText",
    "align": "trainer.phases.align:Align",
    "ground": "trainer.phases.ground:Ground",
    "autoregress": "trainer.phases.autoregress:Autoregress",
    "consistency": "trainer.phases.consistency:Consistency",
    "regress": "trainer.phases.regress:Regress",
    "dmd": "trainer.phases.dmd:Dmd",
}


def load_phase(name: str) -> PhaseClass:
    """The class of that phase; `ValueError` names the known ones."""
    if name not in PHASES:
        raise ValueError(f"phase {name!r} is unknown; phases: {', '.join(PHASES)}")
    module, made = PHASES[name].split(":")
    found: PhaseClass = getattr(import_module(module), made)
    return found
