"""The operator's image, built from the Dockerfile with buildah on a base made by debootstrap: no registry is asked.

The base is Debian 12 with its Python; wheels are fetched outside and handed into the build.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

from testbed.build import Progress
from testbed.cache import cache_root, make_once
from testbed.node import needs
from testbed.node.commands import run
from testbed.node.rootfs import debian

ROOT = Path(__file__).parents[3]
_SUITE = "bookworm"
_SUITE_PYTHON = "3.11"
_BASE = f"localhost/testbed-base:{_SUITE}"
_BASE_INCLUDES = "python3,python3-venv,ca-certificates"
_LOCKS = ("requirements.lock", "requirements-build.lock")
_PARTS = ("Dockerfile", *_LOCKS, "types", "operator")


def operator_image_name() -> str:
    """As manifests/base names it."""
    (image,) = yaml.safe_load((ROOT / "manifests/base/kustomization.yaml").read_text())["images"]
    return f"{image['newName']}:{image['newTag']}"


async def operator_image(progress: Progress | None = None) -> Path:
    """The docker-archive of the operator as it stands in this work tree; built once for the same sources."""
    progress = progress or Progress()
    needs.install(progress, needs.IMAGE_PROGRAMS)
    base, wheels = await _base(progress), await _wheels(progress)
    key = f"operator-image-{await asyncio.to_thread(_digest, base)}"
    target = cache_root() / key
    if not target.is_dir():
        for old in cache_root().glob("operator-image-*"):  # 300 MB each, and nobody goes back to an older one
            shutil.rmtree(old, ignore_errors=True)

    async def make(folder: Path) -> None:
        progress.say("building the operator's image with buildah (about 60 s)")
        with tempfile.TemporaryDirectory(prefix="operator-image-") as context:
            await asyncio.to_thread(_copy_sources, Path(context))
            await asyncio.to_thread(shutil.copytree, wheels, Path(context, "wheels"))
            await _build(base, Path(context), folder / "operator.tar")

    return await make_once(key, "operator-image", make, progress) / "operator.tar"


async def operator_image_by_docker(target: Path, progress: Progress) -> Path:
    """The same with a Docker engine, on the Dockerfile's own base image."""
    progress.say("building the operator's image with Docker (about a minute)")
    name = operator_image_name()
    await run("docker", "build", "--quiet", "--tag", name, ROOT, timeout=900)
    await run("docker", "save", "--output", target, name, timeout=300)
    return target


def _sources() -> list[Path]:
    found = [ROOT / part for part in _PARTS if (ROOT / part).exists()]
    files = [file for part in found for file in ([part] if part.is_file() else sorted(part.rglob("*")))]
    skipped = re.compile(r"__pycache__|\.egg-info|\.pyc$")
    return [file for file in files if file.is_file() and not skipped.search(str(file))]


def _digest(base: Path) -> str:
    digest = hashlib.sha256(f"{base.name} {operator_image_name()}".encode())
    for file in _sources():
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _copy_sources(context: Path) -> None:
    for file in _sources():
        target = context / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


async def _wheels(progress: Progress) -> Path:
    """A folder with everything that the build installs, and what packages are built with there: some come as source."""
    locks = b"".join((ROOT / name).read_bytes() for name in _LOCKS)
    key = f"wheels-{hashlib.sha256(locks + _SUITE_PYTHON.encode()).hexdigest()[:12]}"

    async def make(folder: Path) -> None:
        for lock in _LOCKS:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += [f"--python-version={_SUITE_PYTHON}", "--dest", str(folder / "wheels")]
            await run(*command, "--require-hashes", "-r", str(ROOT / lock), timeout=300)

    return await make_once(key, "wheels", make, progress) / "wheels"


async def _base(progress: Progress) -> Path:
    """The archive of the base image; it is made once."""
    key = f"base-{_SUITE}-{hashlib.sha256(_BASE_INCLUDES.encode()).hexdigest()[:8]}"

    async def make(folder: Path) -> None:
        progress.say(f"making the base image, Debian {_SUITE} with Python, with debootstrap (about 40 s)")
        await debian(_SUITE, _BASE_INCLUDES, folder / "rootfs.tar")

    return await make_once(key, "base-image", make, progress)


async def _build(base: Path, context: Path, target: Path) -> None:
    """FROM the base, in a store of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="buildah-") as store:
        options = ["--root", f"{store}/root", "--runroot", f"{store}/run", "--storage-driver", "vfs"]
        env = {"BUILDAH_ISOLATION": "chroot", "TMPDIR": store}

        async def buildah(*args: str | Path, timeout: float = 300) -> str:
            return await run("buildah", *options, *args, env=env, timeout=timeout)

        container = await buildah("from", "--pull-never", "scratch")
        await buildah("add", "--quiet", container, base / "rootfs.tar", "/")
        await buildah("commit", "--quiet", "--rm", container, _BASE)
        name = operator_image_name()
        await buildah(
            "bud", "--pull-never", "--quiet", "--build-arg", f"BASE={_BASE}", "--tag", name, context, timeout=900
        )
        await buildah("push", "--quiet", name, f"docker-archive:{target}:{name}")
