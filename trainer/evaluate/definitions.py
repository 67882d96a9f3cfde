"""What every column means: formula, range, which way is better, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["up", "down", "near the fine render's"]


@dataclass(frozen=True)
class Definition:
    """One column. `digits` after the point in tables."""

    title: str
    formula: str
    range: str
    better: Better
    source: str
    digits: int = 3


_LEVELS = "0 to 255 levels"

DEFINITIONS: dict[str, Definition] = {
    "kid": Definition(
        "KID",
        "unbiased MMD² of frame vectors x, y of width d under (x·y/d + 1)³, to the reference set",
        "about 0 and up",
        "down",
        "Bińkowski et al. 2018, torchmetrics; extractor as named",
        5,
    ),
    "fid": Definition(
        "FID",
        "|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) of frame vectors; biased up for few frames",
        "0 and up",
        "down",
        "Heusel et al. 2017, torchmetrics; extractor as named",
    ),
    "structure": Definition(
        "structure",
        "linear CKA of the DINO tokens' Gram matrices, clip and coarse input, mean over frames",
        "0 to 1",
        "near the fine render's",
        "Kornblith et al. 2019; relations as in VideoREPA",
    ),
    "structure_fine": Definition(
        "structure (fine)",
        "the same against the fine render: what a better look adds counts too",
        "0 to 1",
        "up",
        "as structure",
    ),
    "edges": Definition(
        "edge F1",
        "F1 within 1 px of the steepest luma edges against as many depth edges of the engine",
        "0 to 1",
        "near the fine render's",
        "boundary F-measure (Martin et al. 2004) at equal counts",
    ),
    "warp": Definition(
        "warp",
        "mean |I_t(p) - I_{t-1}(p + m_t(p))|, m the engine's motion, visible in both frames",
        _LEVELS,
        "down",
        "after Lai et al. 2018, absolute in place of squared",
        2,
    ),
    "revisit": Definition(
        "revisit",
        "mean |I_i - I_j| of frames i, j with equal camera poses, where nothing moves",
        _LEVELS,
        "down",
        "own",
        2,
    ),
    "flicker": Definition(
        "flicker",
        "mean |I_t - I_{t-1}|; motion counts too",
        _LEVELS,
        "near the fine render's",
        "VBench's temporal flickering (Huang et al. 2024)",
        2,
    ),
    "drift": Definition(
        "drift",
        "largest |end - begin| / max(begin, 0.01) of brightness, contrast, saturation and "
        "sharpness, the last against the first 10 s, or sixth of a shorter clip",
        "0 and up",
        "near the fine render's",
        "own; imaging statistics by segment as in the long-video papers",
    ),
    "prompt": Definition(
        "prompt",
        "share of clips whose hour and weather the classifier recognises as asked, mean of both",
        "0 to 1",
        "up",
        "own; classifier trained on fine frames of the train split",
    ),
    "hour": Definition("hour", "the same for the hour alone", "0 to 1", "up", "as prompt"),
    "weather": Definition("weather", "the same for the weather alone", "0 to 1", "up", "as prompt"),
    "flatness": Definition(
        "flatness",
        "share of 8x8 blocks whose luma deviates under 2 levels from its best plane",
        "0 to 1",
        "near the fine render's",
        "own",
    ),
    "uniformity": Definition(
        "uniformity",
        "1 / (1 + s / m), mean m and deviation s of the lumas of 6 x 8 fields",
        "0 to 1",
        "near the fine render's",
        "own",
    ),
    "leakage": Definition(
        "leakage",
        "on / (on + off) of mean luma gradients on the coarse clip's steepest 5 % and elsewhere",
        "0 to 1",
        "near the fine render's",
        "own",
    ),
    "psnr": Definition(
        "PSNR", "10 log10(1 / MSE) to the fine render, dB", "0 and up", "up", "torchmetrics", 2
    ),
    "ssim": Definition(
        "SSIM",
        "structural similarity to the fine render, 11x11 Gaussian, sigma 1.5",
        "-1 to 1",
        "up",
        "Wang et al. 2004, torchmetrics",
    ),
    "lpips": Definition(
        "LPIPS",
        "learned distance of frames to the fine render's, by the given TorchScript network",
        "0 and up",
        "down",
        "Zhang et al. 2018",
    ),
    "fvd": Definition(
        "FVD",
        "Fréchet distance of the clips' vectors by the given TorchScript video network",
        "0 and up",
        "down",
        "Unterthiner et al. 2018",
        1,
    ),
    "clip": Definition(
        "CLIP",
        "100 cos of CLIP's vectors of a frame and of its caption, not below 0",
        "0 to 100",
        "up",
        "Hessel et al. 2021",
        2,
    ),
    "vlm": Definition(
        "VLM",
        "expected answer of the given model, 1 to 5, to how real a frame looks",
        "1 to 5",
        "up",
        "after RealMaster's VLM realism judge",
        2,
    ),
}

DERIVED: dict[str, Definition] = {
    "kid_to_coarse": Definition(
        "KID / coarse's", "KID over the coarse input's KID", "about 0 and up", "down", "derived"
    ),
    "structure_to_fine": Definition(
        "structure / fine's", "structure over the fine render's", "0 and up", "up", "derived"
    ),
    "warp_to_fine": Definition(
        "warp / fine's", "warp error over the fine render's", "0 and up", "down", "derived"
    ),
    "prompt_percent": Definition("prompt %", "100 x prompt", "0 to 100", "up", "derived", 1),
    "kept_kid": Definition(
        "KID kept",
        "(coarse - this) / (coarse - teacher) of KID: share of the teacher's improvement",
        "1 is the teacher's",
        "up",
        "derived",
    ),
    "kept_structure": Definition(
        "structure kept",
        "(this - coarse) / (teacher - coarse) of structure (fine)",
        "1 is the teacher's",
        "up",
        "derived",
    ),
}
