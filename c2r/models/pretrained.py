"""Networks in Hugging Face's format, loaded by transformers, with errors that say what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PretrainedConfig, PreTrainedModel

from c2r.models.precision import is_finite

SHOWN = 10
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def locate(source: str | Path, advice: str) -> str:
    """`source` as transformers takes it: an existing folder or a Hugging Face id `owner/name`.

    `ValueError`, ending in `advice`, for a path where no folder is.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return str(folder)
    if folder.exists():
        raise ValueError(f"{source} is a file; give the folder that holds it. {advice}")
    if isinstance(source, Path) or not _HUB_ID.fullmatch(source):
        raise ValueError(f"there is no folder {source}. {advice}")
    return source


@dataclass(frozen=True)
class Pretrained:
    """A network in Hugging Face's format: a local folder or hub id, `subfolder` inside it.

    `advice` ends each error: what the user can do about it.
    """

    place: str
    advice: str
    subfolder: str = ""

    def config(self) -> dict[str, Any]:
        """What config.json says, {} without one; `ValueError` when the place cannot be read."""
        try:
            config, _ = PretrainedConfig.get_config_dict(self.place, subfolder=self.subfolder)
        except OSError as error:
            raise self.refusal(error) from error
        return dict(config)

    def load(
        self, model_class: type[PreTrainedModel], dtype: torch.dtype, unused: tuple[str, ...]
    ) -> PreTrainedModel:
        """The network with its weights, on the CPU; `ValueError` unless all tensors match.

        `unused`: prefixes of tensors that the file may hold beyond the network's own.
        """
        try:
            model, report = model_class.from_pretrained(
                self.place,
                subfolder=self.subfolder,
                dtype=dtype,
                ignore_mismatched_sizes=True,  # reported below, with the missing ones
                output_loading_info=True,
            )
        except (OSError, SafetensorError) as error:
            raise self.refusal(error) from error
        tensors = model.state_dict()
        faults = {
            "missing": [
                f"{name} {list(tensors[name].shape)}" if name in tensors else name
                for name in sorted(report["missing_keys"])
            ],
            "unexpected": sorted(k for k in report["unexpected_keys"] if not k.startswith(unused)),
            "of the wrong shape": sorted(map(str, report["mismatched_keys"])),
        }
        if any(faults.values()):
            differences = "; ".join(
                f"{what}: {_few(keys)}" for what, keys in faults.items() if keys
            )
            raise ValueError(f"the weights in {self} do not fit its config.json: {differences}")
        if broken := [name for name, value in tensors.items() if not is_finite(value)]:
            raise ValueError(f"the weights in {self} hold NaN or infinity in: {_few(broken)}")
        return model

    def __str__(self) -> str:
        return f"{self.place}/{self.subfolder}" if self.subfolder else self.place

    def refusal(self, error: Exception) -> ValueError:
        """What to raise for a library's `error` about this place: its first line, then `advice`."""
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return ValueError(f"cannot read {self}: {reason[0]} {self.advice}")


def _few(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
