"""Makes the files of one scene, step by step, in a folder of its own.

A step writes into a scratch folder, checks the files and moves them to their names. A file under
its final name is complete, and a step whose last file exists is not done again. Fine frames take
the longest: those that a stopped run left are used.
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
from street.city.clip_folder import CAMERA, COARSE_VIDEO, GEOMETRY
from street.city.take import load_take, save_take
from street.director.programs import Programs
from street.director.scenes import direct
from trainer.data.manifest import Clip
from trainer.data.manifest_checks import file_hash, probe
from trainer.data.synthesize.scene_list import SceneSpec, SetConfig

CLIPS = "clips"
COARSE_FILES = (COARSE_VIDEO, GEOMETRY, CAMERA)
"""Files of the coarse clip; the last one completes it."""
MAKING, FINE = ".making-", ".fine-"
SHARES = {"take": 0.02, "coarse": 0.08, "fine": 0.9}
"""How much of a scene's work each step is, for the progress bar."""


def finished(root: Path, spec: SceneSpec) -> Clip | None:
    """The manifest's row of a scene that is complete, with a coarse clip where one is wanted, and
    whose files are unchanged.
    """
    folder = root / CLIPS / spec.id
    try:
        clip: Clip = TypeAdapter(Clip).validate_json((folder / "row.json").read_bytes())
    except (OSError, ValidationError):
        return None
    lacks_coarse = spec.paired and clip.control is None
    return None if lacks_coarse or _changed(root, clip) else clip


def make_clip(
    root: Path,
    spec: SceneSpec,
    config: SetConfig,
    programs: Programs,
    *,
    threads: int,
    on_step: Callable[[float], None] = lambda share: None,
) -> Clip:
    """Whatever is missing of a scene, and its row; `on_step` gets each step's share of the work.

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


def make_coarse_clip(folder: Path, spec: SceneSpec, config: SetConfig, programs: Programs) -> Path:
    """Whatever is missing of a scene's take and coarse clip, without a fine one; the video's path.

    Raises ProgramError, ValueError or OSError, saying which step failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _take(folder, spec, config, programs)
    _coarse(folder, config, programs)
    return folder / COARSE_VIDEO


def _drop_changed(root: Path, folder: Path) -> None:
    """Of a scene whose row no longer fits its files, remove those that differ, to be made again.

    The row goes last: killed before that, the next run compares again.
    """
    try:
        clip: Clip = TypeAdapter(Clip).validate_json((folder / "row.json").read_bytes())
    except (OSError, ValidationError):
        return
    for path in _changed(root, clip):
        path.unlink(missing_ok=True)
    (folder / "row.json").unlink()


def _changed(root: Path, clip: Clip) -> list[Path]:
    """The last file of each step whose files are missing or differ from the row."""
    folder, changed = (root / clip.video).parent, []
    if _differs(root, clip.video, clip.hash):
        changed.append(root / clip.video)
    if clip.control is not None:
        there = all((folder / name).is_file() for name in COARSE_FILES)
        if not there or _differs(root, clip.control, clip.control_hash):
            changed.append(folder / CAMERA)
    return changed


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
    """Record the coarse clip, unless it is there."""
    if (folder / CAMERA).exists():
        return
    with tempfile.TemporaryDirectory(prefix=MAKING, dir=folder) as name:
        scratch = Path(name)
        programs.coarse(folder, scratch)
        _check_video(scratch / COARSE_VIDEO, config)
        missing = [name for name in COARSE_FILES if not (scratch / name).is_file()]
        if missing:
            raise ValueError(f"the recording has no {' and no '.join(missing)}")
        for name in COARSE_FILES:
            (scratch / name).replace(folder / name)


def _fine(folder: Path, config: SetConfig, programs: Programs, threads: int) -> None:
    scratch = folder / f"{FINE}{uuid4().hex[:8]}"
    for left in folder.glob(f"{FINE}*"):
        # Under a new name: a Blender that outlived a killed run finds its folder gone and ends,
        # instead of writing into the one that this run checks.
        left.rename(scratch)
        break
    programs.fine(folder, scratch, samples=config.samples, threads=threads)
    try:
        _encode(sorted((scratch / "fine").glob("*.png")), folder / "fine.mp4", config)
    except ValueError:
        shutil.rmtree(scratch, ignore_errors=True)  # it would fail again on the same files
        raise


def _encode(images: list[Path], video: Path, config: SetConfig) -> None:
    """The video of all images; ValueError unless there is exactly one per frame."""
    wanted = [f"{frame:04}.png" for frame in range(config.frames)]
    if [path.name for path in images] != wanted:
        raise ValueError(
            f"render_take gave {len(images)} images, wanted {wanted[0]} to {wanted[-1]}"
        )
    with VideoWriter(video, config.fps, crf=config.crf) as writer:
        for path in images:
            writer.write(_image(path, config))


def _image(path: Path, config: SetConfig) -> Image:
    try:
        with Pillow.open(path) as file:
            image = np.array(file.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"the image {path.name} cannot be read: {error}") from error
    if image.shape != (config.height, config.width, 3):
        raise ValueError(f"the image {path.name} is {image.shape[1]}x{image.shape[0]} pixels")
    return image


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
    header = load_take(folder).header
    attributes = json.loads((folder / "attributes.json").read_text(encoding="utf-8"))
    if not spec.paired:
        del attributes["level"]
    here = f"{CLIPS}/{spec.id}"
    return Clip(
        id=spec.id,
        source="cg",
        video=f"{here}/fine.mp4",
        control=f"{here}/{COARSE_VIDEO}" if spec.paired else None,
        caption=header.caption,
        wordings=header.wordings,
        fps=header.fps,
        frames=config.frames,
        width=header.width,
        height=header.height,
        seed=spec.seed,
        licence=None,
        hash=file_hash(folder / "fine.mp4"),
        control_hash=file_hash(folder / COARSE_VIDEO) if spec.paired else None,
        split=spec.split,
        attributes=attributes,
        geometry=f"{here}/{GEOMETRY}" if spec.paired else None,
    )


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
