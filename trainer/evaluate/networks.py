"""The networks that measure: DINO, the extractor for KID and FID, the classifier, learned ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from c2r.clips import VideoClip
from c2r.models.dino import DinoEncoder, load_dino
from trainer.data.manifest import Clip, read_manifest
from trainer.evaluate.metrics.features import (
    DinoStatistics,
    ScriptedFeatures,
    features_of,
    weights_hash,
)
from trainer.evaluate.metrics.learned import load_learned
from trainer.evaluate.metrics.prompt import PromptClassifier
from trainer.evaluate.metrics.prompt_training import trained_classifier
from trainer.evaluate.options import MANIFEST, Run
from trainer.evaluate.score import MetricNetworks
from trainer.evaluate.videos import as_tensor, video_size

REFERENCE_STEP = 4
"""Every fourth frame of reference videos is used: neighbours are alike."""
VIDEOS = (".mp4", ".mkv", ".mov", ".webm")


def prompt_classifier(run: Run) -> PromptClassifier | None:
    """The classifier of the data's train split, from the cache or trained; None where left out."""
    chosen = run.chosen
    if chosen.no_prompt or chosen.data is None:
        run.left_out.append(
            "prompt response: " + ("--no-prompt" if chosen.no_prompt else "no --data")
        )
        return None
    cache = chosen.cache or chosen.data / ".eval"
    manifest = read_manifest(chosen.data / MANIFEST)
    bar = run.bar("prompt classifier")
    classifier = trained_classifier(chosen.data, manifest, cache, on_epoch=bar)
    return classifier.to(run.device)


def structure_dino(run: Run, clips: Sequence[Clip]) -> DinoEncoder | None:
    """The DINO of `--features`, else of the first renderer, on the grid of the clips."""
    source = run.chosen.features
    if source is None and run.weights:
        source = str(next(iter(run.weights.values())) / "dino")
    if source is None:
        if clips or run.chosen.drift_coarse is not None:
            raise ValueError(
                "structure needs a DINO; give --features FOLDER (such as the dino/ of a renderer)"
            )
        return None
    if clips:
        width, height = clips[0].width, clips[0].height
    else:
        width, height = video_size(run.chosen.drift[0])
    return load_dino(source, (max(1, height // 16), max(1, width // 16))).to(run.device)


def metric_networks(
    run: Run, dino: DinoEncoder, classifier: PromptClassifier | None
) -> MetricNetworks:
    """All networks that measure clips; notes the learned metrics that were not given."""
    chosen = run.chosen
    extractor: nn.Module
    if chosen.kid_features is None:
        extractor = DinoStatistics(dino, classifier).eval()
    else:
        extractor = ScriptedFeatures(chosen.kid_features)
    learned = load_learned(chosen.lpips, chosen.fvd, chosen.clip, chosen.vlm)
    for name in ("lpips", "fvd", "clip", "vlm"):
        if getattr(learned, name) is None:
            run.left_out.append(f"{name}: no weights given (--{name})")
    return MetricNetworks(dino, extractor, classifier, learned)


def reference_vectors(run: Run, extractor: nn.Module, clip: Clip) -> Tensor | None:
    """Frame vectors of a folder of videos, fitted to the clips' size; None for the fine renders."""
    if run.chosen.reference == "fine":
        return None
    folder = Path(run.chosen.reference)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEOS)
    if not paths:
        raise ValueError(f"--reference {folder} holds no videos ({', '.join(VIDEOS)})")
    bar, vectors = run.bar("reference"), []
    for done, path in enumerate(paths):
        frames = list(VideoClip(path, clip.width, clip.height, clip.fps))[::REFERENCE_STEP]
        stacked = torch.stack([as_tensor(frame[None])[0] for frame in frames])
        vectors.append(features_of(extractor, stacked))
        bar(done + 1, len(paths))
    return torch.cat(vectors)


def extractors_of(networks: MetricNetworks) -> dict[str, str]:
    """Metric -> the network behind it, with its hash."""
    vectors = f"{networks.extractor.described} {weights_hash(networks.extractor)}"
    dino = f"DINO {weights_hash(networks.dino)}"
    by_metric = {"kid": vectors, "fid": vectors, "structure": dino}
    if networks.classifier is not None:
        by_metric["prompt"] = f"prompt classifier {weights_hash(networks.classifier)}"
    return by_metric | networks.learned.described
