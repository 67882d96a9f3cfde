"""Captions by a vision-language model from a local folder, through transformers.

Any model that `AutoModelForImageTextToText` reads and whose processor has a chat template will do
(Qwen2-VL, Qwen2.5-VL, Qwen3-VL and their like). Decoding is greedy: the same clip, the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from c2r.clips.fit import Image
from trainer.data.curate.settings import CaptionerSettings


class Captioner:
    """A model and its processor; call it with the frames of a clip.

    ValueError when `folder` holds no such model, or what its processor needs is not installed.
    """

    def __init__(self, folder: Path, settings: CaptionerSettings) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.settings = settings
        self.device = torch.device(_device(settings.device))
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        try:
            self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
            model = AutoModelForImageTextToText.from_pretrained(
                folder, local_files_only=True, dtype=dtype
            )
        except (OSError, ValueError, ImportError) as error:
            raise ValueError(f"--captioner {folder} cannot be used: {error}") from error
        if getattr(self._processor, "chat_template", None) is None:
            raise ValueError(f"--captioner {folder}: its processor has no chat template")
        self._model: Any = model.to(self.device).eval()

    def __call__(self, frames: Sequence[Image]) -> str:
        """One caption for frames `[height, width, 3]` of a clip, on one line; may be empty."""
        import torch

        inputs = self._processor.apply_chat_template(
            self._question(frames),
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.device)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs, max_new_tokens=self.settings.max_tokens, do_sample=False
            )
        said = tokens[:, inputs["input_ids"].shape[1] :]
        text: str = self._processor.batch_decode(said, skip_special_tokens=True)[0]
        return " ".join(text.split())

    def _question(self, frames: Sequence[Image]) -> list[dict[str, Any]]:
        count = min(len(frames), self.settings.pictures)
        chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
        images = [
            {"type": "image", "image": Pillow.fromarray(frames[index])} for index in chosen.tolist()
        ]
        words = {"type": "text", "text": self.settings.prompt}
        return [{"role": "user", "content": [*images, words]}]


@lru_cache(maxsize=1)
def captioner_of(folder: Path, settings: CaptionerSettings) -> Captioner:
    """The captioner of this process, loaded at its first clip."""
    return Captioner(folder, settings)


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name
