"""A Service leads to a pod once its host listens; one that refuses is waited for, and its links are put again."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from types import MappingProxyType

import pytest

from support.sites.labelled_pods import POD_IP, PodSite, app_manifest, component, provider
from support.sites.lattices_in_memory import Lattice
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.listening import ConnectResult, Listening, connect
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.control import Link
from wasmcloud_operator.lattice.errors import NoResponders
from wasmcloud_operator_types import POD_UID_LABEL

POD, OTHER = Key("ns", "pod-0"), Key("ns", "pod-1")
LINK, ANOTHERS = Link("one-http", b'{"source_id":"one-http"}'), Link("two-http", b'{"source_id":"two-http"}')
LED_TO = {naming.serves_label("one")}


class Ports:
    """What connecting to a pod shows, and who was connected to."""

    def __init__(self, answer: ConnectResult) -> None:
        self.answer, self.asked = answer, list[tuple[str, int]]()

    async def __call__(self, address: str, port: int) -> ConnectResult:
        self.asked.append((address, port))
        return self.answer


class Site(PodSite):
    """Application `one` on both pods, in a lattice with the links of two applications."""

    def __init__(self, answer: ConnectResult) -> None:
        self.ports, self.lattice = Ports(answer), Lattice.at()
        super().__init__(self.ports)
        self.lattice.control.known = (LINK, ANOTHERS)
        manifest = app_manifest("one", ["http"])
        self.pools.add(Key("ns", "pool"), self.lattice)
        self.deploy(self.lattice, manifest)
        self.service(manifest, "ns", self.lattice)
        for key in (POD, OTHER):
            self.host(self.lattice, f"uid-{key}", providers=provider(), components=component("one"))
            self.pod(key)

    async def after(self, seconds: float, key: Key = POD) -> set[str]:
        """Returns the Services that the pod is led to once it was looked at again."""
        await self.clock.advance(seconds)
        await self.labeler.reconcile(key)
        return self.labelled(key)


async def test_a_pod_that_listens_is_led_to_and_not_connected_to_again() -> None:
    site = Site(ConnectResult.ACCEPTED)
    assert await site.after(0) == LED_TO
    assert site.ports.asked == [(POD_IP, 8080)]
    assert await site.after(1000) == LED_TO
    assert len(site.ports.asked) == 1
    assert site.lattice.control.put == []


async def test_a_pod_that_refuses_is_led_to_once_it_listens() -> None:
    site = Site(ConnectResult.REFUSED)
    assert await site.after(0) == set()
    waiting = await site.labeler.reconcile(POD)
    assert waiting.requeue_after == 1.0
    assert waiting.waits_for == f"the host to listen for {naming.serves_label('one')}"
    site.ports.answer = ConnectResult.ACCEPTED
    assert await site.after(1) == LED_TO


async def test_the_links_of_a_provider_that_refuses_are_put_again_ever_less_often() -> None:
    site = Site(ConnectResult.REFUSED)
    put = []
    for second in range(60):
        await site.after(0 if second == 0 else 1)
        if len(site.lattice.control.put) > len(put):
            put.append(second)
    assert put == [2, 6, 15, 30, 45]
    assert set(site.lattice.control.put) == {LINK}, "links of others are left alone"


async def test_no_link_is_put_that_the_lattice_has_not() -> None:
    site = Site(ConnectResult.REFUSED)
    site.lattice.control.known = (ANOTHERS,)
    for _ in range(10):
        assert await site.after(1) == set()
    assert site.lattice.control.put == []


async def test_hosts_that_do_not_answer_leave_the_pod_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(ConnectResult.REFUSED)

    async def nobody() -> tuple[Link, ...]:
        raise NoResponders("no host")

    monkeypatch.setattr(site.lattice.control, "links", nobody)
    assert await site.after(0) == set()
    assert await site.after(3) == set()


async def test_a_refusal_is_waited_for_a_minute_then_taken_for_the_networks_own() -> None:
    site = Site(ConnectResult.REFUSED)
    assert await site.after(0) == set()
    assert await site.after(59) == set()
    assert await site.after(1) == LED_TO
    asked = len(site.ports.asked)
    assert await site.after(1, OTHER) == LED_TO
    assert len(site.ports.asked) == asked, "the pods of the namespace are left alone"


async def test_pods_are_connected_to_again_after_ten_minutes_of_refusals() -> None:
    site = Site(ConnectResult.REFUSED)
    await site.after(0)
    assert await site.after(60) == LED_TO
    assert await site.after(601, OTHER) == set()


async def test_a_host_that_goes_while_it_is_connected_to_gets_no_label() -> None:
    site = Site(ConnectResult.ACCEPTED)

    async def gone_meanwhile(_: str, __: int) -> ConnectResult:
        for host in [host for host in site.lattice.hosts.hosts.values() if host.labels[POD_UID_LABEL] == f"uid-{POD}"]:
            site.lattice.hosts.hosts[host.id] = replace(host, providers=MappingProxyType({}))
        return ConnectResult.ACCEPTED

    site.labeler = replace(site.labeler, listening=Listening(site.clock, gone_meanwhile))
    assert await site.after(0) == set()
    assert await site.after(1) == set()


async def test_silence_is_not_held_against_a_pod_and_costs_one_attempt_a_minute() -> None:
    site = Site(ConnectResult.SILENT)
    assert await site.after(0) == LED_TO
    assert await site.after(30, OTHER) == LED_TO
    assert len(site.ports.asked) == 1
    site.pod(POD, version=5)
    assert await site.after(31) == LED_TO
    assert len(site.ports.asked) == 2


async def test_a_label_that_is_there_stays_whatever_the_port_does() -> None:
    site = Site(ConnectResult.REFUSED)
    site.pod(POD, "one", version=5)
    assert await site.after(0) == LED_TO
    assert site.ports.asked == []


async def test_connecting_shows_whether_a_port_is_open() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert await connect("127.0.0.1", closed.getsockname()[1]) is ConnectResult.REFUSED

    heard = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b"", "nothing is sent"
        writer.close()
        heard.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        assert await connect("127.0.0.1", server.sockets[0].getsockname()[1]) is ConnectResult.ACCEPTED
        async with asyncio.timeout(10):
            await heard.wait()


async def test_an_address_that_leads_nowhere_is_silent() -> None:
    assert await connect("no-such-pod.invalid", 8080) is ConnectResult.SILENT
