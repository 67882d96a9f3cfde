"""Derived numbers: ratios to the bounds, and the share of a teacher's improvement kept."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from trainer.evaluate.results import Derived, Measured, Rows

COARSE, FINE = "coarse", "fine"
BOUNDS = (COARSE, FINE)


def derive(rows: Rows, teacher: str | None = None) -> Derived:
    """For each system the numbers of `definitions.DERIVED`; None where a part is missing.

    `teacher` names the row whose improvement over the coarse input counts as 1.
    `ValueError` when there is no such row.
    """
    if teacher is not None and (teacher not in rows or teacher in BOUNDS):
        others = ", ".join(name for name in rows if name not in BOUNDS)
        raise ValueError(
            f"--teacher {teacher} is none of the outputs: {others or 'there are none'}"
        )
    derived: dict[str, dict[str, float | None]] = {}
    for name, row in rows.items():
        derived[name] = {
            "psnr_gain": _less(_of(row, "psnr"), _of(rows[COARSE], "psnr")),
            "lpips_to_coarse": ratio(_of(row, "lpips"), _of(rows[COARSE], "lpips")),
            "worst_brightness": _largest(row, "brightness"),
            "kid_to_coarse": ratio(_of(row, "kid"), _of(rows[COARSE], "kid")),
            "structure_to_fine": ratio(_of(row, "structure"), _of(rows[FINE], "structure")),
            "warp_to_fine": ratio(_of(row, "warp"), _of(rows[FINE], "warp")),
            "prompt_percent": _percent(_of(row, "prompt")),
        }
        if teacher is not None:
            for key, measure in (("kept_kid", "kid"), ("kept_structure", "structure_fine")):
                parts = (_of(rows[part], measure) for part in (COARSE, name, teacher))
                derived[name][key] = kept(*parts, down=measure == "kid")
    return derived


def ratio(value: float | None, bound: float | None) -> float | None:
    """`value / bound`; None when one is missing or the bound is not above 0."""
    if value is None or bound is None or bound <= 0:
        return None
    return value / bound


def kept(
    coarse: float | None, student: float | None, teacher: float | None, *, down: bool
) -> float | None:
    """`(student - coarse) / (teacher - coarse)`: 1 is the teacher's improvement, 0 none.

    `down`: whether smaller is better. None when one is missing, or when the teacher is no better
    than the coarse input.
    """
    if coarse is None or student is None or teacher is None:
        return None
    improvement = coarse - teacher if down else teacher - coarse
    if improvement <= 0:
        return None
    return (coarse - student if down else student - coarse) / improvement


def monotone(values: list[float]) -> bool:
    """Whether each value is above the one before."""
    return all(after > before for before, after in pairwise(values))


def _less(value: float | None, bound: float | None) -> float | None:
    return None if value is None or bound is None else value - bound


def _largest(row: Mapping[str, Measured], key: str) -> float | None:
    return max(row[key].by_clip.values(), default=None) if key in row else None


def _of(row: Mapping[str, Measured], key: str) -> float | None:
    return row[key].value if key in row else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
