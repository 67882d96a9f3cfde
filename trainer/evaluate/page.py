"""The page of an evaluation: tables, strips and definitions in one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from trainer.evaluate.long_videos import LongVideo
from trainer.evaluate.results import Evaluation, columns_of, write_whole
from trainer.evaluate.strips import Strip, data_url

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1500px; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { border: 1px solid #ccc; padding: 3px 8px; text-align: right; }
td:first-child, th:first-child { text-align: left; }
.words td, .words th { text-align: left; }
img { max-width: 100%; display: block; }
figure { margin: 0 0 .4em; } figcaption { font-size: 12px; color: #555; }
pre { background: #f5f5f5; padding: .8em; overflow: auto; }
"""


def write_page(
    path: Path,
    evaluation: Evaluation,
    strips: Sequence[Strip],
    long: Mapping[str, LongVideo],
) -> None:
    """Write the page, whole or not at all."""
    parts = ["<h1>Evaluation</h1>"]
    if evaluation.rows:
        parts += ["<h2>Measured</h2>", _cells(evaluation.cells())]
        parts += ["<h2>Derived</h2>", _cells(evaluation.derived_cells())]
    for attribute in evaluation.breakdown:
        parts += [f"<h2>By {attribute}</h2>", _cells(evaluation.breakdown_cells(attribute))]
    if evaluation.left_out:
        lines = "".join(f"<li>{escape(reason)}</li>" for reason in evaluation.left_out)
        parts += ["<h2>Left out</h2>", f"<ul>{lines}</ul>"]
    parts += [_long(name, video) for name, video in long.items()]
    parts += [_strip(strip) for strip in strips]
    parts += ["<h2>What the columns mean</h2>", _definitions(evaluation)]
    settings = {
        "settings": evaluation.settings,
        "extractors": evaluation.extractors,
        "versions": evaluation.versions,
        "cores": evaluation.cores,
    }
    parts += [
        "<h2>Settings and versions</h2>",
        f"<pre>{escape(json.dumps(settings, indent=1))}</pre>",
    ]
    head = f'<meta charset="utf-8"><title>Evaluation</title><style>{STYLE}</style>'
    text = f"<!doctype html>\n<html lang=en><head>{head}</head><body>\n" + "\n".join(parts)
    write_whole(path, text + "\n</body></html>\n")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "numbers") -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table class={kind}><tr>{top}</tr>\n{body}</table>"


def _cells(cells: Mapping[str, Mapping[str, str]]) -> str:
    columns = columns_of(cells)
    rows = [[name, *(row.get(key, "-") for key in columns)] for name, row in cells.items()]
    return _table(["system", *columns], rows)


def _definitions(evaluation: Evaluation) -> str:
    rows = [
        [d.title, d.formula, d.range, d.better, d.source] for d in evaluation.definitions.values()
    ]
    return _table(["column", "formula", "range", "better", "source"], rows, "words")


def _strip(strip: Strip) -> str:
    moments = ", ".join(map(str, strip.moments))
    figures = "".join(
        f'<figure><img src="{data_url(frames)}" alt="{escape(name)}">'
        f"<figcaption>{escape(name)}</figcaption></figure>\n"
        for name, frames in strip.frames.items()
    )
    title = f"{escape(strip.clip)}: frames {moments}"
    return f"<h3>{title}</h3><p>{escape(strip.caption)}</p>{figures}"


def _long(name: str, video: LongVideo) -> str:
    seconds = ", ".join(f"{second:.1f}" for second in video.strip_seconds)
    changes = [[key, f"{100 * value:.1f} %"] for key, value in video.drift.change.items()]
    count = len(next(iter(video.drift.segments.values())))
    segments = [
        [key, *(f"{value:.3f}" for value in values)] for key, values in video.drift.segments.items()
    ]
    agreement = ""
    if video.agreement_ends is not None:
        begin, end = video.agreement_ends
        agreement = f"<p>structure agreement: begin {begin:.3f}, end {end:.3f}</p>"
    return (
        f"<h2>{escape(name)}: {video.frames} frames at {video.fps:g} fps</h2>"
        f'<figure><img src="{data_url(video.strip)}" alt="strip">'
        f"<figcaption>at {seconds} s</figcaption></figure>{agreement}"
        + _table(["statistic", "change, begin to end"], changes)
        + _table(["segment", *map(str, range(1, count + 1))], segments)
    )
