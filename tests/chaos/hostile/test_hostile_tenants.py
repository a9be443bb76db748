"""One operator with an unfriendly tenant and a friendly one: the friendly one is served, and nothing stays behind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import nats
import pytest

from hostilenats import HostileNats, Script, drip, flood, greet, info_line
from hostlive import CONFIG, DEPLOYMENT, exists, host_config, shown
from natsflush import flushed
from operatorprocess import OperatorProcess
from testbed import Admin, ControlPlane, NatsServer, eventually

SECRET = "hunter2-7c1e"
MIB = 1024 * 1024

SCRIPTS: dict[str, Script] = {
    "length": flood(b"MSG a 1 99999999999\r\n" + b"x" * MIB),
    "line": flood(b"MSG " + b"x" * MIB),
    "info": flood(info_line(connect_urls=[f"10.0.0.{one % 250}:{one}" for one in range(10_000)])),
    "frames": flood(b"MSG news 1 2\r\nhi\r\n" * 4096),
    "expired": flood(b"-ERR 'user authentication expired'\r\n"),
    "drip": drip(info_line(), pause=0.5),
    "ssh": greet(f"SSH-2.0-{SECRET}\r\n".encode()),
}


@contextlib.asynccontextmanager
async def unfriendly(admin: Admin, namespace: str) -> AsyncIterator[list[str]]:
    """A host config for each script, over NATS and over a websocket; deleted at the end."""
    async with contextlib.AsyncExitStack() as servers:
        names = []
        for kind, script in SCRIPTS.items():
            server = await servers.enter_async_context(HostileNats.start(script))
            for scheme in ("nats", "ws", "wss"):
                name = f"{kind}-{scheme}"
                address = f"{scheme}://user:{SECRET}@127.0.0.1:{server.port}"
                await admin.create(host_config(namespace, name, natsAddress=address, lattice=name))
                names.append(name)
        yield names
        for name in names:
            await admin.delete(CONFIG, name, namespace)


async def healthy(operator: OperatorProcess) -> None:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(f"http://{operator.address}/healthz") as answer,
    ):
        assert answer.status == 200


async def friendly_is_served(admin: Admin, namespace: str, name: str, hub: NatsServer) -> None:
    await admin.create(host_config(namespace, name, natsAddress=hub.url, lattice=namespace))
    await exists(admin, DEPLOYMENT, namespace, name)
    await shown(admin, namespace, name, LatticeConnected="True")


@pytest.fixture
async def other_namespace(admin: Admin, namespace: str) -> AsyncIterator[str]:
    name = f"{namespace}-friendly"
    await admin.create_namespace(name)
    yield name
    await admin.delete("v1/Namespace", name)


async def test_unfriendly_hubs_starve_nobody_and_leave_nothing_behind(
    crds: ControlPlane,
    admin: Admin,
    namespace: str,
    other_namespace: str,
    nats_server: NatsServer,
    tmp_path: Path,
) -> None:
    flags = ("--no-leader-election", "--watch-namespaces", f"{namespace},{other_namespace}")
    async with OperatorProcess.start(crds.kubeconfig, tmp_path, *flags) as operator:
        await friendly_is_served(admin, other_namespace, "before", nats_server)
        before = operator.resident_mebibytes
        async with unfriendly(admin, namespace) as names:
            for name in names:
                await exists(admin, DEPLOYMENT, namespace, name)
            await friendly_is_served(admin, other_namespace, "meanwhile", nats_server)
            await healthy(operator)
            statuses = json.dumps([(await admin.get(CONFIG, name, namespace)).get("status") for name in names])
            assert operator.resident_mebibytes < before + 250
        await eventually(
            lambda: operator.resident_mebibytes < 1.2 * before + 20,
            message=f"{before:.0f} MiB again, now {operator.resident_mebibytes:.0f}",
        )
        await healthy(operator)
        await friendly_is_served(admin, other_namespace, "after", nats_server)
        assert SECRET not in statuses
        assert SECRET not in operator.log.read_text() + await operator.metrics()


async def test_made_up_hosts_take_a_bounded_amount_and_are_told(
    crds: ControlPlane, admin: Admin, namespace: str, own_nats: NatsServer, tmp_path: Path
) -> None:
    """600 heartbeats of 720 KB by anybody who may publish in the lattice."""
    flags = ("--no-leader-election", "--watch-namespaces", namespace)
    components = [{"id": f"{number:0600}"} for number in range(1100)]
    async with OperatorProcess.start(crds.kubeconfig, tmp_path, *flags) as operator:
        await friendly_is_served(admin, namespace, "pool", own_nats)
        before = operator.resident_mebibytes
        client = await nats.connect(own_nats.url)
        try:
            for number in range(600):
                body = {"host_id": f"N{number}", "components": components, "providers": []}
                event = {"type": "com.wasmcloud.lattice.host_heartbeat", "source": f"N{number}", "data": body}
                await client.publish(f"wasmbus.evt.{namespace}.host_heartbeat", json.dumps(event).encode())
                await flushed(client)
        finally:
            await client.close()
        await healthy(operator)
        await friendly_is_served(admin, namespace, "other", own_nats)
        status = await shown(admin, namespace, "other", LatticeConnected="True")
        (told,) = [one for one in status["conditions"] if one["type"] == "LatticeConnected"]
        assert "times or more something was left out" in told["message"]
        assert operator.resident_mebibytes < before + 100
