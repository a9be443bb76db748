"""Live hosts, control client and config service over a real NATS server, with hosts for tests and a real wadm."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from support.objects.good_manifest import link as http_link
from testbed import NatsServer, Wadm, eventually
from wasmcloud_operator.base.clock import SystemClock
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.configservice import ConfigService
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.control import ControlWriter, RegistryCredential
from wasmcloud_operator.lattice.errors import NoResponders
from wasmcloud_operator.lattice.host_types import InventoryChange
from wasmcloud_operator.lattice.hosts import LiveHosts
from wasmcloud_operator.lattice.testing import HTTP_SERVER, LatticeHost, SharedLattice
from wasmcloud_operator.lattice.wadm import WadmWriter
from wasmcloud_operator.lattice.wadm_events import StatusPushed, WadmEvent, subscribe_wadm
from wasmcloud_operator.lattice.wadm_types import StatusType


@pytest.fixture
def control(connection: Connection) -> ControlWriter:
    return ControlWriter(connection, "default", gate=AlwaysOpen(), timeout=60.0)


@contextlib.asynccontextmanager
async def live_hosts(connection: Connection, control: ControlWriter, **options: Any) -> AsyncIterator[LiveHosts]:
    hosts = LiveHosts(connection, control, **{"clock": SystemClock(), **options})
    task = asyncio.create_task(hosts.run())
    try:
        await eventually(lambda: hosts.synced)
        yield hosts
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_lists_what_was_there_before_and_hears_what_comes(
    own_nats: NatsServer, connection: Connection, control: ControlWriter
) -> None:
    lattice = SharedLattice()
    async with LatticeHost.running(own_nats.url, lattice, labels={"kubernetes_pod_name": "pod-1"}) as first:
        await first.start_provider("http", application="shop")
        async with live_hosts(connection, control) as hosts:
            known = hosts.hosts[first.id]
            assert known.labels["kubernetes_pod_name"] == "pod-1"
            assert (known.friendly_name, known.version) == (first.friendly_name, "1.9.0")
            assert known.started_at is not None
            assert known.providers["http"].application == "shop"
            assert known.providers["http"].image_ref == HTTP_SERVER

            changes: list[InventoryChange] = []
            hosts.listen(changes.append)
            async with LatticeHost.running(own_nats.url, lattice) as second:
                await eventually(lambda: hosts.hosts.get(second.id, known).inventoried and second.id in hosts.hosts)
                await second.start_provider("http", application="shop")
                await eventually(lambda: "http" in hosts.hosts[second.id].providers)
                assert any(change.applications == {"shop"} and change.hosts == {second.id} for change in changes)
                await second.stop_provider("http")
                await eventually(lambda: not hosts.hosts[second.id].providers)
                changes.clear()
            await eventually(lambda: second.id not in hosts.hosts)
            assert [change.hosts for change in changes] == [{second.id}]


async def test_labels_and_components_and_configs(
    own_nats: NatsServer, connection: Connection, control: ControlWriter
) -> None:
    lattice = SharedLattice()
    async with LatticeHost.running(own_nats.url, lattice) as host, live_hosts(connection, control) as hosts:
        changes: list[InventoryChange] = []
        hosts.listen(changes.append)
        base = f"wasmbus.ctl.v1.default.{{}}.{host.id}"
        await connection.request(base.format("label.put"), b'{"key": "zone", "value": "a"}', timeout=60)
        await eventually(lambda: hosts.hosts[host.id].labels == {"zone": "a"})
        for count, running in ((2, {"c"}), (0, set())):
            command = {"component_id": "c", "component_ref": "r", "host_id": host.id, "count": count}
            await connection.request(base.format("component.scale"), json.dumps(command).encode(), timeout=60)
            await eventually(lambda running=running: hosts.hosts[host.id].components.keys() == running)
        await connection.request("wasmbus.ctl.v1.default.config.put.addr", b'{"address": "[::]:80"}', timeout=60)
        await eventually(lambda: any(change.configs == {"addr"} for change in changes))
        assert await control.config("addr") == {"address": "[::]:80"}
        assert await control.config("other") is None
    with pytest.raises(NoResponders):
        await control.config("addr")


class HandClock:
    """A clock that the test moves. Whoever sleeps wakes when it is moved far enough."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._moved = asyncio.Condition()

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time)

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        async with self._moved:
            await self._moved.wait_for(lambda: self.time >= until)

    async def move(self, seconds: float) -> None:
        async with self._moved:
            self.time += seconds
            self._moved.notify_all()


async def test_a_crashed_host_goes_after_its_silence_and_others_stay(
    own_nats: NatsServer, connection: Connection, control: ControlWriter
) -> None:
    lattice, clock = SharedLattice(), HandClock()
    async with (
        LatticeHost.running(own_nats.url, lattice) as alive,
        LatticeHost.running(own_nats.url, lattice) as dead,
        live_hosts(connection, control, clock=clock) as hosts,
    ):
        changes: list[InventoryChange] = []
        hosts.listen(changes.append)
        assert hosts.hosts.keys() == {alive.id, dead.id}
        assert not hosts.settled
        await dead.crash()
        for _ in range(14):  # 70 s, a little less than 2.5 heartbeats
            await clock.move(5)
            await alive.beat()
            await eventually(lambda: hosts.hosts[alive.id].last_seen == clock.time)
        assert hosts.settled
        assert [change for change in changes if change.synced] == [InventoryChange(synced=True)], (
            "announced once that it has settled"
        )
        assert not any(dead.id in change.hosts for change in changes)
        assert hosts.hosts.keys() == {alive.id, dead.id}
        await clock.move(5)
        await clock.move(5)
        await eventually(lambda: hosts.hosts.keys() == {alive.id})
        assert (changes[-1].hosts, set(changes[-1].silent)) == ({dead.id}, {dead.id})


async def test_a_host_that_beats_seldom_is_asked_and_stays(
    own_nats: NatsServer, connection: Connection, control: ControlWriter
) -> None:
    lattice, clock = SharedLattice(), HandClock()
    async with (
        LatticeHost.running(own_nats.url, lattice) as often,
        LatticeHost.running(own_nats.url, lattice, heartbeat=3600) as seldom,
        live_hosts(connection, control, clock=clock) as hosts,
    ):
        for _ in range(40):  # 200 s
            await clock.move(5)
            await often.beat()
            await eventually(lambda: hosts.hosts[often.id].last_seen == clock.time)
            if clock.time - hosts.hosts[seldom.id].last_seen > 60:
                await eventually(lambda: hosts.hosts[seldom.id].last_seen == clock.time, message="it was asked")
        assert hosts.hosts.keys() == {often.id, seldom.id}


async def test_one_silent_host_keeps_nobody_from_asking_the_others(
    own_nats: NatsServer, connection: Connection
) -> None:
    lattice, impatient = SharedLattice(), ControlWriter(connection, "default", gate=AlwaysOpen(), timeout=1.0)
    async with contextlib.AsyncExitStack() as stack:
        hosts_there = [await stack.enter_async_context(LatticeHost.running(own_nats.url, lattice)) for _ in range(20)]
        for host in hosts_there:
            host.providers["p"] = {"image_ref": HTTP_SERVER, "annotations": {}}
        hosts_there[0].answers_inventory = False
        hosts = await stack.enter_async_context(live_hosts(connection, impatient))
        await eventually(lambda: len(hosts.hosts) == 20)
        await eventually(lambda: sum(host.providers.keys() == {"p"} for host in hosts.hosts.values()) == 19)


async def test_three_hundred_hosts(own_nats: NatsServer, connection: Connection, control: ControlWriter) -> None:
    lattice = SharedLattice()
    client = await nats.connect(own_nats.url)
    there = [LatticeHost(client, lattice) for _ in range(300)]
    for host in there:
        host.providers["p"] = {"image_ref": HTTP_SERVER, "annotations": {"wasmcloud.dev/appspec": "shop"}}
        await host.start()
    async with live_hosts(connection, control) as hosts:

        async def all_known() -> bool:  # of an answer that comes late when all are asked, a heartbeat makes up
            for host in there:
                if host.id not in hosts.hosts:
                    await host.beat()
            return hosts.hosts.keys() == {host.id for host in there}

        await eventually(all_known)
        await eventually(lambda: all(host.inventoried for host in hosts.hosts.values()))
        assert all(host.providers["p"].application == "shop" for host in hosts.hosts.values())
        changes: list[InventoryChange] = []
        hosts.listen(changes.append)
        for host in there:
            await host.beat()
        await there[0].publish("host_stopped", {"labels": {}})
        await eventually(lambda: len(hosts.hosts) == 299)
        assert changes == [InventoryChange(hosts=frozenset({there[0].id}), applications=frozenset({"shop"}))]
    for host in there[1:]:
        await host.crash()  # the first one that does closes the connection of all


async def test_reconnect_lists_again_what_happened_meanwhile(
    own_nats: NatsServer, connection: Connection, control: ControlWriter
) -> None:
    lattice = SharedLattice()
    async with (
        LatticeHost.running(own_nats.url, lattice) as staying,
        LatticeHost.running(own_nats.url, lattice) as going,
        live_hosts(connection, control) as hosts,
    ):
        await staying.start_provider("old", application="a")
        await eventually(lambda: "old" in hosts.hosts[staying.id].providers)
        states: list[bool] = []
        hosts.listen(lambda change: states.append(hosts.synced) if change.synced else None)
        await own_nats.kill()
        await eventually(lambda: not hosts.synced)
        assert hosts.hosts.keys() == {staying.id, going.id}, "the last knowledge stands"
        await going.crash()
        staying.providers = {"new": {"image_ref": HTTP_SERVER, "annotations": {"wasmcloud.dev/appspec": "b"}}}
        await own_nats.server.start()
        await eventually(lambda: hosts.synced and states[-1])

        async def listed() -> bool:  # the host reconnects when it notices: the first list may be too early for it
            await staying.beat()
            return hosts.hosts[staying.id].applications == {"b"}

        await eventually(listed)
        assert hosts.hosts[staying.id].providers.keys() == {"new"}


async def test_a_host_that_stays_silent_when_asked_and_lies_in_events_harms_nobody(
    own_nats: NatsServer, connection: Connection
) -> None:
    lattice, impatient = SharedLattice(), ControlWriter(connection, "default", gate=AlwaysOpen(), timeout=1.0)
    async with LatticeHost.running(own_nats.url, lattice) as honest, LatticeHost.running(own_nats.url, lattice) as liar:
        liar.answers_inventory = False
        await honest.start_provider("http", application="shop")
        async with live_hosts(connection, impatient) as hosts:
            for body in (b"", b"\xff", b"[" * 10_000, b'{"type": 1, "data": {}}', b'{"data": {"host_id": ["x"]}}'):
                await connection.publish("wasmbus.evt.default.host_heartbeat", body)
            await liar.publish("host_heartbeat", {"providers": "many", "labels": 7, "uptime_seconds": -1})
            await liar.publish("host_heartbeat", {"providers": [1, {"id": 2}, {"id": "p", "annotations": []}]})
            await liar.publish("host_heartbeat", {"host_id": "ghost.*.>", "providers": []})
            await liar.publish("provider_started", {"host_id": "nobody", "provider_id": "p", "image_ref": "i"})
            await eventually(lambda: hosts.hosts[liar.id].providers.keys() == {"p"})
            await eventually(lambda: "nobody" not in hosts.hosts, message="asked, and nobody listens")
            await eventually(lambda: hosts.hosts[honest.id].providers.keys() == {"http"})


async def test_registries_are_put_on_every_host_and_served_to_starting_ones(
    own_nats: NatsServer, connection: Connection, control: ControlWriter
) -> None:
    lattice = SharedLattice()
    credentials = {
        "ghcr.io": RegistryCredential(username="u", password="p4ss"),
        "localhost:5000": RegistryCredential(token="t0ken"),
    }
    assert "p4ss" not in repr(credentials)
    assert "t0ken" not in repr(credentials)

    async def for_host(labels: Any) -> dict[str, RegistryCredential] | None:
        if labels.get("fail"):
            raise RuntimeError("p4ss")
        return credentials if labels.get("pool") == "ours" else None

    async with (
        LatticeHost.running(own_nats.url, lattice, labels={"pool": "ours"}) as one,
        LatticeHost.running(own_nats.url, lattice, labels={"pool": "theirs"}) as two,
        LatticeHost.running(own_nats.url, lattice, labels={"fail": "yes"}) as three,
    ):

        async def all_took_them() -> bool:
            return await control.put_registries(credentials) == 3

        await eventually(all_took_them)
        wanted = {
            "ghcr.io": {"username": "u", "password": "p4ss", "registryType": "oci"},
            "localhost:5000": {"token": "t0ken", "registryType": "oci"},
        }
        assert one.registries == two.registries == three.registries == wanted
        service = asyncio.create_task(ConfigService(connection, "default", for_host, clock=SystemClock()).run())
        try:
            body = await eventually(one.ask_config_service)
            assert body == {"registryCredentials": wanted}
            for host in (three, two):
                with pytest.raises(TimeoutError):
                    await host.ask_config_service(timeout=0.3)
            assert await one.ask_config_service() == body, "it goes on after a failure"
        finally:
            service.cancel()


async def test_a_real_wadm_deploys_onto_hosts_for_tests(
    own_nats: NatsServer, connection: Connection, control: ControlWriter, tmp_path: Path
) -> None:
    application = {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "shop", "annotations": {"version": "1"}},
        "spec": {
            "components": [
                {
                    "name": "web",
                    "type": "component",
                    "properties": {"image": "localhost:5000/web:1"},
                    "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
                },
                {
                    "name": "httpserver",
                    "type": "capability",
                    "properties": {"image": HTTP_SERVER},
                    "traits": [
                        {"type": "daemonscaler", "properties": {"instances": 1}},
                        http_link(address="0.0.0.0:8080", config="addr"),
                    ],
                },
            ]
        },
    }
    lattice = SharedLattice()
    client = WadmWriter(connection, "default", gate=AlwaysOpen(), timeout=60)
    async with (
        Wadm.start(tmp_path / "wadm", own_nats.url),
        LatticeHost.running(own_nats.url, lattice, heartbeat=1) as first,
        LatticeHost.running(own_nats.url, lattice, heartbeat=1) as second,
        live_hosts(connection, control) as hosts,
    ):
        events: list[WadmEvent] = []
        await subscribe_wadm(connection, client.subjects, events.append)
        await client.put(application)
        await client.deploy("shop")

        def words() -> list[StatusType]:
            return [event.status.info.type for event in events if isinstance(event, StatusPushed)]

        await eventually(lambda: words()[-1] is StatusType.DEPLOYED, message="deployed")
        for host in (first, second):
            assert hosts.hosts[host.id].applications == {"shop"}
        assert sum("web" in next(iter(host.components), "") for host in hosts.hosts.values()) == 1
        assert [link["wit_package"] for link in lattice.links] == ["http"]
        assert await control.config("shop-addr") == {"address": "0.0.0.0:8080"}
        (summary,) = await client.list()
        assert (summary.status.type, summary.deployed_version) == (StatusType.DEPLOYED, "1")
        assert {scaler.kind for scaler in (await client.status("shop")).scalers} >= {"SpreadScaler", "LinkScaler"}

        await client.undeploy("shop")
        await eventually(lambda: not any(host.providers for host in hosts.hosts.values()))
        await eventually(lambda: words()[-1] is StatusType.UNDEPLOYED)
        assert await client.delete("shop")
