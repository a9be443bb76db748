"""A registry that holds the components: the real one (distribution), filled over its API, as an image."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from yarl import URL

from testbed.cache import ensure
from testbed.node.archive import Image
from testbed.process import Server, http_ok, start_on_free_ports
from testbed.wasm import build_component, greeter

NAME = "localhost/hello-registry:1"
TAG = "0.1.0"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_WASM = "application/vnd.module.wasm.content.layer.v1+wasm"
_CONF = """version: 0.1
storage:
  filesystem:
    rootdirectory: {storage}
  maintenance:
    readonly:
      enabled: {readonly}
http:
  addr: {address}
"""
_CONF_FILE = "/etc/distribution/config.yml"


async def registry_image(target: Path) -> Path:
    """The image: serves `hello-python:0.1.0` and `greeter:0.1.0` on port 5000, read-only.

    Password files work as distribution documents them.
    """
    program = await ensure("registry")
    example = await build_component()
    components = {"hello-python": await asyncio.to_thread(example.read_bytes), "greeter": greeter()}
    with tempfile.TemporaryDirectory(prefix="hello-registry-") as folder:
        await _fill(program, Path(folder), components)
        image = Image(
            (NAME,),
            ("/usr/local/bin/registry", "serve", _CONF_FILE),
            {"/usr/local/bin/registry": program},
            texts={_CONF_FILE: _CONF.format(storage="/registry", readonly="true", address=":5000")},
            trees={"/registry": Path(folder, "storage")},
        )
        return await asyncio.to_thread(image.write, target)


async def _fill(program: Path, folder: Path, components: Mapping[str, bytes]) -> None:
    """Push the components into a registry of this machine's own, which is stopped again."""

    def make(ports: list[int]) -> Server:
        config = folder / "config.yml"
        address = f"127.0.0.1:{ports[0]}"
        config.write_text(_CONF.format(storage=folder / "storage", readonly="false", address=address))
        log = folder / "registry.log"
        return Server("registry", [program, "serve", config], log=log, ready=lambda: http_ok(f"http://{address}/v2/"))

    registry = await start_on_free_ports(make, 1)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{registry.ports[0]}") as session:
            for name, component in components.items():
                await _push(session, name, component)
    finally:
        await registry.stop()


async def _push(session: aiohttp.ClientSession, name: str, component: bytes) -> None:
    layer = await _push_blob(session, name, component, _WASM)
    config = await _push_blob(session, name, b"{}", "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [layer]}
    path, body = f"/v2/{name}/manifests/{TAG}", json.dumps(manifest).encode()
    async with session.put(path, data=body, headers={"Content-Type": _MANIFEST}) as answer:
        answer.raise_for_status()


async def _push_blob(session: aiohttp.ClientSession, name: str, content: bytes, media_type: str) -> dict[str, object]:
    """POST for a place, PUT of the content; gives its descriptor."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    async with session.post(f"/v2/{name}/blobs/uploads/") as answer:
        answer.raise_for_status()
        place = answer.headers["Location"]
    query = {"digest": digest}
    headers = {"Content-Type": "application/octet-stream"}
    url = URL(place).update_query(query)
    async with session.put(url.relative() if url.absolute else url, data=content, headers=headers) as answer:
        answer.raise_for_status()
    return {"mediaType": media_type, "digest": digest, "size": len(content)}
