"""The images of the node's pods, assembled from the testbed's binaries under the names that pods ask for."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from testbed.cache import ensure
from testbed.components import COMPONENTS
from testbed.node.archive import Image, with_libraries
from testbed.node.runtime import PAUSE

COREDNS = f"registry.k8s.io/coredns/coredns:v{COMPONENTS['coredns'].version}"
NATS = f"docker.io/library/nats:{COMPONENTS['nats-server'].version}-alpine"
WADM = f"ghcr.io/wasmcloud/wadm:v{COMPONENTS['wadm'].version}"
CURL = "docker.io/curlimages/curl:8.11.1"


def host_image_name(version: str) -> str:
    return f"ghcr.io/wasmcloud/wasmcloud:{version}"


def pause_image(target: Path) -> Path:
    """What holds a pod's namespaces: a static sleep."""
    return Image((PAUSE,), ("/bin/busybox", "sleep", "2147483647"), {"/bin/busybox": busybox()}).write(target)


async def curl_image(target: Path) -> Path:
    """curl, and a shell with the usual commands."""
    return await asyncio.to_thread(_write_curl_image, target)


def _write_curl_image(target: Path) -> Path:
    files = {"/bin/busybox": busybox(), **with_libraries(_installed("curl"), "/usr/bin/curl")}
    return Image((CURL,), (), files, applets(), command=("sh",)).write(target)


def applets() -> dict[str, str]:
    """The `links` of an image for busybox's commands."""
    names = subprocess.run([busybox(), "--list"], capture_output=True, text=True, check=True).stdout.split()
    return {f"/bin/{name}": "busybox" for name in names if name != "busybox"}


async def coredns_image(target: Path) -> Path:
    return Image((COREDNS,), ("/coredns",), {"/coredns": await ensure("coredns")}).write(target)


async def nats_image(target: Path) -> Path:
    """nats-server as in the official image: a script for entrypoint, which gives flags alone to the server."""
    return await asyncio.to_thread(nats_image_of(await ensure("nats-server")).write, target)


def nats_image_of(server: Path) -> Image:
    return Image(
        (NATS,),
        ("docker-entrypoint.sh",),
        {
            "/usr/local/bin/nats-server": server,
            "/usr/local/bin/docker-entrypoint.sh": Path(__file__).with_name("nats-entrypoint.sh"),
            "/bin/busybox": busybox(),
        },
        {"/bin/sh": "busybox"},
        command=("nats-server", "--config", "/etc/nats/nats-server.conf"),
    )


async def wadm_image(target: Path) -> Path:
    program = "/usr/local/bin/wadm"
    files = with_libraries(await ensure("wadm"), program)
    return await asyncio.to_thread(Image((WADM,), (program,), files).write, target)


async def host_image(target: Path, versions: Sequence[str]) -> Path:
    """The wasmCloud host, under the names of all these versions."""
    return await asyncio.to_thread(host_image_of(await ensure("wasmcloud-host"), versions).write, target)


def host_image_of(host: Path, versions: Sequence[str]) -> Image:
    """As the official image: no entrypoint, so that arguments alone take the program's place; no shell."""
    names = tuple(host_image_name(version) for version in versions)
    return Image(names, (), with_libraries(host, "/usr/bin/wasmcloud"), command=("wasmcloud",))


def busybox() -> Path:
    """The static busybox of this machine."""
    return _installed("busybox")


def _installed(program: str) -> Path:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"{program} is missing on this machine")
    return Path(found)
