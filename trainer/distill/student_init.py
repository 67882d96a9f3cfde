"""How a student is initialised: from the renderer it starts from, as far as shapes agree.

A DiT of the same widths and fewer blocks takes evenly spaced ones; other widths are initialised
from the seed, and the log warns of it. All other parts are the renderer's own.
"""

from __future__ import annotations

import logging
import re
from functools import cached_property

import torch

from c2r.models.build import build_dit
from c2r.models.configs import Preset
from c2r.models.control_registry import NO_CONTROL, control_class
from c2r.models.dit import DiT
from c2r.models.seeded import seeded
from c2r.weights.networks import load_dit
from c2r.weights.renderer import read_renderer
from trainer.networks.start import Start
from trainer.settings import start_paths

log = logging.getLogger(__name__)

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def evenly_spaced(few: int, many: int) -> tuple[int, ...]:
    """`few` of `many` places, the first and the last among them: (0, 4, 7) for 3 of 8."""
    if few == 1:
        return (0,)
    return tuple(round(place * (many - 1) / (few - 1)) for place in range(few))


def with_fewer_blocks(deep: DiT, shallow: DiT) -> DiT:
    """Fill a DiT of fewer blocks with evenly spaced ones of a deep one."""
    sources = evenly_spaced(shallow.config.layers, deep.config.layers)
    weights = deep.state_dict()
    taken = {}
    for name in shallow.state_dict():
        block = _BLOCK.fullmatch(name)
        source = name if block is None else f"blocks.{sources[int(block[1])]}.{block[2]}"
        taken[name] = weights[source]
    shallow.load_state_dict(taken)
    return shallow


class StudentStart(Start):
    """See `Start`."""

    @cached_property
    def source(self) -> Preset | None:
        """The preset of the renderer that the student starts from."""
        folder = self.config.start.folder
        return None if folder is None else read_renderer(folder)[0]

    @cached_property
    def paths(self) -> dict[str, str | None]:
        """As of `Start`, without the folder's weights where the student's shapes are others."""
        paths, start = start_paths(self.config.start), self.config.start
        if self.source is None:
            return paths
        source, own = self.source, self.preset
        same = source.dit == own.dit
        if start.dit is None and not (same or self._has_fewer_blocks(source)):
            log.warning("the student's DiT has other widths than that of %s", start.folder)
            paths["dit"] = None
        like = source.control == own.control and source.dino.hidden == own.dino.hidden
        kind = own.control.kind
        width_only = kind != NO_CONTROL and control_class(kind).width_only
        fits = same or (width_only and source.dit.dim == own.dit.dim)
        if start.control is None and not (like and fits):
            log.warning("the student's control network has other shapes than %s's", start.folder)
            paths["control"] = None
        return paths

    def _has_fewer_blocks(self, source: Preset) -> bool:
        layers = self.preset.dit.layers
        same_otherwise = {**vars(source.dit), "layers": layers} == vars(self.preset.dit)
        return same_otherwise and layers < source.dit.layers

    def dit(self) -> DiT:
        source = self.source
        given = self.config.start.dit is not None or "dit" in self.config.start.fresh
        if source is None or given or not self._has_fewer_blocks(source):
            return super().dit()
        path, attention = str(self.paths["dit"]), self.config.attention
        deep = load_dit(path, source.dit, dtype=torch.float32, attention=attention)
        with seeded(self.seed):
            shallow = build_dit(self.preset, attention)
        log.info("the student takes %d of %d blocks", self.preset.dit.layers, source.dit.layers)
        return with_fewer_blocks(deep, shallow)
