"""How large the operator's image is, layer by layer: as it stands unpacked, and as a registry hands it out.

The base here is Debian assembled by the testbed; what is ours is the last layer, the same on any base.

PYTHONPATH=tests .venv/bin/python tests/bench/bench_image.py
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tarfile
from pathlib import Path

from tables import print_table
from testbed.node.operatorimage import operator_image


def main(archive: Path) -> None:
    rows = layers(archive)
    rows.append(("all", [sum(sizes) for sizes in zip(*(row for _, row in rows), strict=True)]))
    shown = ((what, *(f"{size / 2**20:.1f} MiB" for size in sizes)) for what, sizes in rows)
    print_table("operator image", ("unpacked", "compressed"), shown)


def layers(archive: Path) -> list[tuple[str, list[int]]]:
    """Returns the bytes of each layer of a docker-archive, as it is and compressed as registries do."""
    found = []
    with tarfile.open(archive) as image:
        for number, name in enumerate(json.loads(_read(image, "manifest.json"))[0]["Layers"]):
            layer = _read(image, name)
            what = "base" if number == 0 else f"layer {number}: ours"
            found.append((what, [len(layer), len(gzip.compress(layer, 6))]))
    return found


def _read(image: tarfile.TarFile, name: str) -> bytes:
    member = image.extractfile(name)
    assert member is not None, name
    return member.read()


if __name__ == "__main__":
    main(asyncio.run(operator_image()))
