"""Replicas of an operator that elect a leader, on one scripted API server and one virtual clock."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector, LeaseLost
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.resources import LEASE, Key
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedTransport

LOCK = Key("system", "leader")


class Replica:
    """A process as the operator is one: an elector, a lease informer, and work that writes while it may."""

    def __init__(self, api: ScriptedApi, clock: VirtualClock, name: str, **settings) -> None:
        self.name = name
        self.clock = clock
        self.transport = ScriptedTransport(api)
        metrics = Metrics()
        reader = Reader(self.transport, metrics=metrics)
        plain = Writer(reader, field_manager="tests", gate=AlwaysOpen())
        self.informer = Informer.on_api(
            plain,
            LEASE,
            LEASE_CODEC,
            clock=clock,
            metrics=metrics,
            namespaces=("system",),
            field_selector="metadata.name=leader",
        )
        self.elector = Elector(
            client=plain, informer=self.informer, key=LOCK, identity=name, clock=clock, metrics=metrics, **settings
        )
        self.client = Writer(reader, field_manager="tests", gate=self.elector)
        self.stopping = asyncio.Event()
        self.leading = False
        self.writes: list[float] = []
        self.lost = 0
        self.tasks = [asyncio.ensure_future(self.informer.run()), asyncio.ensure_future(self.run())]

    async def run(self) -> None:
        while not self.stopping.is_set():
            try:
                await self.elector.run(self.lead)
            except LeaseLost:
                self.lost += 1

    async def lead(self) -> None:
        self.leading = True
        try:
            await self.stopping.wait()
        finally:
            self.leading = False

    def may_write(self) -> bool:
        return self.elector.remaining() >= 0.5

    def kill(self) -> None:
        for task in self.tasks:
            task.cancel()


class Pair:
    def __init__(self, *names: str) -> None:
        self.clock = VirtualClock()
        self.api = ScriptedApi(self.clock)
        first, second = names or ("one", "two")
        self.one = Replica(self.api, self.clock, first)
        self.two = Replica(self.api, self.clock, second)
        self.watcher = asyncio.ensure_future(self.watch())

    async def watch(self) -> None:
        while True:
            writers = [replica.name for replica in (self.one, self.two) if replica.elector.remaining() > 0]
            assert len(writers) < 2, f"both may write at {self.clock.monotonic()}"
            await self.clock.sleep(0.4)

    def leader(self) -> Replica | None:
        return next((replica for replica in (self.one, self.two) if replica.leading), None)

    async def elected(self) -> tuple[Replica, Replica]:
        await self.clock.until(lambda: self.leader() is not None)
        leader = self.leader()
        return leader, self.two if leader is self.one else self.one

    async def close(self) -> None:
        for replica in (self.one, self.two):
            replica.kill()
        tasks = [*self.one.tasks, *self.two.tasks]
        if self.watcher.done() and not self.watcher.cancelled():
            self.watcher.result()
        self.watcher.cancel()
        await ended(self.clock, *tasks, self.watcher)


async def ended(clock: VirtualClock, *tasks: asyncio.Task) -> None:
    """Until these tasks have ended; one that is stopped while it takes the lease may try to give it back."""
    ending = asyncio.gather(*tasks, return_exceptions=True)
    while not ending.done():
        await clock.advance(1)


@asynccontextmanager
async def replicas(*names: str, api: ScriptedApi | None = None, **settings):
    """Replicas of these identities on one API; killed at the end."""
    api = api or ScriptedApi(VirtualClock())
    made = [Replica(api, api.clock, name, **settings) for name in names]
    try:
        yield made
    finally:
        for replica in made:
            replica.kill()
        await ended(api.clock, *(task for replica in made for task in replica.tasks))


def given_back(api: ScriptedApi, lock: Key = LOCK, **spec: object) -> None:
    """A lease that somebody has given back."""
    free = {"holderIdentity": "", "renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 1}
    api.put(LEASE, {"metadata": {"name": lock.name, "namespace": lock.namespace}, "spec": {**free, **spec}})


def taken_by(api: ScriptedApi, holder: str, **spec: object) -> None:
    edited(api, holderIdentity=holder, **spec)


def edited(api: ScriptedApi, **spec: object) -> None:
    """Somebody writes into the lease by hand."""
    body = api.get(LEASE, LOCK)
    api.put(LEASE, {**body, "spec": {**body["spec"], **spec}})
