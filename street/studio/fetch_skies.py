"""Fetches more photographs of skies, by npm:

    python -m street.studio.fetch_skies

puts those of the package `@pmndrs/assets` (CC0) where `sky_files` looks for them. It is optional:
without npm or a registry it says so, and scenes use the photographs that bpy brings. Run it before
a data set is made, not in between: with more photographs a scene's seed chooses another.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@pmndrs/assets@1.7.0"
NAMES = ("city", "dawn", "night", "park", "sky", "venice")
FOLDER = Path(sys.prefix) / "skies"


def unpack(archive: Path, folder: Path) -> None:
    """Writes the skies of the package's tarball as `NAME.exr`. Raises ValueError for another."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for name in NAMES:
            try:
                member = package.extractfile(f"package/hdri/{name}.exr.js")
            except KeyError:
                member = None
            found = member and re.search(rb"base64,([A-Za-z0-9+/=]+)", member.read())
            if not found:
                raise ValueError(f"{archive} holds no sky {name!r}; it should be {PACKAGE}")
            part = folder / f".{name}.part"
            part.write_bytes(base64.b64decode(found[1]))
            part.replace(folder / f"{name}.exr")


def main() -> int:
    """Fetches what is missing; 0 also where it cannot, with a line on stderr."""
    if all((FOLDER / f"{name}.exr").exists() for name in NAMES):
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        try:
            command = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", scratch]
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", "") or error
            print(f"npm cannot fetch {PACKAGE} ({reason}): only bpy's skies", file=sys.stderr)
            return 0
        unpack(next(Path(scratch).glob("*.tgz")), FOLDER)
    print(f"{len(NAMES)} more skies in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
