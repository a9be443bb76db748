"""wasmCloud components: in Python, built with componentize-py into the cache, and one of a few kilobytes."""

from __future__ import annotations

import hashlib
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from testbed.build import Progress, ToolchainMissing, run_step
from testbed.cache import cache_root, make_once
from testbed.components import RECIPES, Toolchain

_GREETER = Path(__file__).with_name("greeter.wat")
EXAMPLE = Path(__file__).parents[2] / "manifests" / "examples" / "hello-python"
_WIT = RECIPES / "wit"
# not --stub-wasi: with it a component has 43 core instances, and a host allows 30
_OPTIONS = ("-w", "hello", "componentize")


async def build_component(source: Path = EXAMPLE, progress: Progress | None = None) -> Path:
    """The .wasm file of a component: `source` holds app.py and wit/world.wit, with a world named `hello`.

    Raises `BuildFailed` with the end of the log.
    """
    progress = progress or Progress()
    digest = hashlib.sha256(version("componentize-py").encode() + (_WIT / "Cargo.toml").read_bytes())
    digest.update(" ".join(_OPTIONS).encode())
    for file in _files(source):
        digest.update(file.name.encode() + file.read_bytes())
    key = f"{source.name}-{digest.hexdigest()[:12]}"
    log = cache_root() / "logs" / f"{key}.log"

    async def make(folder: Path) -> None:
        progress.say(f"building the component {source.name} with componentize-py (about 15 s; log: {log})")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        wit = folder / "wit"
        shutil.copytree(source / "wit", wit)
        shutil.copytree(await _wasi_wit(folder / "wasi", log, progress), wit / "deps")
        program = str(Path(sys.executable).parent / "componentize-py")
        command = [program, "-d", str(wit), *_OPTIONS, "-p", str(source), "app"]
        command += ["-o", str(folder / f"{source.name}.wasm")]
        await run_step(source.name, command, folder, log, progress, about=15)

    return await make_once(key, source.name, make, progress) / f"{source.name}.wasm"


def greeter() -> bytes:
    """A component that answers every HTTP request with `Hello from a small component`.

    A host compiles it in no time; for one in Python it has both cores busy for some seconds.
    """
    import wasmtime  # noqa: PLC0415 - the whole testbed need not load a wasm engine

    return bytes(wasmtime.wat2wasm(_GREETER.read_text()))


def _files(source: Path) -> list[Path]:
    return sorted([source / "app.py", *source.glob("wit/*.wit")])


async def _wasi_wit(folder: Path, log: Path, progress: Progress) -> Path:
    """The folder of WASI's WIT packages, out of the crate that carries them."""
    if shutil.which("cargo") is None:
        raise ToolchainMissing(f"cargo is missing; it fetches WASI's WIT files: {Toolchain.CARGO.how_to_get_it}")
    shutil.copytree(_WIT, folder)
    await run_step("WIT files", ["cargo", "vendor", "--quiet", "vendor"], folder, log, progress, about=5)
    return folder / "vendor" / "wasi" / "wit" / "deps"
