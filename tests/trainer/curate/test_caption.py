"""Captions: from files beside the videos, from a model, from the command line, or none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.trainer.curate import tiny_vlm
from tests.trainer.curate.folder import arguments
from tests.trainer.curate.footage import pan, write
from trainer.data.curate.caption import Captioner
from trainer.data.curate.command import main
from trainer.data.curate.settings import CaptionerSettings
from trainer.data.manifest import read_manifest

HAS_TORCHVISION = importlib.util.find_spec("torchvision") is not None
SHORT = CaptionerSettings(prompt="What is it?", max_tokens=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "videos"
    made.mkdir()
    for name in ("a", "b"):
        write(made / f"{name}.mp4", pan(1, 32))
    return made


def captions(out: Path) -> dict[str, str]:
    return {clip.attributes["file"]: clip.caption for clip in read_manifest(out / "manifest.jsonl")}


def bare(folder: Path, out: Path, *more: str) -> list[str]:
    """The usual command line without a caption."""
    usual = arguments(folder, out)
    at = usual.index("--caption")
    return usual[:at] + usual[at + 2 :] + list(more)


def test_texts_beside_videos_come_before_the_list_and_the_default(folder: Path, tmp_path: Path):
    write(folder / "c.mp4", pan(1, 32))
    (folder / "a.txt").write_text("A street,\n  seen from a car.\n", "utf-8")
    rows = ['{"file": "a.mp4", "caption": "not this"}', '{"file": "b.mp4", "caption": "Straße"}']
    (folder / "captions.jsonl").write_text("\n".join(rows), "utf-8")
    main(arguments(folder, tmp_path / "out"))
    assert captions(tmp_path / "out") == {
        "a.mp4": "A street, seen from a car.",
        "b.mp4": "Straße",
        "c.mp4": "a pattern",
    }


def test_a_video_without_any_caption_is_refused_with_the_ways_out(folder: Path, tmp_path: Path):
    (folder / "a.txt").write_text("A street.", "utf-8")
    with pytest.raises(ValueError, match=r"1 of 2 .* b\.txt .*--captioner.*--caption TEXT"):
        main(bare(folder, tmp_path / "out"))


def test_broken_rows_have_their_number(folder: Path, tmp_path: Path):
    path = folder / "captions.jsonl"
    path.write_text('{"file": "a.mp4", "caption": "x"}\n{"file": ', "utf-8")
    with pytest.raises(ValueError, match=r"captions\.jsonl row 2 is broken JSON"):
        main(arguments(folder, tmp_path / "out"))
    path.write_text('\n["a.mp4"]\n', "utf-8")
    with pytest.raises(ValueError, match=r"captions\.jsonl row 2 must be"):
        main(arguments(folder, tmp_path / "out"))
    path.unlink()
    (folder / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"a\.txt is not UTF-8"):
        main(arguments(folder, tmp_path / "out"))


def test_a_caption_too_long_for_the_manifest_is_reported(folder: Path, tmp_path: Path):
    (folder / "a.txt").write_text("word " * 2000, "utf-8")
    main(arguments(folder, tmp_path / "out"))
    assert captions(tmp_path / "out") == {"b.mp4": "a pattern"}
    assert "9999 characters" in (tmp_path / "out/rejected.jsonl").read_text("utf-8")


def save(kind: str, folder: Path) -> Path:
    if kind == "qwen" and not HAS_TORCHVISION:
        pytest.skip("Qwen-VL's processor needs torchvision, which is not installed")
    return tiny_vlm.save_qwen(folder) if kind == "qwen" else tiny_vlm.save_llava(folder)


@pytest.mark.parametrize("kind", ["qwen", "llava"])
def test_a_model_looks_at_the_frames(kind: str, tmp_path: Path):
    captioner = Captioner(save(kind, tmp_path), SHORT)
    first = captioner(pan(1, 9))
    assert first
    assert "What is it?" not in first, "the answer must not hold the question"
    assert captioner(pan(1, 9)) == first
    assert captioner(pan(2, 9)) != first


def test_a_model_writes_the_captions_of_a_run(folder: Path, tmp_path: Path):
    model = tiny_vlm.save_llava(tmp_path / "model")
    (folder / "b.txt").write_text("A street.", "utf-8")
    out = tmp_path / "out"
    main(bare(folder, out, "--captioner", str(model), "--captioner.max_tokens=8"))
    found = captions(out)
    assert found["b.mp4"] == "A street."
    assert found["a.mp4"] not in ("", "A street.")


def test_a_folder_that_is_no_model_is_refused(folder: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="no model is there"):
        main(bare(folder, tmp_path / "out", "--captioner", str(tmp_path / "none")))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be used"):
        Captioner(tmp_path, SHORT)
