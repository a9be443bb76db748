"""The lattices in use: started and ended by their holders, their news in one stream, one name on two NATS systems."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.lattice.jwt import Account, Operator
from testbed import NatsServer, eventually
from testbed.ports import free_ports
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.connection import Connection
from wasmcloud_operator.lattice.connection_types import Channel, ConnectionState, ServerInfo, Timing
from wasmcloud_operator.lattice.control import RegistryCredential
from wasmcloud_operator.lattice.errors import InvalidName
from wasmcloud_operator.lattice.host_types import InventoryChange
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.lattice import Lattice, LatticeEvent
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice
from wasmcloud_operator.lattice.wadm_events import StatusPushed

QUICK = Timing(backoff_first=0.05, backoff_limit=0.2)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer.start(tmp_path / "nats", jetstream=False) as started:
        yield started


async def test_a_lattice_lives_while_it_is_held(server: NatsServer) -> None:
    key = LatticeRoute(ConnectionSpec((server.url,)), "default")
    async with Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices:
        first = lattices.hold("a/one", key)
        assert lattices.hold("a/two", key) is first
        assert set(lattices.holders(first)) == {"a/one", "a/two"}
        await eventually(lambda: first.hosts.synced)
        lattices.release("a/one")
        lattices.release("a/one")
        assert lattices.all == (first,)
        other = lattices.hold("a/two", LatticeRoute(key.spec, "other"))
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
        LatticeRoute(key.spec, "a b")


async def test_a_thousand_lattices_of_one_tenant_leave_the_loop_to_others() -> None:
    """Whoever may make host configs decides how many lattices there are."""
    routes = [LatticeRoute(ConnectionSpec((f"nats://127.0.0.{1 + one % 250}:9",)), f"l{one}") for one in range(1000)]
    async with Lattices(gate=AlwaysOpen(), timing=Timing(backoff_first=60, backoff_limit=60)) as lattices:
        began = time.process_time()
        for _ in range(2):
            for number, route in enumerate(routes):
                lattices.hold(f"unfriendly/{number}", route)
        assert time.process_time() - began < 10  # with each looking at all routes of all others, a quarter of an hour
        assert len(lattices.all) == 1000


async def test_however_many_lattices_claim_to_be_one_few_proofs_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = []

    async def never_arrives(one: Channel, other: Channel) -> bool:
        under_way.append((one, other))
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr("wasmcloud_operator.lattice.lattices.leads_to_one", never_arrives)
    routes = [LatticeRoute(ConnectionSpec((f"nats://127.0.0.1:{1 + one}",)), "default") for one in range(100)]
    async with Lattices(gate=AlwaysOpen()) as lattices, asyncio.TaskGroup() as learning:
        for number, route in enumerate(routes):
            lattices.hold(f"unfriendly/{number}", route)
        claims = [learning.create_task(lattices._learnt(route, ServerInfo("S"), "A")) for route in routes]
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(under_way) == 64
        for claim in claims:
            claim.cancel()


async def test_routes_prove_to_lead_to_one_lattice(server: NatsServer) -> None:
    by_number, by_name = route_to(server.url), route_to(server.url.replace("127.0.0.1", "localhost"))
    async with Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices:
        moves: list[tuple[str, Lattice]] = []
        lattices.listen_to_moves(lambda holder, lattice: moves.append((holder, lattice)))
        first = lattices.hold("one", by_number)
        second = lattices.hold("two", by_name)
        assert second is not first, "nobody knows yet"
        lattices.keep("three", second)
        await eventually(lambda: len(lattices.all) == 1)
        assert sorted(moves) == [("three", first), ("two", first)]
        assert set(lattices.holders(first)) == {"one", "two", "three"}
        lattices.release("one")
        await eventually(lambda: first.hosts.synced and list(first.connection.routes) == [by_name])
        async with LatticeHost.running(server.url, SharedLattice()) as host:
            await host.start_provider("http", application="shop")
            await eventually(lambda: first.hosts.hosts[host.id].applications == {"shop"})


async def test_a_lattice_stays_the_same_while_its_address_is_spelled_otherwise(server: NatsServer) -> None:
    async with Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices:
        lattice = lattices.hold("one", route_to(server.url))
        await eventually(lambda: lattice.hosts.synced and lattice.identified)
        states: list[ConnectionState] = []
        lattice.connection.listen(states.append)
        assert lattices.hold("one", route_to(server.url.replace("127.0.0.1", "localhost"))) is lattice
        await eventually(lambda: len(lattices.all) == 1 and len(lattice.connection.routes) == 1)
        assert lattices.held_by("one") is lattice
        assert lattice.connection.state.connected
        assert all(state.connected for state in states), "its wadm and hosts were reachable all the time"
        assert len(lattice.identity.ids) == 2, "what was written with the former address is recognised"


async def test_a_lattice_is_left_only_for_one_that_proves_to_be_another(server: NatsServer, tmp_path: Path) -> None:
    elsewhere = NatsServer.start(tmp_path / "other", jetstream=False)
    async with elsewhere as other, Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices:
        lattice = lattices.hold("one", route_to(server.url))
        await eventually(lambda: lattice.identified)
        await other.kill()
        assert lattices.hold("one", route_to(other.url)) is lattice
        await eventually(lambda: (lattices.route_state("one") or lattice.connection.state).reason == "Unreachable")
        assert lattices.held_by("one") is lattice
        await other.restart()
        await eventually(lambda: lattices.held_by("one") is not lattice)
        await eventually(lambda: len(lattices.all) == 1)


async def test_another_route_is_taken_when_the_one_in_use_ends(tmp_path: Path) -> None:
    here, there = free_ports(2)
    members = (
        f'cluster {{ name: pair, listen: "127.0.0.1:{here}" }}',
        f'cluster {{ name: pair, listen: "127.0.0.1:{there}", routes: ["nats://127.0.0.1:{here}"] }}',
    )
    one, two = (
        NatsServer.start(tmp_path / f"member-{here}", jetstream=False, config_extra=member)
        for here, member in enumerate(members)
    )
    async with one as first, two as second, Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices:
        lattices.hold("one", route_to(first.url))
        lattices.hold("two", route_to(second.url))
        await eventually(lambda: len(lattices.all) == 1)
        (lattice,) = lattices.all
        await eventually(lambda: all(route.state.connected for route in lattice.connection.routes.values()))
        heard: list[LatticeEvent] = []
        lattices.listen(lambda _, event: heard.append(event))
        await first.kill()
        await eventually(lambda: lattice.connection.state.connected and second.url in lattice.connection.state.message)
        await lattice.connection.publish("wadm.status.default.shop", b'{"status": {"type": "deployed"}}')
        await eventually(lambda: any(isinstance(event, StatusPushed) for event in heard), message="subscribed there")


async def test_one_lattice_name_in_two_accounts_is_kept_apart(tmp_path: Path) -> None:
    settings = """
        accounts {
            A { users = [{user: a, password: x}] }
            B { users = [{user: b, password: x}, {user: c, password: x}] }
        }
    """
    async with NatsServer.start(tmp_path / "nats", jetstream=False, config_extra=settings) as server:
        a, b, c = (route_to(server.url.replace("://", f"://{user}:x@")) for user in "abc")
        async with Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices:
            first, second, third = (lattices.hold(user, route) for user, route in zip("abc", (a, b, c), strict=True))
            await eventually(lambda: len(lattices.all) == 2)
            assert lattices.held_by("a") is first
            assert lattices.held_by("b") is lattices.held_by("c")
            assert first.evidence.account == "A"
            assert {second, third} > {lattices.held_by("b")}


def route_to(*urls: str) -> LatticeRoute:
    return LatticeRoute(ConnectionSpec(urls), "default")


async def test_credentials_that_a_server_does_not_ask_for_make_no_other_lattice_until_it_does(tmp_path: Path) -> None:
    one, other = Account("one"), Account("other")
    async with NatsServer.start(tmp_path / "nats", jetstream=False) as server:
        routes = {
            "anonymous": route_to(server.url),
            "one": LatticeRoute(ConnectionSpec((server.url,), one.credentials("u")), "default"),
            "other": LatticeRoute(ConnectionSpec((server.url,), other.credentials("u")), "default"),
            "by name": LatticeRoute(
                ConnectionSpec((server.url.replace("127.0.0.1", "localhost"),), one.credentials("v")), "default"
            ),
        }
        async with Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices:
            for holder, route in routes.items():
                lattices.hold(holder, route)
            await eventually(lambda: len(lattices.all) == 1, message="all are in the one account that there is")
            (lattice,) = lattices.all
            assert lattice.evidence.account == "$G"
            await server.restart(Operator(one, other).server_config())
            await eventually(lambda: _are_parted(lattices), message="by now they are in two accounts")
            await eventually(lambda: lattices.held_by("by name") is lattices.held_by("one"))
            left = lattices.held_by("anonymous")
            assert left is not None
            assert left not in (lattices.held_by("one"), lattices.held_by("other"))
            assert list(left.connection.routes) == [routes["anonymous"]]
            assert not left.connection.state.connected
            await server.restart("")
            await eventually(lambda: len(lattices.all) == 1)


async def test_credentials_that_the_server_refuses_lead_into_nobodys_lattice(tmp_path: Path) -> None:
    """Of the account that a user JWT names nothing is known before a server has let that user in."""
    account = Account("one")
    config = Operator(account).server_config()
    async with (
        NatsServer.start(tmp_path / "nats", jetstream=False, config_extra=config) as server,
        Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices,
    ):
        owners, friends, refused = (
            LatticeRoute(ConnectionSpec((server.url,), account.credentials("u", lifetime=lifetime)), "default")
            for lifetime in (None, None, -60)
        )
        lattice = lattices.hold("owner", owners)
        await eventually(lambda: lattice.identified)
        lattices.hold("friend", friends)
        lattices.hold("stranger", refused)
        await eventually(lambda: lattices.held_by("friend") is lattice)
        await eventually(lambda: (state := lattices.route_state("stranger")) and state.reason == "CredentialsRejected")
        left = lattices.held_by("stranger")
        assert left is not lattice
        assert list(lattice.connection.routes) == [owners, friends]


def _are_parted(lattices: Lattices) -> bool:
    held = [lattices.held_by(holder) for holder in ("anonymous", "one", "other")]
    return len({id(one) for one in held}) == 3


async def test_one_lattice_name_on_two_systems_is_kept_apart(server: NatsServer, tmp_path: Path) -> None:
    async with (
        NatsServer.start(tmp_path / "other", jetstream=False) as other,
        Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices,
    ):
        news: list[tuple[Lattice, LatticeEvent]] = []
        lattices.listen(lambda lattice, event: news.append((lattice, event)))
        here = lattices.hold("here", LatticeRoute(ConnectionSpec((server.url,)), "default"))
        there = lattices.hold("there", LatticeRoute(ConnectionSpec((other.url,)), "default"))
        await eventually(lambda: here.hosts.synced and there.hosts.synced)
        async with LatticeHost.running(server.url, SharedLattice()) as host:
            await host.start_provider("http", application="shop")
            await eventually(lambda: here.hosts.hosts[host.id].applications == {"shop"})
        await there.connection.publish("wadm.status.default.shop", b'{"status": {"type": "deployed"}}')
        await eventually(lambda: any(isinstance(event, StatusPushed) for _, event in news))
        assert {lattice for lattice, event in news if isinstance(event, InventoryChange) and event.applications} == {
            here
        }
        assert {lattice for lattice, event in news if isinstance(event, StatusPushed)} == {there}
        await other.kill()
        await eventually(lambda: any(isinstance(event, ConnectionState) and not event.connected for _, event in news))
        assert here.connection.state.connected
        assert not there.hosts.synced


async def test_the_config_service_knows_whose_lattice_asks(server: NatsServer) -> None:
    async def credentials_for(lattice: Lattice, labels: object) -> dict[str, RegistryCredential]:
        return {lattice.name: RegistryCredential(token=str(labels))}

    async with (
        Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices,
        LatticeHost.running(server.url, SharedLattice("blue"), labels={"a": "b"}) as host,
    ):
        lattices.answer_hosts(credentials_for)
        blue = lattices.hold("x", LatticeRoute(ConnectionSpec((server.url,)), "blue"))
        await eventually(lambda: blue.hosts.synced)
        body = await eventually(host.ask_config_service)
        assert body == {"registryCredentials": {"blue": {"token": "{'a': 'b'}", "registryType": "oci"}}}


async def test_a_server_that_claims_to_be_another_tenants_proves_nothing(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[ServerInfo] = []

    def claimed(connection: Connection) -> ServerInfo | None:
        """Every server says what the first one did: its id, its cluster and its members."""
        if connection.state.connected and not known:
            known.append(ServerInfo("NVICTIM", "nats", ("10.0.0.1:4222",)))
        return known[0] if connection.state.connected else None

    monkeypatch.setattr(Connection, "server", property(claimed))
    async with (
        NatsServer.start(tmp_path / "impostor", jetstream=False) as impostor,
        Lattices(gate=AlwaysOpen(), timing=QUICK) as lattices,
    ):
        victims = lattices.hold("victim", route_to(server.url))
        await eventually(lambda: victims.evidence.servers)
        fake = lattices.hold("tenant", route_to(impostor.url))
        await eventually(lambda: fake.evidence.servers)
        assert fake.signs & victims.signs, "the claim alone would do"
        honest = lattices.hold("friend", route_to(server.url.replace("127.0.0.1", "localhost")))
        await eventually(lambda: lattices.held_by("friend") is victims, message="a claim that is true is proved")
        assert honest is not victims
        assert lattices.held_by("tenant") is fake
