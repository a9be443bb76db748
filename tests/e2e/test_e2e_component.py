"""A Python component on a real host, deployed by a real wadm, answers HTTP: no cluster yet, only the lattice."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import nats

from testbed import NatsServer, Server, WasmcloudHost, build_component, eventually
from testbed.ports import free_ports


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


async def test_a_python_component_answers_http(nats_server: NatsServer, wadm: Server, tmp_path: Path) -> None:
    component = await build_component()
    address = f"127.0.0.1:{free_ports(1)[0]}"
    lattice = "python-component"
    async with WasmcloudHost.start(tmp_path, nats_server.url, lattice=lattice) as host:
        client = await nats.connect(nats_server.url)
        try:
            for operation, body in (("put", application(component, address)), ("deploy.hello", {})):
                subject = f"wadm.api.{lattice}.model.{operation}"
                answer = await client.request(subject, json.dumps(body).encode(), timeout=10)
                assert json.loads(answer.data)["result"] in {"created", "acknowledged"}, answer.data
            text = await eventually(lambda: _get(f"http://{address}/there"), timeout=60)
            assert text == "Hello from Python, you asked for /there\n"
            inventory = await host.inventory()
            assert [part["image_ref"] for part in inventory["components"]] == [component.as_uri()]
            await client.request(f"wadm.api.{lattice}.model.del.hello", b"{}", timeout=10)
        finally:
            await client.close()


async def _get(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        answer.raise_for_status()
        return await answer.text()
