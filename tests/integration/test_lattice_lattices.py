"""The lattices in use: started and ended by their holders, their news in one stream, one name on two NATS systems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from latticehost import Lattice as HostsLattice
from latticehost import LatticeHost
from testbed import NatsServer, eventually
from wasmcloud_operator.lattice.connection_types import ConnectionState, Timing
from wasmcloud_operator.lattice.errors import InvalidName
from wasmcloud_operator.lattice.host_types import Change
from wasmcloud_operator.lattice.lattices import Lattice, LatticeEvent, LatticeKey, Lattices
from wasmcloud_operator.lattice.registry import RegistryCredential
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.wadm_events import StatusPushed

QUICK = Timing(backoff_first=0.05, backoff_limit=0.2)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer.start(tmp_path / "nats", jetstream=False) as started:
        yield started


async def test_a_lattice_lives_while_it_is_held(server: NatsServer) -> None:
    key = LatticeKey(ConnectionSpec((server.url,)), "default")
    async with Lattices(timing=QUICK) as lattices:
        first = lattices.hold("a/one", key)
        assert lattices.hold("a/two", key) is first
        assert set(lattices.holders(first)) == {"a/one", "a/two"}
        await eventually(lambda: first.hosts.synced)
        lattices.release("a/one")
        lattices.release("a/one")
        assert lattices.all == (first,)
        other = lattices.hold("a/two", LatticeKey(key.spec, "other"))
        assert lattices.all == (other,)
        assert lattices.held_by("a/one") is None
        assert lattices.held_by("a/two") is other
        await eventually(lambda: other.hosts.synced)
        lattices.release("a/two")
        await eventually(lambda: first.connection.state.reason == "Closed")
        lattices.hold("short", key)
        lattices.release("short")
        again = lattices.hold("long", key)
        await eventually(lambda: again.hosts.synced)
        lattices.release("long")
        await eventually(lambda: again.connection.state.reason == "Closed", message="no lease was lost")
    with pytest.raises(InvalidName, match="lattice 'a b'"):
        LatticeKey(key.spec, "a b")


async def test_one_lattice_name_on_two_systems_is_kept_apart(server: NatsServer, tmp_path: Path) -> None:
    async with NatsServer.start(tmp_path / "other", jetstream=False) as other, Lattices(timing=QUICK) as lattices:
        news: list[tuple[Lattice, LatticeEvent]] = []
        lattices.listen(lambda lattice, told: news.append((lattice, told)))
        here = lattices.hold("here", LatticeKey(ConnectionSpec((server.url,)), "default"))
        there = lattices.hold("there", LatticeKey(ConnectionSpec((other.url,)), "default"))
        await eventually(lambda: here.hosts.synced and there.hosts.synced)
        async with LatticeHost.running(server.url, HostsLattice()) as host:
            await host.start_provider("http", application="shop")
            await eventually(lambda: here.hosts.hosts[host.id].applications == {"shop"})
        await there.connection.publish("wadm.status.default.shop", b'{"status": {"type": "deployed"}}')
        await eventually(lambda: any(isinstance(told, StatusPushed) for _, told in news))
        assert {lattice for lattice, told in news if isinstance(told, Change) and told.applications} == {here}
        assert {lattice for lattice, told in news if isinstance(told, StatusPushed)} == {there}
        await other.kill()
        await eventually(lambda: any(isinstance(told, ConnectionState) and not told.connected for _, told in news))
        assert here.connection.state.connected
        assert not there.hosts.synced


async def test_the_config_service_knows_whose_lattice_asks(server: NatsServer) -> None:
    async def credentials_for(lattice: Lattice, labels: object) -> dict[str, RegistryCredential]:
        return {lattice.name: RegistryCredential(token=str(labels))}

    async with (
        Lattices(timing=QUICK, credentials_for=credentials_for) as lattices,
        LatticeHost.running(server.url, HostsLattice("blue"), labels={"a": "b"}) as host,
    ):
        blue = lattices.hold("x", LatticeKey(ConnectionSpec((server.url,)), "blue"))
        await eventually(lambda: blue.hosts.synced)
        body = await eventually(host.ask_config_service)
        assert body == {"registryCredentials": {"blue": {"token": "{'a': 'b'}", "registryType": "oci"}}}
