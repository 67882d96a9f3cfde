"""Which known word a misspelt one probably meant, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

NEAR = 0.7
"""Least similarity of two words, as `difflib` measures it: 1 for the same ones."""


def nearest(word: str, known: Iterable[str], near: float = NEAR) -> str | None:
    """The known word most like this one; None where none is at least `near`."""
    found = get_close_matches(word, list(known), n=1, cutoff=near)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` to end a message with, or nothing where no known word is near."""
    found = nearest(word, known)
    return "" if found is None else f"; did you mean {found}?"
