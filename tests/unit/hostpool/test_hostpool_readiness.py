"""The gate of a host pod, and every other part of an object that somebody else may set back, at one pace."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest

from support.kube.bench import KubeBench
from support.operators.context import bare_context
from wasmcloud_operator.hostpool import readiness
from wasmcloud_operator.hostpool.readiness import ReadinessReconciler
from wasmcloud_operator.kube.conditions import Condition
from wasmcloud_operator.kube.controller import Controller, Result
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.resources import POD, Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.lattice.connection_types import ConnectionPhase, ConnectionState
from wasmcloud_operator.names import SERVING_GATE
from wasmcloud_operator.shared.context import POD_CODEC

KEY = Key("ns", "pool-0")
READY = {"type": "ContainersReady", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}

CONNECTED = ConnectionState(ConnectionPhase.CONNECTED, "Connected", "", datetime.now(UTC))


class World:
    """A pod whose host serves, and the controller of its gate."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench = bench
        self.pods = Informer.on_api(bench.client, POD, POD_CODEC, clock=bench.clock, metrics=bench.metrics)
        bench.start(self.pods.run())
        context = bare_context(bench)
        self.part = StatusPart(
            resource=POD, codec=POD_CODEC, paced=context.applier.paced, client=bench.client, part="status.gate"
        )
        self.reconciler = ReadinessReconciler(
            configs=SimpleNamespace(store={}),
            pods=self.pods,
            pools=SimpleNamespace(get=lambda _: None),
            hosts_in_pods=SimpleNamespace(pods_of=lambda _: ()),
            placements=None,
            part=self.part,
            clock=bench.clock,
        )
        self.looks = 0
        self.controller: Controller[Key] = context.controller(
            "readiness", self.look, self.report, parts=((POD, self.part.part),)
        )
        bench.start(self.controller.run())

    async def look(self, key: Key) -> Result:
        self.looks += 1
        return await self.reconciler.reconcile(key)

    async def report(self, key: Key, error: Exception) -> None:
        raise AssertionError(f"{key}: {error}")

    def others(self, *conditions: dict) -> None:
        body = self.bench.api.get(POD, KEY)
        entry = {
            "manager": "other",
            "time": "2026-01-01T00:00:00Z",
            "fieldsV1": {"f:status": {"f:conditions": {f'k:{{"type":"{SERVING_GATE}"}}': {"f:status": {}}}}},
        }
        metadata = {**body["metadata"], "managedFields": [entry]}
        self.bench.api.put(POD, {**body, "metadata": metadata, "status": {"conditions": [READY, *conditions]}})

    @property
    def gate(self) -> str | None:
        conditions = self.bench.api.get(POD, KEY)["status"]["conditions"]
        return next((one["status"] for one in conditions if one["type"] == SERVING_GATE), None)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(readiness, "judge", lambda _: Condition(SERVING_GATE, "True", "Serves", "it is in the lattice"))
    bench = KubeBench()
    bench.api.put(
        POD,
        {
            "metadata": {"name": KEY.name, "namespace": KEY.namespace},
            "spec": {"readinessGates": [{"conditionType": SERVING_GATE}]},
            "status": {"conditions": [READY]},
        },
    )
    made = World(bench)
    await bench.clock.until(lambda: made.pods.synced)
    yield made
    await bench.stop()


async def test_a_gate_is_opened_and_stays_open_without_another_look(world: World):
    world.controller.queue.add(KEY)
    await world.bench.clock.settle()
    assert world.gate == "True"
    await world.bench.clock.advance(600)
    assert world.looks == 1


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "taken out"])
async def test_a_gate_that_is_set_back_is_opened_again_at_the_pace_of_all_writes(world: World, closed: bool):
    world.pods.on_change(lambda change, _: world.controller.queue.add(change.key))
    world.controller.queue.add(KEY)
    await world.bench.clock.settle()
    opened = []
    for second in range(1200):
        if world.gate == "True":
            opened.append(second)
            world.others(*([{"type": SERVING_GATE, "status": "False", "reason": "Theirs"}] if closed else []))
        await world.bench.clock.advance(1)
    between = [later - earlier for earlier, later in itertools.pairwise(opened)]
    assert between[:2] == [1, 1], "at once, the first time"
    assert 8 <= len(opened) <= 13
    assert max(between) == 300


async def test_a_part_that_is_set_back_is_looked_at_again_when_it_may_be_written_though_no_news_comes(world: World):
    world.controller.queue.add(KEY)
    await world.bench.clock.settle()
    closed = {"type": SERVING_GATE, "status": "False", "reason": "Theirs"}
    for _ in range(2):
        world.others(closed)
        await world.bench.clock.settle()
        world.controller.queue.add(KEY)
        await world.bench.clock.settle()
    assert world.gate == "False", "it was opened a moment ago"
    looks = world.looks
    await world.bench.clock.advance(1.1)
    assert world.gate == "True"
    assert world.looks == looks + 1


async def test_a_pod_is_first_looked_at_when_its_containers_are_ready(world: World):
    heard: list[Callable[[], None]] = []
    pool = SimpleNamespace(key="pool")
    readiness.wire(
        world.controller.queue,
        SimpleNamespace(
            lattices=SimpleNamespace(listen=lambda on_news: heard.append(partial(on_news, None, CONNECTED))),
            listen=lambda on_pool: heard.append(partial(on_pool, pool)),
            of=lambda _: [pool],
        ),
        SimpleNamespace(
            listen=lambda on_hosts: heard.append(partial(on_hosts, None, [KEY])),
            pods_of=lambda _: list(world.pods.store),
        ),
        world.pods,
    )
    assert len(heard) == 3
    body = world.bench.api.get(POD, KEY)
    for status, looks in (("False", 0), ("True", 1)):
        world.bench.api.put(POD, {**body, "status": {"conditions": [{**READY, "status": status}]}})
        await world.bench.clock.settle()
        for hear in heard:
            hear()
        await world.bench.clock.settle()
        assert world.looks == looks
    assert world.gate == "True"
