from __future__ import annotations

from pathlib import Path

import nats
from nats.aio.client import Client

from testbed import NatsServer, Server, eventually


async def test_data_outlives_a_restart_and_not_a_wipe(tmp_path: Path) -> None:
    async with NatsServer.start(tmp_path, domain="hub") as server:
        client = await nats.connect(server.url)
        try:
            stream = client.jetstream(domain="hub")
            await stream.add_stream(name="things", subjects=["things.>"])
            await server.restart()
            await eventually(lambda: stream.stream_info("things"), message="the stream after a restart")
            await server.wipe()
            await eventually(lambda: _is_connected(client))
            assert not (await server.monitor("jsz?streams=true"))["streams"]
        finally:
            await client.close()


async def _is_connected(client: Client) -> bool:
    await client.flush(timeout=1)
    return True


async def test_a_leaf_node_reaches_the_domain_of_the_hub(nats_server: NatsServer, tmp_path: Path) -> None:
    remote = f'leafnodes {{ remotes: [ {{ url: "{nats_server.leaf_url}" }} ] }}'
    async with NatsServer.start(tmp_path, domain="leaf", leafnodes=False, config_extra=remote) as leaf:
        await eventually(lambda: _has_leaf(leaf), message="the leaf connection")
        client = await nats.connect(leaf.url)
        try:
            assert (await client.jetstream(domain="default").account_info()).domain == "default"
        finally:
            await client.close()


async def _has_leaf(server: NatsServer) -> bool:
    return bool((await server.monitor("leafz"))["leafnodes"])


async def test_wadm_answers_on_the_hub(nats_server: NatsServer, wadm: Server) -> None:
    client = await nats.connect(nats_server.url)
    try:
        answer = await client.request("wadm.api.some-lattice.model.get", b"", timeout=5)
        assert b'"result":"success"' in answer.data
    finally:
        await client.close()
