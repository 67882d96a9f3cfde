"""A hash of the weights that engines are made of."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from c2r.models.build import Networks


def weights_sha256(networks: Networks) -> str:
    """SHA-256 of every weight that a graph may hold, in its own dtype: names, shapes, values.

    The text encoder is left out: no graph holds it.
    """
    digest = hashlib.sha256()
    parts = {"dit": networks.dit, "dino": networks.dino, "vae": networks.vae}
    modules: dict[str, nn.Module] = dict(parts)
    if networks.control is not None:
        modules["control"] = networks.control
    for part, module in sorted(modules.items()):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(f"{part}.{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(memoryview(flat.numpy()))
    return digest.hexdigest()
