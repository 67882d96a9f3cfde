"""Fetch weights from the Hugging Face hub: `org/name`, or `org/name:path/in/repository`.

Only the files that the wanted network can be in are downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from c2r.models.control_registry import CONTROL_KINDS
from c2r.weights.layouts import Network

HUB_ID = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?::(.+))?")
WEIGHTS = (".safetensors", ".pth", ".pt", ".bin")

FILES: dict[Network, tuple[Sequence[str], Sequence[str]]] = {
    # Patterns match sub-folders too, so the other networks of a pipeline are excluded by name.
    "dit": (
        ["*.safetensors", "*.safetensors.index.json"],
        ["text_encoder*/*", "image_encoder*/*", "vae/*"],
    ),
    "tiny-vae": (["*taew2_1*"], []),
    "wan-vae": (["Wan2.1_VAE.pth", "vae/*.safetensors"], []),
}
"""Network -> patterns of the files to download, and of those to leave out."""


def is_hub_id(text: str) -> bool:
    """Whether `text` can be a hub id and is not plainly the name of a weights file."""
    return HUB_ID.fullmatch(text) is not None and (":" in text or not text.endswith(WEIGHTS))


def fetch(hub_id: str, network: Network) -> Path:
    """A local file or folder with the weights of `network` in that repository.

    `FileNotFoundError`, saying how to download by hand, if the hub does not give them.
    """
    from huggingface_hub import hf_hub_download, snapshot_download  # needed for hub ids only

    match = HUB_ID.fullmatch(hub_id)
    assert match is not None, "ask is_hub_id first"
    repository, file = match[1], match[2]
    control = CONTROL_KINDS.get(network)
    allow, ignore = FILES[network] if control is None else (control.hub_files, ())
    try:
        if file:
            return Path(hf_hub_download(repository, file))
        return Path(
            snapshot_download(repository, allow_patterns=[*allow], ignore_patterns=[*ignore])
        )
    except (OSError, ValueError) as error:  # offline, no such repository, not allowed, ill-formed
        reason = str(error).strip().split("\n", 1)[0]
        wanted = f"{repository} {file}" if file else repository
        raise FileNotFoundError(
            f"{hub_id} is no file or folder here, and the hub did not give it ({reason}). "
            f"If it is a path, check it; if it is a hub id, run `hf download {wanted} "
            "--local-dir FOLDER` on a machine with access and name FOLDER"
        ) from error
