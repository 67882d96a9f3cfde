"""The results of an evaluation: rows are systems, columns are measures.

Every value carries the numbers of clips and frames behind it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from c2r.report import versions
from trainer.evaluate.definitions import DEFINITIONS, DERIVED, Definition

Breakdown = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float | None]]]]
"""Attribute of a clip -> its value -> system -> measure -> mean over those clips."""

Derived = Mapping[str, Mapping[str, float | None]]
"""System -> derived measure -> value."""


@dataclass(frozen=True)
class Measured:
    """One value, None where nothing could be measured, and the clips and frames behind it.

    `deviation`: over clips, or over the draws of a distance between sets; None without any.
    """

    value: float | None
    clips: int
    frames: int
    deviation: float | None = None
    by_clip: Mapping[str, float] = field(default_factory=dict)


Cells = Mapping[str, Mapping[str, str]]
"""System -> column title -> text."""

WIDEST = 8
"""Columns of one table in a terminal."""

Rows = Mapping[str, Mapping[str, Measured]]
"""System -> measure -> value; "coarse" and "fine" are the bounds."""


def mean_of(by_clip: Mapping[str, float], frames: int) -> Measured:
    """The mean over clips, and their deviation; None without clips."""
    values = list(by_clip.values())
    if not values:
        return Measured(None, 0, 0)
    return Measured(
        float(np.mean(values)), len(values), frames, float(np.std(values)), dict(by_clip)
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all: a report that is there was not cut short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _versions() -> dict[str, str]:
    return versions() | {"torchmetrics": version("torchmetrics")}


@dataclass(frozen=True)
class Evaluation:
    """One run of the command. `left_out`: what was not measured, and why.

    `breakdown`: what viewers see, by hour, weather and coarse level.
    `extractors`: the network behind each measure, with its hash. `long`: long videos by name.
    `strengths`: structure by strength of the control, for renderers that rendered at several.
    """

    rows: Rows
    derived: Derived
    settings: Mapping[str, Any]
    extractors: Mapping[str, str]
    breakdown: Breakdown = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    long: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    strengths: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=_versions)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)

    @property
    def definitions(self) -> dict[str, Definition]:
        """The definitions of this evaluation's columns."""
        columns = {key for row in self.rows.values() for key in row}
        columns |= {key for row in self.derived.values() for key in row}
        return {key: d for key, d in {**DEFINITIONS, **DERIVED}.items() if key in columns}

    def write(self, path: Path) -> None:
        """Write it and its definitions as JSON."""
        content = asdict(self)
        content["definitions"] = {key: asdict(value) for key, value in self.definitions.items()}
        write_whole(path, json.dumps(content, indent=2) + "\n")

    def tables(self) -> list[Table]:
        """For a terminal, at most eight columns each; cells of fewer clips than the row say so."""
        both = (("measured", self.cells()), ("derived", self.derived_cells()))
        return [_table(title, cells, part) for title, cells in both for part in _portions(cells)]

    def markdown(self) -> str:
        """Both tables, one row per system, for a README."""
        whole = [self.cells(), self.derived_cells()]
        parts = [
            f"By {attribute}:\n\n" + _markdown(self.breakdown_cells(attribute), attribute)
            for attribute in self.breakdown
        ]
        return "\n".join([*(_markdown(cells) for cells in whole), *parts])

    def cells(self) -> dict[str, dict[str, str]]:
        """System -> column title -> text."""
        return {
            name: {
                DEFINITIONS[key].title: _cell(DEFINITIONS[key], value, _most(row))
                for key, value in row.items()
            }
            | {"clips": str(_most(row)), "frames": str(max(v.frames for v in row.values()))}
            for name, row in self.rows.items()
        }

    def breakdown_cells(self, attribute: str) -> dict[str, dict[str, str]]:
        """Value and system -> column title -> text."""
        known = {**DEFINITIONS, **DERIVED}
        return {
            f"{value}, {name}": {known[key].title: _number(known[key], row[key]) for key in row}
            for value, systems in self.breakdown[attribute].items()
            for name, row in systems.items()
        }

    def derived_cells(self) -> dict[str, dict[str, str]]:
        """System -> column title -> text."""
        return {
            name: {DERIVED[key].title: _number(DERIVED[key], value) for key, value in row.items()}
            for name, row in self.derived.items()
        }


def _most(row: Mapping[str, Measured]) -> int:
    return max(value.clips for value in row.values())


def _number(definition: Definition, value: float | None) -> str:
    return "-" if value is None else f"{value:.{definition.digits}f}"


def _cell(definition: Definition, measured: Measured, most: int) -> str:
    text = _number(definition, measured.value)
    fewer = measured.value is not None and measured.clips < most
    return f"{text} (N={measured.clips})" if fewer else text


def columns_of(cells: Cells) -> list[str]:
    """All columns of any row, in order."""
    return list(dict.fromkeys(key for row in cells.values() for key in row))


def _portions(cells: Cells) -> list[list[str]]:
    columns = columns_of(cells)
    return [columns[start : start + WIDEST] for start in range(0, len(columns), WIDEST)]


def _table(title: str, cells: Cells, columns: list[str]) -> Table:
    table = Table("system", *columns, title=title)
    for name, row in cells.items():
        table.add_row(name, *(row.get(column, "-") for column in columns))
    return table


def _markdown(cells: Cells, first: str = "system") -> str:
    columns = columns_of(cells)
    rows = [[first, *columns], ["---"] * (len(columns) + 1)]
    rows += [[name, *(row.get(column, "-") for column in columns)] for name, row in cells.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
