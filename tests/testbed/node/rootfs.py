"""The file system of a small Debian, made by debootstrap, as a tar file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from testbed.node.commands import run


async def debian(suite: str, packages: str, target: Path, *, without: Collection[str] = ()) -> None:
    """Writes `target`: a Debian of the smallest kind with `packages`; `without` are folders that it does not need.

    debootstrap mounts /proc in there: in a mount namespace that ends with it, however it ends, since a folder in which
    such a mount stays cannot be removed.
    """
    apart = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
    with tempfile.TemporaryDirectory(prefix="rootfs-") as root:
        command = ("debootstrap", "--variant=minbase", f"--include={packages}", suite, root)
        await run(*apart, *command, timeout=1200)
        for folder in ("var/cache/apt", "var/lib/apt/lists", *without):
            shutil.rmtree(Path(root, folder), ignore_errors=True)
        await run("tar", "--create", "--numeric-owner", "--file", target, "--directory", root, ".", timeout=300)
