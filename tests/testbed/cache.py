"""Where the components' binaries are: in the cache, in KUBEBUILDER_ASSETS or on PATH, or built into the cache."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from testbed.build import Progress, build
from testbed.components import COMPONENTS, Component


class Origin(Enum):
    """Where a binary comes from."""

    CACHE = "cache"
    ASSETS = "KUBEBUILDER_ASSETS"
    PATH = "PATH"


@dataclass(frozen=True)
class Binary:
    """A program that is there."""

    path: Path
    origin: Origin


def cache_root() -> Path:
    """`WASMCLOUD_TESTBED_CACHE`, or `wasmcloud-operator-testbed` in the user's cache folder."""
    if chosen := os.environ.get("WASMCLOUD_TESTBED_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "wasmcloud-operator-testbed"


def find(component: Component) -> Binary | None:
    """The component's program if it is there in the right version; nothing is built."""
    cached = cache_root() / component.key / "bin" / component.name
    if cached.is_file():
        return Binary(cached, Origin.CACHE)
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for origin, folder in ((Origin.ASSETS, assets), (Origin.PATH, os.environ.get("PATH"))):
        found = shutil.which(component.name, path=folder) if folder else None
        if found and _has_version(Path(found), component):
            return Binary(Path(found), origin)
    return None


async def ensure(name: str, progress: Progress | None = None) -> Path:
    """The path of a component's program; builds it first when it is not there.

    Two processes that want the same one: the second waits and takes what the first has built. Raises `BuildFailed` with
    the end of the build's log, `ToolchainMissing` by name.
    """
    component = COMPONENTS[name]
    if binary := find(component):
        return binary.path
    progress = progress or Progress()
    log = cache_root() / "logs" / f"{component.key}.log"

    async def make(folder: Path) -> None:
        target = folder / "bin" / component.name
        target.parent.mkdir()
        await build(component, target, work=cache_root() / "work", log=log, progress=progress)

    return await make_once(component.key, component.family, make, progress) / "bin" / component.name


async def make_once(key: str, name: str, make: Callable[[Path], Awaitable[None]], progress: Progress) -> Path:
    """The cache's folder `key`, filled by `make` if it is not there; it appears whole or not at all."""
    folder = cache_root() / key
    async with lock(name, f"another process that builds {name}", progress):
        if not folder.is_dir():
            partial = folder.with_name(f"{key}.partial")  # ours alone while we hold the lock
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            await make(partial)
            partial.rename(folder)
    return folder


@contextlib.asynccontextmanager
async def lock(name: str, waiting_for: str, progress: Progress) -> AsyncIterator[None]:
    """One process at a time; the kernel unlocks it when its holder dies. `waiting_for` is said when it has to wait."""
    path = cache_root() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    progress.say(f"waiting for {waiting_for}")
                    waiting = True
                await asyncio.sleep(0.2)
        yield


def _has_version(program: Path, component: Component) -> bool:
    try:
        answer = subprocess.run(
            [program, *component.version_args], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    words = (answer.stdout + answer.stderr).replace(",", " ").split()
    return component.version in {word.removeprefix("v") for word in words}
