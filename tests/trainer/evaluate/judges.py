"""Stand-ins for learned metrics, saved as the published ones: known answers, or random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel

from c2r.models.text import byte_tokenizer


class Distance(torch.nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean(dim=(1, 2, 3), keepdim=True)


class Video(torch.nn.Module):
    """With the flags of the published I3D file."""

    def forward(self, x: torch.Tensor, rescale: bool = False, return_features: bool = False):
        assert x.shape[1] == 3
        scale = 1 / 255 if rescale else 1.0
        return x.mean(dim=(3, 4)).flatten(1) * scale if return_features else x


def save_script(network: torch.nn.Module, path: Path) -> Path:
    """As a TorchScript file."""
    torch.jit.script(network).save(str(path))
    return path


def save_clip(folder: Path) -> Path:
    """CLIP of one layer, with a tokenizer of bytes."""
    text = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "max_position_embeddings": 24, "eos_token_id": 1}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    torch.manual_seed(2)
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder
