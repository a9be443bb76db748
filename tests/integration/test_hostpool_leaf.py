"""The leaf as rendered, by a real nats-server: what it reads again, and what it never sends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from support.lattice.jwt import Account, Operator, public_key_of
from support.objects.hostpools import config
from support.sites.hostpools import leafs, running_leaf
from testbed import NatsServer, eventually
from wasmcloud_operator.hostpool.natsconf import LeafFiles, nats_conf


async def test_rotated_credentials_are_read_when_the_leaf_connects_again(tmp_path: Path) -> None:
    account = Account("A")
    trust = Operator(account)
    first, second = account.credentials("first"), account.credentials("second")
    file = tmp_path / "nats.creds"
    async with NatsServer.start(tmp_path / "hub", config_extra=trust.server_config()) as hub:
        spec = config({"natsAddress": hub.url, "natsLeafnodePort": hub.leaf_port, "secretName": "keys"}).spec
        text = nats_conf(spec, LeafFiles(credentials=True), on_pod=False).replace("/nats/creds/nats.creds", str(file))
        file.write_text(first)
        async with running_leaf(text, tmp_path):
            await eventually(lambda: leafs(hub, 1))
            file.write_text(second)
            account.revoke(public_key_of(first))
            await hub.restart(trust.server_config())
            await eventually(lambda: leafs(hub, 1))


@pytest.mark.parametrize("spec", [{"natsTls": {"secretName": "hub"}}, {"scheme": "tls"}])
async def test_no_credentials_go_to_a_hub_without_tls_where_tls_is_asked_for(tmp_path: Path, spec) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def hub(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A real one cannot show what it was sent.
        info = {"server_id": "X", "version": "2.10.0", "max_payload": 1 << 20, "headers": True, "tls_required": False}
        writer.write(f"INFO {json.dumps(info)}\r\n".encode())
        received.put_nowait(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(hub, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        scheme = spec.pop("scheme", "nats")
        address = {"natsAddress": f"{scheme}://user:c4nary@127.0.0.1:{port}", "natsLeafnodePort": port}
        text = nats_conf(config({**address, **spec}).spec, LeafFiles(), on_pod=False)
        async with running_leaf(text, tmp_path):
            async with asyncio.timeout(60):
                sent = await received.get()
    assert sent[:2] == b"\x16\x03", sent[:2]  # a TLS handshake
    assert b"c4nary" not in sent
