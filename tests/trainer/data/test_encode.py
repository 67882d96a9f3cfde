"""`c2r data encode`: caches that training reads like the set itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from c2r.clips import VideoWriter
from c2r.models.presets import get_preset
from trainer.data.cache_format import (
    CACHE_FILE,
    check_cache,
    packed,
    unpacked_latents,
    unpacked_text,
)
from trainer.data.cache_reader import CacheReader
from trainer.data.cache_rows import WindowOptions, cache_rows
from trainer.data.manifest import Clip, read_manifest, write_manifest
from trainer.data.manifest_checks import file_hash
from trainer.data.video_reader import VideoReader
from trainer.encode_cache import main
from trainer.networks.start import Start
from trainer.settings import DataConfig, TrainConfig, settings_from

FRAMES = 6
PRESET = get_preset("tiny")


def video(path: Path, seed: int) -> None:
    """Smooth moving colours at the preset's size."""
    rng = np.random.default_rng(seed)
    phase, speed = rng.uniform(0, 6, 3), rng.uniform(0.2, 0.5)
    x = np.linspace(0, 6, PRESET.width)[None, :, None]
    y = np.linspace(0, 3, PRESET.height)[:, None, None]
    with VideoWriter(path, PRESET.fps, crf=10, repeatable=True) as writer:
        for frame in range(FRAMES):
            frame_rgb = 127 + 100 * np.sin(x + y + phase + speed * frame)
            writer.write(frame_rgb.astype(np.uint8))


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("set")
    clips = []
    for number in range(3):
        name, control = f"{number}.mp4", f"{number}-coarse.mp4" if number == 1 else None
        video(root / name, number)
        if control:
            video(root / control, 10)
        clips.append(
            Clip(
                id=f"clip-{number}",
                source="cg",
                video=name,
                control=control,
                caption=f"A street at noon, number {number}",
                fps=PRESET.fps,
                frames=FRAMES,
                width=PRESET.width,
                height=PRESET.height,
                seed=number,
                licence=None,
                hash=file_hash(root / name),
                control_hash=file_hash(root / control) if control else None,
                split="train",
                wordings=(f"Street {number}, noon",) if number == 1 else (),
            )
        )
    write_manifest(root / "manifest.jsonl", clips)
    return root


def encode(small_set: Path, out: Path, *more: str) -> int:
    return main([str(small_set), "--out", str(out), "--preset", "tiny", *more])


def reader(cache: Path) -> CacheReader:
    return CacheReader(cache, PRESET, 5, DataConfig(cache=cache), 0)


def test_bytes_are_close_to_halves_and_half_as_large(small_set: Path, tmp_path: Path):
    assert encode(small_set, tmp_path / "bytes") == 0
    assert encode(small_set, tmp_path / "halves", "--latents", "float16") == 0
    clip = read_manifest(tmp_path / "bytes/manifest.jsonl", check="none")[1]
    small = reader(tmp_path / "bytes").read(clip, 0, control=True)
    large = reader(tmp_path / "halves").read(clip, 0, control=True)
    assert small.latents is not None
    assert large.latents is not None
    assert small.latents.shape == (2, 16, 18, 32)
    step = large.latents.float().abs().amax(dim=(0, 2, 3)) / 127
    error = (small.latents - large.latents.float()).abs().amax(dim=(0, 2, 3))
    assert (error <= 0.51 * step + 1e-3).all()
    assert small.control is not None
    assert small.control.shape == (5, 3, 144, 256)
    assert small.text is not None
    assert large.text is not None
    assert torch.equal(small.text, large.text)
    assert small.text.shape == (256, 128)
    sizes = [(tmp_path / n / "shard-0000.safetensors").stat().st_size for n in ("bytes", "halves")]
    assert sizes[0] < 0.7 * sizes[1]


def test_only_pixels_that_training_looks_at_travel(small_set: Path, tmp_path: Path):
    encode(small_set, tmp_path / "some")
    encode(small_set, tmp_path / "all", "--videos", "all")
    some = {path.name for path in (tmp_path / "some/videos").iterdir()}
    assert some == {"clip-0.mp4", "clip-1-control.mp4", "clip-2.mp4"}
    assert len(list((tmp_path / "all/videos").iterdir())) == 4
    assert len(read_manifest(tmp_path / "all/manifest.jsonl", check="all")) == 3


def test_shards_keep_to_their_size(small_set: Path, tmp_path: Path):
    encode(small_set, tmp_path, "--shard-mb", "0.1")
    shards = sorted(tmp_path.glob("shard-*.safetensors"))
    assert len(shards) == 3
    assert max(path.stat().st_size for path in shards) < 0.1e6
    assert all(
        reader(tmp_path).holds(c) is None
        for c in read_manifest(tmp_path / "manifest.jsonl", check="none")
    )


def test_a_stopped_run_goes_on(small_set: Path, tmp_path: Path):
    encode(small_set, tmp_path / "whole", "--shard-mb", "0.1")
    encode(small_set, tmp_path / "cut", "--shard-mb", "0.1")
    for name in ("shard-0002.safetensors", CACHE_FILE, "manifest.jsonl"):
        (tmp_path / "cut" / name).unlink()
    first = tmp_path / "cut/shard-0000.safetensors"
    before = first.stat().st_mtime_ns
    with pytest.raises(ValueError, match="is no cache"):
        check_cache(tmp_path / "cut", {})
    assert encode(small_set, tmp_path / "cut", "--shard-mb", "0.1") == 0
    assert first.stat().st_mtime_ns == before
    names = sorted(p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*.*"))
    assert names
    for path in names:
        if (tmp_path / "whole" / path).is_file():
            whole, cut = (tmp_path / folder / path for folder in ("whole", "cut"))
            assert whole.read_bytes() == cut.read_bytes(), path


def test_another_set_or_setting_is_refused(small_set: Path, tmp_path: Path):
    encode(small_set, tmp_path)
    with pytest.raises(ValueError, match="crf differs"):
        encode(small_set, tmp_path, "--crf", "30")


def test_a_clip_that_cannot_be_read_is_named(small_set: Path, tmp_path: Path, capsys):
    clips = list(read_manifest(small_set / "manifest.jsonl"))
    (small_set / "broken.mp4").write_bytes(b"no video")
    clips.append(replace(clips[0], id="broken", video="broken.mp4"))
    write_manifest(small_set / "with-broken.jsonl", clips)
    out = tmp_path / "cache"
    code = main([str(small_set / "with-broken.jsonl"), "--out", str(out), "--preset", "tiny"])
    assert code == 1
    assert "broken" in capsys.readouterr().out
    assert len(read_manifest(out / "manifest.jsonl", check="none")) == 3


def test_a_wrong_frame_count_is_left_out_and_said(small_set: Path, tmp_path: Path, capsys):
    first, *rest = read_manifest(small_set / "manifest.jsonl")
    write_manifest(small_set / "wrong.jsonl", [replace(first, frames=5), *rest])
    code = main([str(small_set / "wrong.jsonl"), "--out", str(tmp_path), "--preset", "tiny"])
    assert code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "clip clip-0: video '0.mp4' has 6 frames, not 5" in said
    assert len(read_manifest(tmp_path / "manifest.jsonl", check="none")) == 2


def test_a_name_that_leads_out_writes_nothing_there(small_set: Path, tmp_path: Path, capsys):
    clips = read_manifest(small_set / "manifest.jsonl")
    bad = replace(clips[0], id="../../escaped")
    write_manifest(small_set / "escaping.jsonl", [clips[1], bad])
    out = tmp_path / "deep" / "cache"
    assert main([str(small_set / "escaping.jsonl"), "--out", str(out), "--preset", "tiny"]) == 1
    assert "row 2: the id '../../escaped' cannot name a file" in " ".join(
        capsys.readouterr().out.split()
    )
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_manifest_without_a_usable_clip_makes_no_cache(small_set: Path, tmp_path: Path):
    empty, bad = small_set / "empty.jsonl", small_set / "bad.jsonl"
    empty.write_text("")
    bad.write_text("{\n")
    for manifest, words in ((empty, "no rows"), (bad, "row 1: broken JSON")):
        with pytest.raises(ValueError, match=words):
            main([str(manifest), "--out", str(tmp_path / "cache"), "--preset", "tiny"])
    assert not (tmp_path / "cache").exists()


def test_windows_begin_anywhere_and_cut_both_videos_alike(small_set: Path, tmp_path: Path):
    """Each row's latents are those of its window's own frames, and so is its control."""
    options = ["--windows", "3", "--frames", "5", "--zoom", "1.5", "--latents", "float16"]
    assert encode(small_set, tmp_path, *options, "--seed", "4", "--crf", "0") == 0
    rows = read_manifest(tmp_path / "manifest.jsonl", check="none")
    assert [row.id for row in rows] == [f"clip-{n}-w0{w}" for n in range(3) for w in range(3)]
    clips = read_manifest(small_set / "manifest.jsonl")
    planned = cache_rows(clips, PRESET, WindowOptions(3, 5, 1.5, 4), [])
    assert len({(p.window.start, p.window.left, p.window.scaled) for p in planned}) > 6
    vae = Start(settings_from(TrainConfig, {"model": {"name": "tiny"}})).vae()
    for row, plan in zip(rows, planned, strict=True):
        frames = torch.from_numpy(plan.window.cut(small_set / plan.clip.video))
        with torch.no_grad():
            wanted = vae.encode(frames[None].float() / 255)[0]
        sample = reader(tmp_path).read(row, 0, control=row.role == "cg")
        assert sample.latents is not None
        torch.testing.assert_close(sample.latents.float(), wanted, atol=4e-3, rtol=4e-3)
        if row.role == "cg":
            assert plan.clip.control is not None
            assert sample.control is not None
            coarse = torch.from_numpy(plan.window.cut(small_set / plan.clip.control))
            assert (sample.control.float() - coarse.float()).abs().mean() < 3


def test_held_out_clips_stay_whole_and_short_ones_are_left_out(small_set: Path, tmp_path: Path):
    clips = read_manifest(small_set / "manifest.jsonl")
    mixed = [replace(clips[0], split="held_out"), *clips[1:]]
    skipped: list[str] = []
    planned = cache_rows(mixed, PRESET, WindowOptions(2, 9, 1.0, 0), skipped)
    assert [(p.id, p.window.frames) for p in planned] == [("clip-0", 5)]
    assert [line.split(":")[0] for line in skipped] == ["clip clip-1", "clip clip-2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--windows", "-1"], "--windows is -1"),
        (["--windows", "2", "--zoom", "0.5"], "--zoom is 0.5"),
        (["--windows", "2", "--frames", "6"], "4n [+] 1"),
        (["--crf", "99"], "--crf is 99"),
        (["--shard-mb", "0"], "--shard-mb is 0"),
        (["--device", "foo"], "--device foo cannot be used here"),
    ],
)
def test_wrong_options_are_refused(small_set: Path, tmp_path: Path, arguments, words):
    with pytest.raises(ValueError, match=words):
        encode(small_set, tmp_path, *arguments)


def test_samples_draw_a_wording_and_its_text(small_set: Path, tmp_path: Path):
    assert encode(small_set, tmp_path) == 0
    clip = read_manifest(tmp_path / "manifest.jsonl", check="none")[1]
    cached, text = reader(tmp_path), Start(settings_from(TrainConfig, {})).text()
    videos = VideoReader(small_set, PRESET, 5, DataConfig(), 0)
    drawn = set()
    for draw in range(12):
        sample = cached.read(clip, draw, control=False)
        of_video = videos.read(read_manifest(small_set / "manifest.jsonl")[1], draw, control=False)
        assert sample.caption == of_video.caption
        assert sample.text is not None
        assert torch.allclose(sample.text.float(), text.encode([sample.caption])[0], atol=2e-2)
        drawn.add(sample.caption)
    assert drawn == set(clip.captions)


def test_text_is_kept_to_its_last_token():
    text = torch.zeros(8, 4)
    text[:3] = torch.randn(3, 4)
    tensors = packed("a", torch.randn(2, 3, 4, 5), [text, text[:6] + 1], "int8")
    assert tensors["a/text"].shape == (3, 4)

    class Shard:
        def get_tensor(self, name: str) -> torch.Tensor:
            return tensors[name]

        def get_slice(self, name: str) -> torch.Tensor:
            return tensors[name]

    assert torch.allclose(unpacked_text(Shard(), "a", 8).float(), text, atol=2e-3)
    other = unpacked_text(Shard(), "a", 8, wording=1).float()
    assert torch.allclose(other[:6], text[:6] + 1, atol=2e-3)
    assert unpacked_latents(Shard(), "a", 1).shape == (1, 3, 4, 5)


def test_the_cache_names_what_made_it(small_set: Path, tmp_path: Path):
    encode(small_set, tmp_path)
    found = json.loads((tmp_path / CACHE_FILE).read_text())
    assert found["preset"] == "tiny"
    with pytest.raises(ValueError, match="vae is"):
        check_cache(tmp_path, {"vae": "another"})
