"""A real host whose HTTP server has missed its link listens once the same link is put again: no cluster yet."""

from __future__ import annotations

import json
from pathlib import Path

import nats

from testbed import NatsServer, WasmcloudHost, eventually
from testbed.ports import free_ports
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.expose.listening import ConnectResult, connect
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.control import ControlWriter
from wasmcloud_operator.lattice.spec import ConnectionSpec

LATTICE, SERVER = "missed-link", "hello-server"
LINK = {
    "source_id": SERVER,
    "target": "hello",
    "name": "default",
    "wit_namespace": "wasi",
    "wit_package": "http",
    "interfaces": ["incoming-handler"],
    "source_config": ["listen"],
    "target_config": [],
}


async def test_a_link_that_a_host_has_missed_reaches_it_when_put_again(nats_server: NatsServer, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    async with (
        WasmcloudHost.start(tmp_path, nats_server.url, lattice=LATTICE) as host,
        ConnectionPool() as pool,
        await nats.connect(nats_server.url) as client,
    ):
        connection = pool.acquire(ConnectionSpec((nats_server.url,))).connection
        await eventually(lambda: connection.state.connected)
        control = ControlWriter(connection, LATTICE, gate=AlwaysOpen(), timeout=20.0)
        host_id = (await host.inventory())["host_id"]
        await put(client, "config.put.listen", {"address": f"127.0.0.1:{port}"})
        started = {"host_id": host_id, "provider_id": SERVER, "provider_ref": "wasmcloud+builtin://http-server"}
        await put(client, f"provider.start.{host_id}", {**started, "annotations": {}, "config": []})
        await eventually(lambda: runs(control, host_id))

        # in the lattice's store alone: what a host sees that starts the server in the moment of the announcement
        store = await client.jetstream(domain="default").key_value(f"LATTICEDATA_{LATTICE}")
        await store.put(f"COMPONENT_{SERVER}", json.dumps({"url": "http-server", "links": [LINK]}).encode())
        (link,) = await eventually(control.links)
        assert json.loads(link.wire) == LINK
        assert await connect("127.0.0.1", port) is ConnectResult.REFUSED

        await control.put_link(link)
        await eventually(lambda: accepts(port))


async def put(client: nats.NATS, operation: str, body: object) -> None:
    answer = await client.request(f"wasmbus.ctl.v1.{LATTICE}.{operation}", json.dumps(body).encode(), timeout=30)
    assert json.loads(answer.data)["success"], answer.data


async def runs(control: ControlWriter, host_id: str) -> bool:
    return SERVER in (await control.inventory(host_id)).providers


async def accepts(port: int) -> bool:
    return await connect("127.0.0.1", port) is ConnectResult.ACCEPTED
