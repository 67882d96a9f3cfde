"""What every column means: formula, range, which way is better, and its source."""

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
        "unbiased MMD² to the reference frames, kernel (x·y/d + 1)³ of frame vectors of width d",
        "about 0 and up",
        "down",
        "Bińkowski et al. 2018, torchmetrics; extractor as named",
        5,
    ),
    "kid_pretrained": Definition(
        "KID (AlexNet)",
        "as KID, always to the fine renders, of an AlexNet trained on photographs",
        "about 0 and up",
        "down",
        "as KID; AlexNet of ST-LPIPS",
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
        "as structure, between clip and fine render",
        "0 to 1",
        "up",
        "as structure",
    ),
    "edges": Definition(
        "edge F1",
        "F1 of luma edges and the engine's depth edges, equally many, within 1 px",
        "0 to 1",
        "near the fine render's",
        "boundary F-measure (Martin et al. 2004) at equal counts",
    ),
    "warp": Definition(
        "warp",
        "mean |I_t(p) - I_{t-1}(p + m_t(p))| where visible in both, m the engine's motion",
        _LEVELS,
        "down",
        "after Lai et al. 2018, absolute in place of squared",
        2,
    ),
    "revisit": Definition(
        "revisit",
        "mean |I_i - I_j| of frames i, j of equal camera pose, static pixels",
        _LEVELS,
        "down",
        "own",
        2,
    ),
    "flicker": Definition(
        "flicker",
        "mean |I_t - I_{t-1}|, motion included",
        _LEVELS,
        "near the fine render's",
        "VBench's temporal flickering (Huang et al. 2024)",
        2,
    ),
    "drift": Definition(
        "drift",
        "largest |end - begin| / max(begin, 0.01) of brightness, contrast, saturation and "
        "sharpness, over the first and last 10 s (a sixth of clips under a minute)",
        "0 and up",
        "near the fine render's",
        "own; imaging statistics by segment as in the long-video papers",
    ),
    "prompt": Definition(
        "prompt",
        "share of clips whose hour and weather are classified as prompted, mean of both",
        "0 to 1",
        "up",
        "own; classifier trained on fine frames of the train split",
    ),
    "hour": Definition("hour", "as prompt, hour alone", "0 to 1", "up", "as prompt"),
    "weather": Definition("weather", "as prompt, weather alone", "0 to 1", "up", "as prompt"),
    "flatness": Definition(
        "flatness",
        "share of 8x8 blocks whose luma deviates less than 2 levels from its best-fitting plane",
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
        "on / (on + off), mean luma gradient on the coarse clip's steepest 5 % and elsewhere",
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
    "shift": Definition(
        "brightness shift",
        "mean luma less the fine render's, mean of the clips: below 0 all are too dark",
        "-1 to 1",
        "near the fine render's",
        "own",
    ),
    "brightness": Definition(
        "brightness error",
        "size of each clip's brightness shift, mean of the clips",
        "0 to 1",
        "down",
        "own",
    ),
    "histogram": Definition(
        "histogram error",
        "total variation distance of colour histograms of 32 bins, to the fine render's",
        "0 to 1",
        "down",
        "own",
    ),
    "sharpness": Definition(
        "sharpness",
        "mean luma step to the next pixel, over the fine render's",
        "0 and up",
        "near the fine render's",
        "own",
    ),
    "lpips": Definition(
        "LPIPS",
        "learned distance to the fine render, by the given network",
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
        "max(0, 100 cos) of CLIP's vectors of frame and caption",
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
        "after RealMaster's VLM judge of realism",
        2,
    ),
}

DERIVED: dict[str, Definition] = {
    "psnr_gain": Definition(
        "PSNR gain", "PSNR - that of the coarse input, dB", "any", "up", "derived", 2
    ),
    "lpips_to_coarse": Definition(
        "LPIPS / coarse's", "LPIPS / that of the coarse input", "0 and up", "down", "derived"
    ),
    "worst_brightness": Definition(
        "largest brightness error", "of any clip", "0 to 1", "down", "derived"
    ),
    "kid_to_coarse": Definition(
        "KID / coarse's", "KID / that of the coarse input", "about 0 and up", "down", "derived"
    ),
    "structure_to_fine": Definition(
        "structure / fine's", "structure / that of the fine render", "0 and up", "up", "derived"
    ),
    "warp_to_fine": Definition(
        "warp / fine's", "warp / that of the fine render", "0 and up", "down", "derived"
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
