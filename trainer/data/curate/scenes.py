"""Cuts, by PySceneDetect's detector on every decoded frame, at the footage's own rate.

The resampled clip would show the detector larger changes than it was made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from trainer.data.curate.decode import DecodedFrame
from trainer.data.curate.settings import SceneSettings

_SIZE = 256, 144
"""Width and height at which frames are compared; PySceneDetect too compares at about 256 wide."""


@dataclass(frozen=True)
class SceneFrame:
    """A frame, and the number of the scene it belongs to."""

    decoded: DecodedFrame
    scene: int

    @property
    def seconds(self) -> float:
        return self.decoded.seconds


def by_scene(frames: Iterable[DecodedFrame], settings: SceneSettings) -> Iterator[SceneFrame]:
    """Number the scenes. Any cut counts, however close to the last: no clip may hold one.

    A hole in the timestamps and a change of the frame's size end a scene as well.
    """
    detector = ContentDetector(threshold=settings.threshold, min_scene_len=0)
    scene, last = 0, None
    for index, decoded in enumerate(frames):
        cut = detector.process_frame(FrameTimecode(index, fps=25.0), _small(decoded))
        if last is not None and (bool(cut) or _apart(last, decoded, settings.gap_s)):
            scene += 1
        last = decoded
        yield SceneFrame(decoded, scene)


def _apart(last: DecodedFrame, decoded: DecodedFrame, gap_s: float) -> bool:
    changed = (last.frame.width, last.frame.height) != (decoded.frame.width, decoded.frame.height)
    return changed or decoded.seconds - last.seconds > gap_s


def _small(decoded: DecodedFrame) -> NDArray[np.uint8]:
    """BGR `[144, 256, 3]`, whatever the frame's size, so that the detector can always compare."""
    return decoded.pixels(
        "bgr24", width=_SIZE[0], height=_SIZE[1], interpolation=Interpolation.AREA
    )
