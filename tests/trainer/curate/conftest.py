"""The folder of videos and one run over it, shared by all tests here and changed by none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.curate import folder
from trainer.data.curate.command import main


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder.make(tmp_path_factory.mktemp("footage") / "videos")


@pytest.fixture(scope="session")
def curated(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("curated")
    assert main(folder.arguments(videos, out)) == 0
    return out
