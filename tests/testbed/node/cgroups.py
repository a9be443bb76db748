"""The cgroup that a cluster's pods are in: one of our own in every hierarchy, so that it can go as a whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

ROOT = "wasmcloud-testbed"
_MOUNTED = Path("/sys/fs/cgroup")


def create() -> None:
    """The kubelet wants the root of its pods to be there, in each hierarchy of cgroup v1 and in that of v2."""
    for hierarchy in _hierarchies():
        (hierarchy / ROOT).mkdir(exist_ok=True)


def existing(root: str = ROOT) -> list[Path]:
    """The cgroup `root` and those below it, parents before children, in every hierarchy."""
    tops = [hierarchy / root for hierarchy in _hierarchies() if (hierarchy / root).is_dir()]
    return [path for top in tops for path in [top, *sorted(path for path in top.rglob("*") if path.is_dir())]]


async def remove(root: str = ROOT) -> None:
    """All of them; nothing runs in them any more."""
    for cgroup in reversed(existing(root)):
        for _ in range(50):  # the kernel needs a moment after the last process
            try:
                cgroup.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                await asyncio.sleep(0.05)
            else:
                break


def _hierarchies() -> list[Path]:
    if (_MOUNTED / "cgroup.controllers").exists():  # v2 alone
        return [_MOUNTED]
    return sorted(path for path in _MOUNTED.iterdir() if path.is_dir() and not path.is_symlink() and path.is_mount())
