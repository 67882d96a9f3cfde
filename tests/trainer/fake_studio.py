"""Small programs that write files of the agreed form in the place of JuPedSim, the game engine and
Blender, and that fail on demand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from street.director.programs import Programs

STUDIO = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
import numpy as np

faults = Path(__file__).with_name("faults")
def fault(name):
    # One letter per call that asks: x for a fault, a dash for none.
    path = faults / name
    left = path.read_text() if path.exists() else ""
    path.write_text(left[1:])
    if left[:1] == "x":
        with Path(__file__).with_name("log").open("a") as log:
            log.write(f"fault {{name}}\\n")
    return left[:1] == "x"

program, first, out = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[5])
with Path(__file__).with_name("log").open("a") as log:
    log.write(program + "\\n")

def walk():
    if fault("walk-garbage"):
        return out.write_text("no tracks")
    from street.city.routes import start_position
    from street.city.plan import from_dict
    request = json.loads(first.read_text())
    plan, frames = from_dict(request["plan"]), request["frames"]
    here = np.array([start_position(w, plan.nodes, plan.walkways) for w in plan.walkers])
    ends = np.array([plan.nodes[w.to] for w in plan.walkers])
    way = (ends - here) / np.linalg.norm(ends - here, axis=1, keepdims=True)
    t = np.arange(frames)[:, None] / request["fps"]
    n, m = len(plan.walkers), len(plan.cars)
    road = np.full((frames, m, 2), 500.0)
    np.savez(out, position=here + way * t[..., None], walked=t + np.zeros(n),
             rolled=t + np.zeros(m), heading=np.tile(np.arctan2(way[:, 1], way[:, 0]), (frames, 1)),
             swing=np.ones((frames, n)), car_position=road, car_heading=np.zeros((frames, m)))

def fine():
    from PIL import Image
    header = json.loads((first / "take.json").read_text())
    frames = len(np.load(first / "tracks.npz")["eye"])
    (out / "fine").mkdir(parents=True, exist_ok=True)
    if fault("fine-dies"):
        os.kill(os.getpid(), 9)
    if fault("fine-full"):
        sys.exit("OSError: [Errno 28] No space left on device")
    if fault("fine-short"):
        frames -= 1
    if fault("fine-hangs"):
        (out / "fine" / "0000.png").touch()
        import time; time.sleep(60)
    for k in range(frames):
        path = out / "fine" / f"{{k:04}}.png"
        if fault("fine-garbage"):
            path.write_text("no image")
        if path.exists():
            continue
        rng = np.random.default_rng([header["seed"], k])
        shape = (header["height"] // 8, header["width"] // 8, 3)
        blocks = rng.integers(0, 255, shape, np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(blocks).save(path)
        if k == 2 and fault("fine-fails-late"):
            sys.exit("GPU melted at frame 3")

def record():
    from fractions import Fraction
    from c2r.clips import VideoWriter
    header = json.loads((first / "take.json").read_text())
    frames = len(np.load(first / "tracks.npz")["eye"]) - fault("record-short")
    out.mkdir(exist_ok=True)
    with VideoWriter(out / "coarse.mp4", header["fps"]) as video:
        for k in range(frames):
            video.write(np.full((header["height"], header["width"], 3), 40 * k % 256, np.uint8))
    if fault("record-bare"):
        return
    np.savez(out / "geometry.npz", depth=np.ones(3))
    (out / "camera.json").write_text("[]")

{{"walk": walk, "render_take": fine, "record_take": record}}[program.rpartition(".")[2]]()
"""


class Studio:
    """The replacement programs, in their own folder, with the faults to inject."""

    def __init__(self, folder: Path) -> None:
        (folder / "faults").mkdir(parents=True)
        self.folder, self.python = folder, folder / "python"
        self.python.write_text(STUDIO, encoding="utf-8")
        self.python.chmod(0o755)

    def programs(self, timeout: float = 60.0) -> Programs:
        record = (str(self.python), "-m", "street.game.record_take")
        return Programs(self.python, record=record, timeout=timeout)

    def break_down(self, name: str, times: int, *, after: int = 0) -> None:
        """Inject a fault `times` times, beginning with the program's call number `after`."""
        (self.folder / "faults" / name).write_text("-" * after + "x" * times)

    def log(self) -> list[str]:
        """Programs that were started, and faults that happened, since the last call."""
        path = self.folder / "log"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        path.write_text("")
        return [line.rpartition(".")[2] for line in lines]
