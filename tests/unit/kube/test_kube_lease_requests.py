"""How often a replica that does not lead asks for the lease."""

from __future__ import annotations

import asyncio
import itertools

from support.kube.bench import KubeBench
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector
from wasmcloud_operator.kube.resources import LEASE, Key
from wasmcloud_operator.kube.testing import Answer


def standing_by(bench: KubeBench) -> None:
    informer = Informer.on_api(bench.client, LEASE, LEASE_CODEC, clock=bench.clock, metrics=bench.metrics)
    elector = Elector(
        client=bench.client,
        informer=informer,
        key=Key("system", "leader"),
        identity="one",
        clock=bench.clock,
        metrics=bench.metrics,
    )
    bench.start(elector.run(asyncio.Event().wait))


async def test_a_lease_that_cannot_be_read_is_asked_for_once_in_a_retry_interval(bench: KubeBench):
    bench.api.fail(*[Answer("read", 500)] * 100)
    standing_by(bench)
    await bench.clock.advance(60)
    # Every 2 s, and up to a fifth later, so that replicas do not ask in step.
    assert 60 / 2.4 <= len(bench.api.requests) <= 60 / 2 + 1


async def test_a_server_that_asks_to_wait_is_not_asked_for_the_lease_before(bench: KubeBench):
    bench.api.fail(*[Answer("read", 429, headers={"Retry-After": "20"})] * 100)
    standing_by(bench)
    await bench.clock.advance(60)
    asked = [request.at for request in bench.api.requests]
    assert len(asked) == 3
    assert all(later - earlier >= 20 for earlier, later in itertools.pairwise(asked))
