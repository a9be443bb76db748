"""The Secrets of a pool's own: kept as they are wanted, at the pace of all writes that others may undo."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from support.kube.bench import KubeBench
from support.objects.hostpools import config
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import ChecksumKey, Facts
from wasmcloud_operator.hostpool.owned_secrets import OwnedSecrets
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Metadata
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import SECRET, Key
from wasmcloud_operator.kube.store import Change

CONFIG = config({"natsAddress": "nats://user:word@hub"})
POOL = Key("team", "pool")
NAME = Key("team", naming.conf_secret_name(CONFIG))
FACTS = Facts(checksum_key=ChecksumKey("k"))


class World:
    def __init__(self, bench: KubeBench) -> None:
        self.bench = bench
        self.informer = Informer.on_api(
            bench.client,
            SECRET,
            Codec.of(Metadata),
            clock=bench.clock,
            metrics=bench.metrics,
            namespaces=("team",),
            metadata_only=True,
        )
        bench.start(self.informer.run())
        self.secrets = OwnedSecrets(bench.client, self.informer, None, PacedWrites(bench.client, clock=bench.clock))

    async def keep(self, conf: str = "conf") -> None:
        await self.secrets.ensure(CONFIG, FACTS, conf)

    async def remove(self) -> None:
        await self.secrets.remove_unneeded(CONFIG, FACTS, "")

    async def seen(self) -> None:
        """Return when the cache has what is live."""
        version = self.live["metadata"]["resourceVersion"]
        await self.bench.clock.until(lambda: self.informer.store.get(NAME).metadata.resource_version == version)

    @property
    def live(self) -> dict:
        return self.bench.api.get(SECRET, NAME)

    async def others(self) -> None:
        """Another controller writes a value of its own."""
        fields = {"f:data": {"f:nats.conf": {}}}
        entry = {"manager": "other", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": fields}
        data = {name: base64.b64encode(b"theirs").decode() for name in self.live["data"]}
        metadata = {**self.live["metadata"], "managedFields": [entry]}
        self.bench.api.put(SECRET, {**self.live, "metadata": metadata, "data": data})
        await self.seen()

    def patches(self) -> int:
        sent = sum(request.method == "PATCH" and NAME.name in request.path for request in self.bench.api.requests)
        self.bench.api.requests.clear()
        return sent


@pytest.fixture
async def world() -> AsyncIterator[World]:
    bench = KubeBench()
    made = World(bench)
    await bench.clock.until(lambda: made.informer.synced)
    await made.keep()
    yield made
    await bench.stop()


async def test_a_secret_that_is_set_back_again_and_again_is_written_every_five_minutes(world: World):
    wanted = dict(world.live["data"])
    world.patches()
    await world.others()
    await world.keep()
    assert world.live["data"] == wanted, "put right at once, the first time"
    for _ in range(1200):
        await world.others()
        await world.keep()
        await world.bench.clock.advance(1)
    assert 8 <= world.patches() <= 13, "after 1, 2, 4, … seconds and then every five minutes"
    contested = world.secrets.paced.contests.of(world.secrets.places(POOL))
    assert [str(one).partition(" whenever")[0] for one in contested] == [
        f"Secret {NAME}: .data.nats.conf is set back by field manager other"
    ]


async def test_a_secret_that_is_deleted_again_and_again_is_made_every_five_minutes(world: World):
    world.patches()
    made = 0
    for _ in range(1200):
        if world.live is not None:
            world.bench.api.remove(SECRET, NAME)
            await world.bench.clock.until(lambda: NAME not in world.informer.store)
        await world.keep()
        made += world.live is not None
        await world.bench.clock.advance(1)
    assert 8 <= made <= 13
    assert world.patches() == made
    (contested,) = world.secrets.paced.contests.of(world.secrets.places(POOL))
    assert str(contested).startswith(f"Secret {NAME} is deleted by somebody else")


async def test_another_content_is_written_at_once_while_somebody_sets_the_secret_back(world: World):
    for _ in range(10):
        await world.others()
        await world.keep()
    world.patches()
    await world.keep("another")
    assert world.patches() == 1
    assert base64.b64decode(next(iter(world.live["data"].values()))) == b"another"


async def test_a_secret_that_is_right_is_not_read_again(world: World):
    world.bench.api.requests.clear()
    await world.keep()
    assert world.bench.api.requests == []


class TestASecretThatSomebodysFinalizerHolds:
    @pytest.fixture(autouse=True)
    async def held(self, world: World) -> None:
        """It is no longer needed, and deleted; somebody keeps it from going."""
        body = world.live
        world.bench.api.put(SECRET, {**body, "metadata": {**body["metadata"], "finalizers": ["of.others/one"]}})
        await world.seen()
        await world.remove()
        assert world.live["metadata"]["deletionTimestamp"]
        world.bench.api.requests.clear()

    async def test_a_held_secret_is_known_until_it_is_gone_and_not_deleted_once_more(self, world: World):
        assert world.informer.store.get(NAME).metadata.deleting
        await world.seen()
        await world.remove()
        assert world.bench.api.requests == []

    async def test_a_held_secret_that_is_needed_again_is_made_again_when_it_is_gone(self, world: World):
        changes: list[Change[Metadata]] = []
        world.informer.on_change(lambda change, _: changes.append(change))
        await world.keep("another")
        assert base64.b64decode(next(iter(world.live["data"].values()))) == b"another", "the pods read it as yet"
        going = world.live["metadata"]["uid"]
        world.bench.api.remove(SECRET, NAME)
        await world.bench.clock.until(lambda: bool(changes) and changes[-1].new is None)
        await world.keep("another")
        assert world.live["metadata"]["uid"] != going
        assert "deletionTimestamp" not in world.live["metadata"]


async def test_a_secret_that_was_replaced_before_it_is_deleted_is_left_alone(world: World):
    held = world.informer.store.get(NAME)
    world.bench.api.put(SECRET, {**world.live, "metadata": {"name": NAME.name, "namespace": "team", "uid": "another"}})
    world.informer.store.get = lambda _: held  # the watch is late
    await world.remove()
    assert world.live["metadata"]["uid"] == "another"
