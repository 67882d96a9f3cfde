"""Manifests: what is written is read back, and every bad row is named with its number."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from c2r.clips import VideoWriter
from trainer.data.manifest import (
    Clip,
    append_clip,
    read_manifest,
    sift_manifest,
    write_manifest,
)
from trainer.data.manifest_checks import file_hash, probe


def write_video(path: Path, frames: int, *, width: int = 32, height: int = 16) -> None:
    rng = np.random.default_rng(frames)
    with VideoWriter(path, 16.0) as writer:
        for _ in range(frames):
            writer.write(rng.integers(0, 255, (height, width, 3), np.uint8))


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    write_video(tmp_path / "a" / "fine.mp4", 5)
    write_video(tmp_path / "a" / "coarse.mp4", 5)
    return Clip(
        id="a", source="cg", video="a/fine.mp4", control="a/coarse.mp4",
        caption="A street at noon, «été»", fps=16.0, frames=5, width=32, height=16, seed=4,
        licence=None, hash=file_hash(tmp_path / "a" / "fine.mp4"),
        control_hash=file_hash(tmp_path / "a" / "coarse.mp4"), split="train",
        attributes={"hour": "noon"},
    )  # fmt: skip


def test_rows_come_back_as_they_were_written(tmp_path: Path, clip: Clip):
    other = replace(clip, id="b", seed=6, control=None, control_hash=None, attributes={})
    write_manifest(tmp_path / "manifest.jsonl", [clip])
    append_clip(tmp_path / "manifest.jsonl", other)
    assert read_manifest(tmp_path / "manifest.jsonl", check="all") == (clip, other)
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_a_probe_counts_what_is_there(tmp_path: Path):
    write_video(tmp_path / "v.mp4", 7, width=48, height=32)
    found = probe(tmp_path / "v.mp4")
    assert (found.frames, found.width, found.height, found.fps) == (7, 48, 32, 16.0)


def changed(**values: Any) -> Callable[[dict[str, Any]], str]:
    return lambda row: json.dumps({**row, **values})


def without(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: json.dumps({k: v for k, v in row.items() if k != key})


BAD_ROWS: list[tuple[Callable[[dict[str, Any]], str], str]] = [
    (changed(id="a"), "id 'a' is that of row 1 too"),
    (changed(id=""), "the id '' cannot name a file"),
    (changed(id="../../b"), "the id '../../b' cannot name a file"),
    (changed(id="a\nb"), "cannot name a file"),
    (changed(id="b" * 200), "up to 128 letters"),
    (changed(seed=None), "seed is null"),
    (changed(source="real", seed=None), "licence is missing"),
    (changed(source="real", licence=" "), "a real clip has the terms"),
    (changed(video="a/gone.mp4"), "video 'a/gone.mp4' is not there"),
    (changed(geometry="a/gone.npz"), "geometry 'a/gone.npz' is not there"),
    (changed(frames=9), "video 'a/fine.mp4' has 5 frames, not 9"),
    (changed(width=64), "is 32x16 pixels, not 64x16"),
    (changed(fps=24.0), "runs at 16 frames a second, not 24"),
    (changed(video="/etc/passwd"), "is absolute"),
    (changed(video="../a/fine.mp4"), "leaves the manifest's folder"),
    (changed(video="a/../../fine.mp4"), "leaves the manifest's folder"),
    (changed(video="C:/fine.mp4"), "Windows path"),
    (changed(video="a\\fine.mp4"), "Windows path"),
    (changed(video=""), "names no file"),
    (changed(video="a/nul\0.mp4"), "names no file"),
    (changed(video="out/fine.mp4"), "through a link"),
    (changed(video="a"), "video 'a' is not there"),
    (changed(caption="word " * 2000), "the caption has 10,000 characters; at most 2,000"),
    (changed(fps=float("nan")), "fps is nan"),
    (changed(fps=0.0), "fps is 0.0"),
    (changed(fps="16"), "fps"),
    (changed(frames=0), "frames is 0"),
    (changed(frames=5.5), "frames"),
    (changed(frames=True), "frames"),
    (changed(seed=-1), "seed is -1"),
    (changed(hash="0" * 64), "its hash differs"),
    (changed(hash="xyz"), "hash is no SHA-256"),
    (changed(control_hash=None), "control and control_hash go together"),
    (changed(split="held_out", seed=4), "held_out seed 4 is also that of train row 1"),
    (changed(split="test"), "split"),
    (changed(attributes={"hour": 3}), "attributes.hour"),
    (changed(colour="red"), "key 'colour' is unknown"),
    (without("caption"), "key 'caption' is missing"),
    (lambda row: json.dumps(row)[:-9], "broken JSON"),
    (lambda row: "[]", "row"),
    (lambda row: "[" * 100_000, "broken JSON"),
]


@pytest.mark.parametrize(("spoil", "reason"), BAD_ROWS, ids=[reason for _, reason in BAD_ROWS])
def test_a_bad_row_is_named_with_its_number(
    tmp_path: Path, clip: Clip, spoil: Callable[[dict[str, Any]], str], reason: str
):
    root = tmp_path / "set"
    root.mkdir()
    (tmp_path / "a").rename(root / "a")
    (root / "out").symlink_to(tmp_path)
    write_video(tmp_path / "fine.mp4", 5)
    manifest = root / "manifest.jsonl"
    good = json.dumps(asdict(clip))
    bad = spoil({**asdict(clip), "id": "b"})
    manifest.write_text(f"{good}\n\n{bad}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="1 of its rows cannot be used") as raised:
        read_manifest(manifest, check="all")
    assert str(manifest) in str(raised.value)
    assert "row 3: " in str(raised.value)
    assert reason in str(raised.value)
    sifted = sift_manifest(manifest, check="all")
    assert sifted.clips == (clip,)
    assert all(text.startswith("row 3: ") for text in sifted.skipped)


def test_the_mark_that_some_editors_put_in_front_is_no_fault(tmp_path: Path, clip: Clip):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps(asdict(clip)) + "\r\n", encoding="utf-8-sig")
    assert read_manifest(manifest) == (clip,)


def test_checks_look_no_further_than_asked(tmp_path: Path, clip: Clip):
    manifest = tmp_path / "manifest.jsonl"
    write_manifest(manifest, [replace(clip, frames=9, hash="0" * 64)])
    assert len(read_manifest(manifest, check="files")) == 1
    for check, reason in (("frames", "5 frames, not 9"), ("hashes", "hash differs")):
        with pytest.raises(ValueError, match=reason):
            read_manifest(manifest, check=check)  # type: ignore[arg-type]
    write_manifest(manifest, [replace(clip, video="a/gone.mp4")])
    assert len(read_manifest(manifest, check="none")) == 1


def test_a_damaged_video_is_a_fault_of_its_row(tmp_path: Path, clip: Clip):
    (tmp_path / "a" / "fine.mp4").write_bytes(b"no video at all")
    write_manifest(tmp_path / "manifest.jsonl", [clip])
    with pytest.raises(ValueError, match=r"row 1: video 'a/fine.mp4' cannot be used"):
        read_manifest(tmp_path / "manifest.jsonl", check="frames")


def test_faults_of_all_rows_are_gathered_up_to_twenty(tmp_path: Path, clip: Clip):
    rows = [replace(clip, id=f"c{n}", video=f"a/{n}.mp4") for n in range(30)]
    write_manifest(tmp_path / "manifest.jsonl", [clip, *rows])
    with pytest.raises(ValueError, match="30 of its rows") as raised:
        read_manifest(tmp_path / "manifest.jsonl")
    text = str(raised.value)
    assert text.count("is not there") == 20
    assert "row 21: " in text
    assert "row 22: " not in text
    assert "and 10 more" in text


def test_what_is_no_manifest_is_said_to_be_none(tmp_path: Path):
    with pytest.raises(ValueError, match="cannot read the manifest"):
        read_manifest(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        read_manifest(tmp_path / "bytes.jsonl")


def test_an_interrupted_write_leaves_the_old_manifest(
    tmp_path: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch
):
    manifest = tmp_path / "manifest.jsonl"
    write_manifest(manifest, [clip])

    def stop(*_: Any, **__: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dumps", stop)
    with pytest.raises(KeyboardInterrupt):
        append_clip(manifest, replace(clip, id="b"))
    monkeypatch.undo()
    assert read_manifest(manifest) == (clip,)
