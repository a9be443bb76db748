"""The journeys' components on a real host, deployed by a real wadm, answer HTTP: no cluster yet, only the lattice."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import nats
import pytest
from e2eworld import GREETING

from testbed import NatsServer, Server, WasmcloudHost, build_component, eventually
from testbed.ports import free_ports
from testbed.wasm import greeter


def application(component: Path, address: str) -> dict[str, object]:
    link = {
        "namespace": "wasi",
        "package": "http",
        "interfaces": ["incoming-handler"],
        "target": {"name": "hello"},
        "source": {"config": [{"name": "listen", "properties": {"address": address}}]},
    }
    hello = {
        "name": "hello",
        "type": "component",
        "properties": {"image": component.as_uri()},
        "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
    }
    server = {
        "name": "server",
        "type": "capability",
        "properties": {"image": "wasmcloud+builtin://http-server"},
        "traits": [{"type": "link", "properties": link}],
    }
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "hello", "annotations": {}},
        "spec": {"components": [hello, server]},
    }


async def python(folder: Path) -> Path:
    return await build_component()


async def small(folder: Path) -> Path:
    component = folder / "greeter.wasm"
    component.write_bytes(greeter())
    return component


@pytest.mark.parametrize(
    ("build", "answer"),
    [(python, "Hello from Python, you asked for /there"), (small, GREETING)],
    ids=["python", "small"],
)
async def test_a_component_answers_http(
    build: Callable[[Path], Awaitable[Path]], answer: str, nats_server: NatsServer, wadm: Server, tmp_path: Path
) -> None:
    component = await build(tmp_path)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    lattice = f"{build.__name__}-component"
    async with WasmcloudHost.start(tmp_path, nats_server.url, lattice=lattice) as host:
        client = await nats.connect(nats_server.url)
        try:
            await ask_wadm(client, lattice, "put", application(component, address), result="created")
            await ask_wadm(client, lattice, "deploy.hello", {}, result="acknowledged")
            text = await eventually(lambda: _get(f"http://{address}/there"), timeout=240)
            assert text == f"{answer}\n"
            inventory = await host.inventory()
            assert [part["image_ref"] for part in inventory["components"]] == [component.as_uri()]
            await ask_wadm(client, lattice, "del.hello", {}, result="deleted")
        finally:
            await client.close()


async def ask_wadm(client: nats.NATS, lattice: str, operation: str, body: object, *, result: str) -> None:
    subject = f"wadm.api.{lattice}.model.{operation}"
    answer = await client.request(subject, json.dumps(body).encode(), timeout=60)
    assert json.loads(answer.data)["result"] == result, answer.data


async def _get(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        answer.raise_for_status()
        return await answer.text()
