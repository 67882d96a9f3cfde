"""Makes the files of one scene, step by step, in a folder of its own.

A step's files are made in a scratch folder, looked through, and moved to their names: what is
there under its name is whole, and a step whose last file is there is not done again. Fine pictures
take the longest: those that a stopped run has left are used.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image as Pillow
from pydantic import TypeAdapter, ValidationError

from c2r.clips import Image, VideoWriter
from street.city.clip_folder import CAMERA, GEOMETRY, PICTURES
from street.city.take import load_take, save_take
from street.director.programs import Programs
from street.director.scene_list import SceneSpec, SetConfig
from street.director.scenes import direct
from trainer.data.manifest import Clip
from trainer.data.probe import file_hash, probe

CLIPS = "clips"
FILM = (PICTURES, GEOMETRY, CAMERA)
"""Files of the coarse film; the last one says that it is whole."""
MAKING, FINE = ".making-", ".fine-"
SHARES = {"take": 0.02, "coarse": 0.08, "fine": 0.9}
"""How much of a scene's work each step is, for the progress bar."""


def finished(root: Path, spec: SceneSpec) -> Clip | None:
    """The manifest's row of a scene that is complete, with a twin where one is asked for, and whose
    files are those it was made with.
    """
    folder = root / CLIPS / spec.id
    try:
        clip: Clip = TypeAdapter(Clip).validate_json((folder / "row.json").read_bytes())
    except (OSError, ValidationError):
        return None
    lacks_twin = spec.paired and clip.control is None
    return None if lacks_twin or _changed(root, clip) else clip


def make_clip(
    root: Path,
    spec: SceneSpec,
    config: SetConfig,
    programs: Programs,
    *,
    threads: int,
    on_step: Callable[[float], None] = lambda share: None,
) -> Clip:
    """Whatever is missing of a scene, and its row; `on_step` hears each step's share of the work.

    Raises ProgramError, ValueError or OSError, saying which step failed.
    """
    folder = root / CLIPS / spec.id
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{MAKING}*"):
        shutil.rmtree(left)
    _drop_changed(root, folder)
    _take(folder, spec, config, programs)
    on_step(SHARES["take"])
    if spec.paired:
        _coarse(folder, config, programs)
    on_step(SHARES["coarse"])
    if not (folder / "fine.mp4").exists():
        _fine(folder, config, programs, threads)
    for left in folder.glob(f"{FINE}*"):
        shutil.rmtree(left)
    on_step(SHARES["fine"])
    clip = _row(folder, spec, config)
    _write(folder / "row.json", json.dumps(asdict(clip), ensure_ascii=False))
    return clip


def coarse_film(folder: Path, spec: SceneSpec, config: SetConfig, programs: Programs) -> Path:
    """Whatever is missing of a scene's take and coarse film, without a fine one; the video's path.

    Raises ProgramError, ValueError or OSError, saying which step failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _take(folder, spec, config, programs)
    _coarse(folder, config, programs)
    return folder / PICTURES


def _drop_changed(root: Path, folder: Path) -> None:
    """Of a scene whose row no longer fits its files, those that differ go, to be made anew."""
    try:
        clip: Clip = TypeAdapter(Clip).validate_json((folder / "row.json").read_bytes())
    except (OSError, ValidationError):
        return
    for path in _changed(root, clip):
        path.unlink(missing_ok=True)
    (folder / "row.json").unlink()


def _changed(root: Path, clip: Clip) -> list[Path]:
    """Last files of the steps whose files are not there any more, or not those of the row."""
    folder, found = (root / clip.video).parent, []
    if _differs(root, clip.video, clip.hash):
        found.append(root / clip.video)
    if clip.control is not None:
        there = all((folder / name).is_file() for name in FILM)
        if not there or _differs(root, clip.control, clip.control_hash):
            found.append(folder / CAMERA)
    return found


def _differs(root: Path, path: str, digest: str | None) -> bool:
    return not (root / path).is_file() or file_hash(root / path) != digest


def _take(folder: Path, spec: SceneSpec, config: SetConfig, programs: Programs) -> None:
    """Direct the scene, unless that is done."""
    if (folder / "take.json").exists():
        return
    size = {"width": config.width, "height": config.height}
    scene = direct(
        spec.seed,
        spec.index,
        name=spec.id,
        frames=config.frames,
        fps=config.fps,
        programs=programs,
        **size,
    )
    # Before the take, whose own file says that this step is done.
    _write(folder / "attributes.json", json.dumps(scene.attributes))
    save_take(scene.take, folder)


def _coarse(folder: Path, config: SetConfig, programs: Programs) -> None:
    """Have the coarse film drawn, unless it is there."""
    if (folder / CAMERA).exists():
        return
    with tempfile.TemporaryDirectory(prefix=MAKING, dir=folder) as name:
        scratch = Path(name)
        programs.coarse(folder, scratch)
        _check_video(scratch / PICTURES, config)
        missing = [name for name in FILM if not (scratch / name).is_file()]
        if missing:
            raise ValueError(f"the film has no {' and no '.join(missing)}")
        for name in FILM:
            (scratch / name).replace(folder / name)


def _fine(folder: Path, config: SetConfig, programs: Programs, threads: int) -> None:
    scratch = folder / f"{FINE}{uuid4().hex[:8]}"
    for left in folder.glob(f"{FINE}*"):
        # Under a new name: a program that outlived a killed run finds its folder gone, and ends.
        left.rename(scratch)
        break
    programs.fine(folder, scratch, samples=config.samples, threads=threads)
    try:
        _encode(sorted((scratch / "fine").glob("*.png")), folder / "fine.mp4", config)
    except ValueError:
        shutil.rmtree(scratch, ignore_errors=True)  # what is wrong would be found there again
        raise


def _encode(pictures: list[Path], video: Path, config: SetConfig) -> None:
    """The video of all frames' pictures; ValueError unless they are those that were asked for."""
    wanted = [f"{frame:04}.png" for frame in range(config.frames)]
    if [path.name for path in pictures] != wanted:
        raise ValueError(f"fine gave {len(pictures)} pictures, wanted {wanted[0]} to {wanted[-1]}")
    with VideoWriter(video, config.fps, crf=config.crf) as writer:
        for path in pictures:
            writer.write(_picture(path, config))


def _picture(path: Path, config: SetConfig) -> Image:
    try:
        with Pillow.open(path) as file:
            found = np.array(file.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"fine's picture {path.name} cannot be read: {error}") from error
    if found.shape != (config.height, config.width, 3):
        raise ValueError(f"fine's picture {path.name} is {found.shape[1]}x{found.shape[0]} pixels")
    return found


def _check_video(path: Path, config: SetConfig) -> None:
    if not path.is_file():
        raise ValueError(f"there is no {path.name}")
    found = probe(path)
    have = found.frames, found.width, found.height
    if have != (config.frames, config.width, config.height):
        raise ValueError(
            f"{path.name} has {found.frames} frames of {found.width}x{found.height}, wanted "
            f"{config.frames} of {config.width}x{config.height}"
        )


def _row(folder: Path, spec: SceneSpec, config: SetConfig) -> Clip:
    slate = load_take(folder).slate
    attributes = json.loads((folder / "attributes.json").read_text(encoding="utf-8"))
    if not spec.paired:
        del attributes["level"]
    here = f"{CLIPS}/{spec.id}"
    return Clip(
        id=spec.id,
        source="cg",
        video=f"{here}/fine.mp4",
        control=f"{here}/{PICTURES}" if spec.paired else None,
        caption=slate.caption,
        fps=slate.fps,
        frames=config.frames,
        width=slate.width,
        height=slate.height,
        seed=spec.seed,
        licence=None,
        hash=file_hash(folder / "fine.mp4"),
        control_hash=file_hash(folder / PICTURES) if spec.paired else None,
        split=spec.split,
        attributes=attributes,
        geometry=f"{here}/{GEOMETRY}" if spec.paired else None,
    )


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
