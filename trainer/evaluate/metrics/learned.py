"""Learned metrics from local weights: LPIPS, FVD, CLIP score, and a VLM as judge.

None is needed and none is downloaded: each is measured when its file or folder is given.

F frames, H W pixel rows and columns, d width of a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.nn import functional

from trainer.evaluate.metrics.features import AlexStatistics, load_scripted, weights_hash
from trainer.evaluate.videos import Frames, as_tensor, even_places
from trainer.networks.lpips import AlexLpips, packaged_weights

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
JUDGED_FRAMES = 4
"""Frames of a clip that CLIP and the VLM are given, evenly spread."""
QUESTION = (
    "How much does this picture look like a frame of real camera footage? Answer with one digit: "
    "1 is a plain computer graphic, 5 cannot be told from footage."
)
ANSWERS = ("1", "2", "3", "4", "5")


class Lpips:
    """LPIPS by a network that takes two `[F, 3, H, W]` in [-1, 1] and gives a distance per frame.

    `path`: a TorchScript file, a `.pth` of ST-LPIPS' AlexNet, or the word `alex` for the packaged
    one.
    """

    def __init__(self, path: Path) -> None:
        if path == Path("alex"):
            path = packaged_weights()
        scripted = path.suffix != ".pth"
        self.network = load_scripted(path) if scripted else AlexLpips(path).eval()
        kind = "TorchScript" if scripted else "ST-LPIPS AlexNet"
        self.described = f"{kind} {path.name} {weights_hash(self.network)}"

    @torch.no_grad()
    def __call__(self, frames: Frames, fine: Frames) -> float:
        """Mean distance of the frames of two clips `[F, H, W, 3]`; 0 is best."""
        pairs = zip(as_tensor(frames).split(8), as_tensor(fine).split(8), strict=True)
        parts = [self.network(a.float() / 127.5 - 1, b.float() / 127.5 - 1) for a, b in pairs]
        return float(torch.cat([part.flatten() for part in parts]).mean())


class VideoFeatures:
    """A clip's vector for FVD by a TorchScript video network, such as the published I3D.

    The network takes `[1, 3, F, H, W]` in 0..255 and gives `[1, d]`; flags `rescale`, `resize` and
    `return_features` of its forward, where it has them, are set.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.network: Any = load_scripted(path)
        forward: Any = self.network.forward
        known = {argument.name for argument in forward.schema.arguments}
        self.flags = {
            name: True for name in ("rescale", "resize", "return_features") if name in known
        }
        self.described = f"TorchScript {path.name} {weights_hash(self.network)}"

    @torch.no_grad()
    def __call__(self, frames: Frames) -> Tensor:
        """`[1, d]` of a clip `[F, H, W, 3]`; `ValueError` when the network gives something else."""
        video = as_tensor(frames).float().transpose(0, 1)[None]
        vector = self.network(video, **self.flags)
        if not isinstance(vector, Tensor) or vector.ndim != 2 or len(vector) != 1:
            raise ValueError(f"{self.path} gives no [1, d] for one clip; it must")
        return vector.float()


class ClipScore:
    """CLIP score from a Hugging Face folder: does a clip show what its caption says?"""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer, CLIPModel

        _check_folder(folder, "CLIP")
        self.model: Any = CLIPModel.from_pretrained(folder, local_files_only=True).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.described = f"{folder.name} {weights_hash(self.model)}"

    @torch.no_grad()
    def __call__(self, frames: Frames, caption: str) -> float:
        """`max(0, 100 cos)`, mean over evenly spread frames of a clip `[F, H, W, 3]`."""
        config = self.model.config
        words = self.tokenizer(
            caption,
            truncation=True,
            max_length=config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        chosen = as_tensor(frames[even_places(len(frames), JUDGED_FRAMES)])
        output = self.model(
            input_ids=words.input_ids,
            attention_mask=words.attention_mask,
            pixel_values=clip_pixels(chosen, config.vision_config.image_size),
        )
        cosine = functional.cosine_similarity(output.image_embeds, output.text_embeds)
        return float((100 * cosine).clamp_min(0).mean())


def clip_pixels(frames: Tensor, size: int) -> Tensor:
    """Frames `[F, 3, H, W]` uint8 as CLIP's input: the middle square, `size` pixels a side."""
    side = min(frames.shape[-2:])
    top, left = ((length - side) // 2 for length in frames.shape[-2:])
    square = frames[..., top : top + side, left : left + side].float() / 255
    small = functional.interpolate(square, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(row)[:, None, None] for row in (CLIP_MEAN, CLIP_STD))
    return (small - mean) / std


class VlmJudge:
    """A vision-language model that says, from 1 to 5, how real a frame looks.

    Its answer is the expectation over the logits of the five digits, so it needs no sampling.
    """

    def __init__(self, model: Any, processor: Any, described: str) -> None:
        self.model, self.processor, self.described = model, processor, described
        ids = [processor.tokenizer.encode(a, add_special_tokens=False) for a in ANSWERS]
        if any(len(row) != 1 for row in ids):
            raise ValueError(
                f"{described}: the digits 1 to 5 are no single tokens; use another VLM"
            )
        self.answers = [row[0] for row in ids]

    @classmethod
    def load(cls, folder: Path) -> VlmJudge:
        """Load a Hugging Face folder of any image-text-to-text model."""
        from transformers import AutoModelForImageTextToText, AutoProcessor

        _check_folder(folder, "VLM")
        model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True).eval()
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        return cls(model, processor, f"{folder.name} {weights_hash(model)}")

    @torch.no_grad()
    def __call__(self, frames: Frames) -> float:
        """Mean of evenly spread frames of a clip `[F, H, W, 3]`, 1 to 5."""
        places = even_places(len(frames), JUDGED_FRAMES)
        return sum(self._judge(frames[place]) for place in places) / len(places)

    def _judge(self, frame: Frames) -> float:
        content = [
            {"type": "image", "image": Pillow.fromarray(frame)},
            {"type": "text", "text": QUESTION},
        ]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        logits = self.model(**inputs).logits[0, -1, self.answers].float()
        grades = torch.arange(1, len(ANSWERS) + 1)
        return float((logits.softmax(dim=0) * grades).sum())


def _check_folder(folder: Path, what: str) -> None:
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder} is no {what} folder: it has no config.json; give a local folder"
        )


@dataclass(frozen=True)
class LearnedMetrics:
    """The learned metrics whose weights were given."""

    lpips: Lpips | None = None
    fvd: VideoFeatures | None = None
    clip: ClipScore | None = None
    vlm: VlmJudge | None = None
    pretrained: AlexStatistics | None = None

    @property
    def described(self) -> dict[str, str]:
        """Metric -> its file and the hash of its weights, for the report."""
        metrics = {"lpips": self.lpips, "fvd": self.fvd, "clip": self.clip, "vlm": self.vlm}
        described = {name: one.described for name, one in metrics.items() if one is not None}
        if self.pretrained is not None:
            digest = weights_hash(self.pretrained)
            described["kid_pretrained"] = f"{self.pretrained.described} {digest}"
        return described


def load_learned(
    lpips: Path | None, fvd: Path | None, clip: Path | None, vlm: Path | None
) -> LearnedMetrics:
    """Load those whose weights are given; `ValueError` for a file or folder that holds none."""
    distance = None if lpips is None else Lpips(lpips)
    alex = None if distance is None else distance.network
    return LearnedMetrics(
        distance,
        None if fvd is None else VideoFeatures(fvd),
        None if clip is None else ClipScore(clip),
        None if vlm is None else VlmJudge.load(vlm),
        AlexStatistics(alex) if isinstance(alex, AlexLpips) else None,
    )
