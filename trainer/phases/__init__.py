"""Phases of training, one a file; `phase.py` says what the loop wants of one."""

from trainer.phases.registry import PHASES, SECTIONS, load_phase, phase_settings, read_settings

__all__ = ["PHASES", "SECTIONS", "load_phase", "phase_settings", "read_settings"]
