"""Coarse clips that the sample game draws while training goes on: endless, from new streets.

Sample n is of scene n // `reuse` or of one of the `recent` - 1 before it; which one follows from
(seed, n) alone, so a resumed run goes on with the same clips. Films lie in the run's folder for as
long as they may be asked for, and are drawn again where they are not. There is no fine video: the
phases that learn from prompts and control alone can use them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from threading import Lock

import torch

from street.city.take import load_take
from street.director.programs import ProgramError, Programs, studio_python
from street.director.scene_list import SceneSpec, SetConfig
from trainer.data.batch import Sample
from trainer.data.sampler import DrawOrder
from trainer.data.synthesize.make_clip import coarse_film
from trainer.data.window import whole_window
from trainer.sample_random import plain_random
from trainer.settings import ScenesConfig, TrainConfig

FOLDER = "scenes"


class SceneSampler(DrawOrder):
    """The scene of a sample, by the sample's number."""

    follows_from = "other data.scenes or seed"

    def __init__(self, config: ScenesConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def clip(self, draw: int, attempt: int = 0) -> SceneSpec:
        """`attempt` > 0 gives the next ones, for a scene that cannot be made."""
        newest = draw // self.config.reuse
        back = plain_random(self.seed, draw, "scene").randrange(min(self.config.recent, newest + 1))
        return scene_of(self.seed, newest - back + attempt)

    @property
    def fingerprint(self) -> str:
        """Changes when a resumed run would draw other samples."""
        words = f"scenes {self.seed} {self.config.reuse} {self.config.recent}"
        return hashlib.sha256(words.encode()).hexdigest()


def scene_of(seed: int, number: int) -> SceneSpec:
    """Scene `number` of a run. Its seed is even, as those of all scenes to train on are."""
    drawn = plain_random(seed, number, "scene seed").randrange(1 << 30)
    return SceneSpec(f"scene-{number:06}", "train", number, 2 * drawn, paired=True)


class SceneReader:
    """Reads coarse clips, and has those drawn that are not there. Safe for several threads.

    `ValueError` where there is no studio interpreter, in which the people of a scene are walked.
    """

    def __init__(self, config: TrainConfig, programs: Programs | None = None) -> None:
        scenes, preset = config.data.scenes, config.model
        assert scenes is not None
        self.root, self.recent = config.folder / FOLDER, scenes.recent
        self.film = SetConfig(
            frames=config.frames, width=preset.width, height=preset.height, fps=preset.fps
        )
        self.window = whole_window(preset, config.frames)
        self.programs = programs or Programs(studio_python())
        self._guard, self._making = Lock(), dict[str, Lock]()

    def read(self, clip: SceneSpec, draw: int, *, control: bool, fine: bool = True) -> Sample:
        """Prompt and coarse frames, all there is of a scene; `ValueError` or `OSError` when they
        cannot be made.
        """
        assert control, "scenes have nothing but control"
        folder = self.root / clip.id
        with self._guard:
            lock = self._making.setdefault(clip.id, Lock())
        with lock:
            try:
                video = coarse_film(folder, clip, self.film, self.programs)
            except ProgramError as error:
                raise ValueError(str(error)) from error
            caption = load_take(folder).slate.caption
            frames = torch.from_numpy(self.window.cut(video))
        self._forget(clip.index - 2 * self.recent)
        return Sample(draw, clip.id, "cg", caption, control=frames)

    def _forget(self, before: int) -> None:
        """Take films off the disk that are older than the oldest one that may be asked for."""
        with self._guard:
            for name in _older(list(self._making), before):
                if self._making[name].locked():
                    continue
                del self._making[name]
                shutil.rmtree(self.root / name, ignore_errors=True)


def _older(names: Sequence[str], before: int) -> list[str]:
    return [name for name in names if int(name.rpartition("-")[2]) < before]
