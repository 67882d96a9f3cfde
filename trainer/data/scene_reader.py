"""Coarse clips that the sample game renders during training: endless, of new streets.

Sample n is of scene n // `reuse` or of one of the `recent` - 1 before it; which one follows from
(seed, n) alone, so a resumed run continues with the same clips. Clips stay in the run's folder as
long as a sample may ask for them, and are made again when they are missing. There is no fine
video: only phases that learn from prompts and control alone can use them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from threading import Lock

import torch

from street.city.take import load_take
from street.director.programs import ProgramError, Programs, studio_python
from trainer.data.batch import Sample
from trainer.data.sampler import DrawOrder
from trainer.data.synthesize.make_clip import make_coarse_clip
from trainer.data.synthesize.scene_list import SceneSpec, SetConfig
from trainer.data.window import whole_window
from trainer.sample_random import plain_random
from trainer.settings import ScenesConfig, TrainConfig

FOLDER = "scenes"


class SceneSampler(DrawOrder):
    """The scene of a sample, by the sample's number."""

    depends_on = "other data.scenes or seed"

    def __init__(self, config: ScenesConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def clip(self, draw: int, attempt: int = 0) -> SceneSpec:
        """`attempt` > 0 gives the next ones, for a scene that cannot be made."""
        newest = draw // self.config.reuse
        back = plain_random(self.seed, draw, "scene").randrange(min(self.config.recent, newest + 1))
        return scene_of(self.seed, newest - back + attempt)

    @property
    def fingerprint(self) -> str:
        words = f"scenes {self.seed} {self.config.reuse} {self.config.recent}"
        return hashlib.sha256(words.encode()).hexdigest()


def scene_of(seed: int, number: int) -> SceneSpec:
    """Scene `number` of a run. Its seed is even, as all seeds of training scenes are."""
    drawn = plain_random(seed, number, "scene seed").randrange(1 << 30)
    return SceneSpec(f"scene-{number:06}", "train", number, 2 * drawn, paired=True)


class SceneReader:
    """Reads coarse clips, and makes those that are missing. Safe for several threads.

    `ValueError` where there is no studio interpreter, which simulates the people of a scene.
    """

    def __init__(self, config: TrainConfig, programs: Programs | None = None) -> None:
        scenes, preset = config.data.scenes, config.model
        assert scenes is not None
        self.root, self.recent = config.folder / FOLDER, scenes.recent
        self.set_config = SetConfig(
            frames=config.frames, width=preset.width, height=preset.height, fps=preset.fps
        )
        self.window = whole_window(preset, config.frames)
        self.programs = programs or Programs(studio_python())
        self._locks_guard, self._locks = Lock(), dict[str, Lock]()

    def read(self, clip: SceneSpec, draw: int, *, control: bool, fine: bool = True) -> Sample:
        """Prompt and coarse frames, all there is of a scene; `ValueError` or `OSError` when they
        cannot be made.
        """
        assert control, "scenes have nothing but control"
        folder = self.root / clip.id
        with self._locks_guard:
            lock = self._locks.setdefault(clip.id, Lock())
        with lock:
            try:
                video = make_coarse_clip(folder, clip, self.set_config, self.programs)
            except ProgramError as error:
                raise ValueError(str(error)) from error
            header = load_take(folder).header
            wordings = header.caption, *header.wordings
            caption = plain_random(header.seed, draw, "wording").choice(wordings)
            frames = torch.from_numpy(self.window.cut(video))
        self._remove_old(clip.index - 2 * self.recent)
        return Sample(draw, clip.id, "cg", caption, control=frames)

    def _remove_old(self, before: int) -> None:
        """Remove clips that no sample asks for any more. Twice `recent`, since batches are made in
        advance by several threads and may still read one that is a little older."""
        with self._locks_guard:
            for name in _older(list(self._locks), before):
                if self._locks[name].locked():
                    continue
                del self._locks[name]
                shutil.rmtree(self.root / name, ignore_errors=True)


def _older(names: Sequence[str], before: int) -> list[str]:
    return [name for name in names if int(name.rpartition("-")[2]) < before]
