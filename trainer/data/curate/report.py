"""The report of a run: one page that needs no other file: counts, previews, settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from trainer.data.curate.quality import REASONS
from trainer.data.curate.settings import CurateSettings
from trainer.data.curate.state import Preview, Record, Rejection

MOST_PREVIEWS = 24
"""Strips shown for each reason."""
MOST_ROWS = 2000
"""Rows of the table of rejections; `rejected.jsonl` has all."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% }
td, th { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.bar { background: #4a90d9; height: .7rem; border-radius: 2px; min-width: 2px }
.kept .bar { background: #4caf6a }
.previews { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 12px }
figure { margin: 0; background: var(--soft); border-radius: 4px; overflow: hidden }
figure img { width: 100%; display: block }
figcaption { font-size: 12px; padding: .3rem .5rem; overflow-wrap: anywhere }
small, .values { color: #888; font-size: 12px }
"""


def write_report(
    path: Path, records: Sequence[Record], settings: CurateSettings, licence: str
) -> None:
    """Write the page, whole or not at all."""
    clips = sum(len(record.clips) for record in records)
    rejected = [row for record in records for row in record.rejected]
    seconds = clips * settings.frames / settings.fps
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>Curation</title><style>{_STYLE}</style>",
        f"<h1>{clips} clips from {len(records)} files</h1>",
        f"<p>{seconds / 60:.1f} minutes kept, {len(rejected)} rejections. "
        f"Licence: {escape(licence)}.</p>",
        _counts(clips, rejected),
        *_galleries(records),
        _table(rejected),
        _settings(settings),
    ]
    part = path.with_name(f".{path.name}.part")
    part.write_text("\n".join(parts) + "\n", encoding="utf-8")
    part.replace(path)


def _counts(clips: int, rejected: Sequence[Rejection]) -> str:
    first = Counter(row.reason for row in rejected)
    also = Counter(name for row in rejected for name in row.also)
    most = max([clips, *first.values(), 1])
    rows = [_count("kept", "clips in the manifest", clips, 0, most, "kept")]
    for name, what in REASONS.items():
        if first[name] or also[name]:
            rows.append(_count(name, what, first[name], also[name], most, ""))
    head = "<tr><th>reason<th>meaning<th class=n>first<th class=n>also<th style='width:30%'>"
    return f"<h2>Counts</h2><table>{head}{''.join(rows)}</table>"


def _count(name: str, what: str, first: int, also: int, most: int, kind: str) -> str:
    bar = f"<div class=bar style='width:{100 * first / most:.1f}%'></div>"
    more = also or ""
    return f"<tr class='{kind}'><td>{name}<td>{what}<td class=n>{first}<td class=n>{more}<td>{bar}"


def _galleries(records: Sequence[Record]) -> Iterable[str]:
    for reason in ("", *REASONS):
        previews = [
            preview for record in records for preview in record.previews if preview.reason == reason
        ]
        if previews:
            yield f"<h2>{reason or 'Kept'}</h2>{_gallery(_spread(previews))}"


def _spread(previews: Sequence[Preview]) -> list[Preview]:
    """At most `MOST_PREVIEWS`, evenly spread over the list."""
    count = min(len(previews), MOST_PREVIEWS)
    return [previews[index * len(previews) // count] for index in range(count)]


def _gallery(previews: Iterable[Preview]) -> str:
    figures = [
        f"<figure><img loading=lazy alt='' src='data:image/jpeg;base64,{preview.jpeg}'>"
        f"<figcaption>{escape(preview.title)}</figcaption></figure>"
        for preview in previews
    ]
    return f"<div class=previews>{''.join(figures)}</div>"


def _table(rejected: Sequence[Rejection]) -> str:
    rows = [_row(row) for row in rejected[:MOST_ROWS]]
    rest = len(rejected) - len(rows)
    more = f"<p>{rest} more are in rejected.jsonl.</p>" if rest > 0 else ""
    head = "<tr><th>file<th class=n>seconds<th>reason<th>values"
    return f"<h2>Rejections</h2><table>{head}{''.join(rows)}</table>{more}"


def _row(row: Rejection) -> str:
    start = "" if row.start_s is None else f"{row.start_s:.2f}"
    end = "" if row.end_s is None else f"{row.end_s:.2f}"
    span = f"{start} - {end}" if start else "all"
    why = ", ".join([row.reason, *row.also])
    values = ", ".join(f"{name} {value:.3g}" for name, value in row.values.items())
    return (
        f"<tr><td>{escape(row.file)}<td class=n>{span}<td>{why}<br>"
        f"<small>{escape(row.detail)}</small><td class=values>{values}"
    )


def _settings(settings: CurateSettings) -> str:
    rows = [
        f"<tr><td>{name}<td>{escape(str(value))}" for name, value in _flat("", asdict(settings))
    ]
    return f"<h2>Settings</h2><table>{''.join(rows)}</table>"


def _flat(path: str, values: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(f"{path}{name}.", value)
        else:
            yield f"{path}{name}", value
