"""The config service: who is answered with what, who is not, and that no request ends it."""

from __future__ import annotations

import asyncio
import json

import pytest
import pytest_asyncio
import structlog

from testbed import eventually
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice.configservice import ConfigService, requested_labels
from wasmcloud_operator.lattice.connection_types import Message
from wasmcloud_operator.lattice.control import RegistryCredential
from wasmcloud_operator.lattice.errors import LatticeUnavailable

SUBJECT = "wasmbus.cfg.default.req"
CREDENTIALS = {
    "ghcr.io": RegistryCredential(username="u", password="p4ss"),
    "localhost:5000": RegistryCredential(token="t0ken"),
}
WIRE = {
    "registryCredentials": {
        "ghcr.io": {"username": "u", "password": "p4ss", "registryType": "oci"},
        "localhost:5000": {"token": "t0ken", "registryType": "oci"},
    }
}


class Wire:
    """A connection of which subscriptions and published messages are seen."""

    def __init__(self):
        self.interest = {}
        self.sent = []
        self.broken = False

    async def subscribe(self, subject, handler):
        self.interest[subject] = handler
        return Interest(self, subject)

    async def publish(self, subject, data):
        if self.broken:
            raise LatticeUnavailable("gone")
        self.sent.append((subject, json.loads(data)))


class Interest:
    def __init__(self, wire, key):
        self.wire, self.key = wire, key

    async def unsubscribe(self):
        del self.wire.interest[self.key]


class Bench:
    """The service at work; `wanted` is what the operator does with a host's labels, `seen` what it was asked."""

    def __init__(self):
        self.wire, self.clock = Wire(), VirtualClock()
        self.seen = []
        self.wanted = self.answer

    async def answer(self, labels):
        return CREDENTIALS

    async def credentials_for(self, labels):
        self.seen.append(dict(labels))
        return await self.wanted(labels)

    def start(self, **options):
        service = ConfigService(self.wire, "default", self.credentials_for, clock=self.clock, **options)
        return asyncio.create_task(service.run())

    def ask(self, reply="inbox", **labels):
        (handler,) = self.wire.interest.values()
        handler(Message(SUBJECT, json.dumps({"labels": labels}).encode(), reply))

    @property
    def answered(self):
        return [reply for reply, _ in self.wire.sent]


@pytest_asyncio.fixture
async def bench():
    bench = Bench()
    task = bench.start()
    await bench.clock.settle()
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_host_gets_the_credentials_for_its_labels_in_the_hosts_own_words(bench):
    assert list(bench.wire.interest) == [SUBJECT]
    bench.ask(kubernetes_pod_name="pool-a")
    await bench.clock.settle()
    assert bench.seen == [{"kubernetes_pod_name": "pool-a"}]
    assert bench.wire.sent == [("inbox", WIRE)]


async def test_a_host_of_ours_without_registries_is_answered_and_a_strangers_is_not(bench):
    async def answer(labels):
        return {} if labels["pod"] == "ours" else None

    bench.wanted = answer
    bench.ask("one", pod="ours")
    bench.ask("two", pod="theirs")
    bench.ask("", pod="ours")  # nobody waits for an answer
    await bench.clock.settle()
    assert bench.wire.sent == [("one", {"registryCredentials": {}})]
    assert len(bench.seen) == 2


async def test_whose_patience_has_ended_is_not_answered(bench):
    held = asyncio.Event()

    async def answer(labels):
        await held.wait()
        return CREDENTIALS

    bench.wanted = answer
    for number in range(6):
        bench.ask(f"inbox-{number}")
    await bench.clock.advance(5.5)
    bench.ask("fresh")
    held.set()
    await bench.clock.settle()
    # Four were being answered; the fifth and sixth waited for longer than a host does.
    assert sorted(bench.answered) == ["fresh", "inbox-0", "inbox-1", "inbox-2", "inbox-3"]


async def test_an_answer_that_does_not_come_holds_nobody_up():
    bench = Bench()

    async def answer(labels):
        if labels:
            await asyncio.Event().wait()
        return CREDENTIALS

    bench.wanted = answer
    task = bench.start(timeout=0.05)
    await bench.clock.settle()
    for _ in range(8):
        bench.ask("held up", slow="yes")
    bench.ask("quick")
    await eventually(lambda: bench.wire.sent, timeout=5)
    assert bench.answered == ["quick"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_no_failure_ends_it_or_shows_a_secret(bench):
    async def answer(labels):
        if labels.get("wrong"):
            raise RuntimeError("p4ss")
        return CREDENTIALS

    bench.wanted = answer
    with structlog.testing.capture_logs() as logs:
        bench.ask("one", wrong="yes")
        await bench.clock.settle()
        bench.wire.broken = True
        bench.ask("two")
        await bench.clock.settle()
    assert [line["event"] for line in logs] == [
        "registry credentials not sent: unexpected error",
        "registry credentials not sent",
    ]
    assert "p4ss" not in str(logs)
    bench.wire.broken = False
    bench.ask("three")
    await bench.clock.settle()
    assert bench.answered == ["three"]


async def test_more_requests_than_can_wait_are_dropped_and_said(bench):
    with structlog.testing.capture_logs() as logs:
        for number in range(1_005):
            bench.ask(f"inbox-{number}")
    assert [line["event"] for line in logs] == ["request for registry credentials dropped"]  # once a minute
    while len(bench.wire.sent) < 1_000:
        await bench.clock.settle()
    assert "inbox-1000" not in bench.answered


async def test_its_end_ends_the_interest():
    bench = Bench()
    task = bench.start()
    await bench.clock.settle()
    assert bench.wire.interest
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not bench.wire.interest


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (b'{"labels": {"a": "1", "b": "2"}}', {"a": "1", "b": "2"}),
        (b'{"labels": {"a": 1, "b": "2"}}', {"b": "2"}),
        (b'{"labels": []}', {}),
        (b'{"labels": null}', {}),
        (b"{}", {}),
        (b"[]", {}),
        (b"nothing", {}),
        (b"\xff", {}),
        (b"", {}),
        (b"[" * 100_000, {}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_labels_are_taken_from_whatever_comes(data, labels):
    assert dict(requested_labels(data)) == labels
