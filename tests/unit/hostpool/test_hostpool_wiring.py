"""Which news of a pool's child can wait a moment: what somebody does to it by hand never does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.kube.bench import KubeBench
from wasmcloud_operator.hostpool.controller import CONFIG_INDEXERS, child_event_delay, is_as_before, is_own_echo, wire
from wasmcloud_operator.hostpool.render_workload import KINDS, WORKLOADS
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.apply import Applier, ManagedKind
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.queue import WorkQueue
from wasmcloud_operator.kube.resources import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, Key, Resource
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.names import FINGERPRINT

OWNER = {"kind": "WasmCloudHostConfig", "name": "pool", "uid": "u1", "controller": True}


def child(generation: int, fingerprint: str = "a", **labels: str) -> Metadata:
    annotations = {FINGERPRINT: fingerprint} if fingerprint else {}
    return Metadata(ObjectMeta("pool", "ns", "uid", "1", generation, labels=labels, annotations=annotations))


@pytest.mark.parametrize(
    ("old", "new", "waits"),
    [
        pytest.param(None, child(1), True, id="we made it"),
        pytest.param(child(1, "a"), child(2, "b"), True, id="we changed it"),
        pytest.param(child(0, "a"), child(0, "b"), True, id="we changed it, of a kind without generation"),
        pytest.param(child(2), child(2), True, id="its status changed"),
        pytest.param(child(1), child(2), False, id="its spec was edited"),
        pytest.param(child(0), child(0, edited="x"), False, id="edited, of a kind without generation"),
        pytest.param(child(1), None, False, id="it was deleted"),
        pytest.param(None, child(1, ""), False, id="somebody else made it"),
    ],
)
def test_changes_of_status_and_own_writes_can_wait(old: Metadata | None, new: Metadata | None, waits: bool) -> None:
    assert is_own_echo(Change(old, new)) is waits


def test_news_of_a_child_waits_longer_the_more_pools_are_in_work():
    waits = [child_event_delay(working) for working in (0, 1, 16, 32)]
    assert waits == sorted(waits)
    assert waits[0] == 0.3
    assert waits[1] < 0.5 < 1.0 < waits[2] < waits[3] < 3.0


class Wired:
    """The queue of host configs, wired to caches of a scripted API server; the queue has nobody who works."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench = bench
        self.configs = self._informer(HOST_CONFIG, CUSTOM_RESOURCE, **CONFIG_INDEXERS)
        self.kinds = {resource: ManagedKind(resource, self._informer(resource, UNSTRUCTURED)) for resource in KINDS}
        self.applier = Applier(bench.client, FINGERPRINT, paced=PacedWrites(bench.client, clock=bench.clock))
        self.part = StatusPart(
            resource=HOST_CONFIG, codec=CUSTOM_RESOURCE, paced=self.applier.paced, client=bench.client
        )
        self.queue: WorkQueue[Key] = WorkQueue("configs", bench.clock)
        self.queue.open()
        self.secrets, self.config_maps = (self._informer(kind, Codec.of(Metadata)) for kind in (SECRET, CONFIG_MAP))
        wire(
            self.queue,
            self.configs,
            self.kinds,
            secrets=self.secrets,
            config_maps=self.config_maps,
            part=self.part,
            applier=self.applier,
        )

    def _informer(self, resource, codec, **indexers) -> Informer:
        settings = {"clock": self.bench.clock, "metrics": self.bench.metrics, "indexers": indexers}
        return Informer.on_api(self.bench.client, resource, codec, **settings)

    async def follow(self, informer: Informer) -> None:
        self.bench.start(informer.run())
        await self.bench.clock.until(lambda: informer.synced)

    async def apply(self, resource: Resource, spec: str) -> None:
        """Apply a child of the pool, and have the watch report it before its answer is here."""
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": "pool", "namespace": "ns", "ownerReferences": [OWNER]},
            "spec": {"text": spec},
        }
        await self.applier.apply(self.kinds[resource], body, lambda metadata: metadata.belongs_to("u1"))
        await self.bench.clock.settle()


@pytest.fixture
async def wired() -> AsyncIterator[Wired]:
    bench = KubeBench()
    yield Wired(bench)
    await bench.stop()


@pytest.mark.parametrize("watch_first", [False, True])
@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: resource.kind)
async def test_of_own_writes_only_those_of_a_workload_bring_another_look(
    wired: Wired, resource: Resource, watch_first: bool, monkeypatch: pytest.MonkeyPatch
):
    await wired.follow(wired.kinds[resource].informer)
    if watch_first:
        answered = wired.bench.transport.request

        async def late(*args, **named):
            answer = await answered(*args, **named)
            await wired.bench.clock.settle()
            return answer

        monkeypatch.setattr(wired.bench.transport, "request", late)
    for spec in ("made", "changed"):
        await wired.apply(resource, spec)
        assert len(wired.queue) == (resource in WORKLOADS)


async def test_a_change_by_somebody_else_of_a_child_that_was_just_written_brings_a_look(wired: Wired):
    await wired.follow(wired.kinds[SERVICE].informer)
    await wired.apply(SERVICE, "ours")
    body = wired.bench.api.get(SERVICE, Key("ns", "pool"))
    wired.bench.api.put(SERVICE, {**body, "spec": {"text": "theirs"}})
    await wired.bench.clock.settle()
    assert len(wired.queue) == 1


async def test_a_child_that_is_put_back_as_it_was_before_our_last_write_brings_a_look(wired: Wired):
    await wired.follow(wired.kinds[SERVICE].informer)
    await wired.apply(SERVICE, "first")
    former = wired.bench.api.get(SERVICE, Key("ns", "pool"))
    await wired.apply(SERVICE, "second")
    assert len(wired.queue) == 0
    wired.bench.api.put(SERVICE, former)
    await wired.bench.clock.settle()
    assert len(wired.queue) == 1


def deployment(
    generation: int = 1, labels: str = "", annotations: str = "", owner: str = "u1", **status: object
) -> Unstructured:
    marks = {"labels": dict.fromkeys(labels, ""), "annotations": dict.fromkeys(annotations, "")}
    metadata = {
        "name": "pool",
        "namespace": "ns",
        "generation": generation,
        "ownerReferences": [OWNER | {"uid": owner}],
    }
    body = {"metadata": metadata | marks, "spec": {"replicas": 2}}
    return Unstructured.from_body(body | {"status": {"observedGeneration": 1, "updatedReplicas": 2} | status})


REASON = [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]
TOO_LATE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


@pytest.mark.parametrize(
    ("old", "new", "known"),
    [
        pytest.param(deployment(), deployment(conditions=REASON), True, id="a reason that the pool does not show"),
        pytest.param(deployment(), deployment(labels="b", annotations="r"), True, id="marked by somebody else"),
        pytest.param(deployment(), deployment(conditions=TOO_LATE), False, id="stuck"),
        pytest.param(deployment(), deployment(readyReplicas=1), False, id="a pod is ready"),
        pytest.param(deployment(), deployment(replicas=1), False, id="a pod is there"),
        pytest.param(deployment(), deployment(availableReplicas=2), False, id="rolled out"),
        pytest.param(deployment(observedGeneration=0), deployment(), False, id="observed"),
        pytest.param(deployment(), deployment(generation=2), False, id="edited"),
        pytest.param(deployment(labels="ab"), deployment(labels="a"), False, id="a label was taken off"),
        pytest.param(deployment(annotations="ab"), deployment(annotations="b"), False, id="an annotation was"),
        pytest.param(deployment(), deployment(owner="u2"), False, id="given to somebody else"),
        pytest.param(None, deployment(), False, id="made"),
        pytest.param(deployment(), None, False, id="deleted"),
    ],
)
def test_a_workload_is_as_before_when_the_pool_shows_nothing_of_what_changed(
    old: Unstructured | None, new: Unstructured | None, known: bool
) -> None:
    assert is_as_before("Deployment", Change(old, new)) is known


async def test_news_of_a_workload_bring_a_look_when_the_pool_shows_them_or_they_were_listed(wired: Wired):
    workload = wired.kinds[DEPLOYMENT].informer
    wired.bench.api.put(DEPLOYMENT, deployment().body)
    await wired.follow(workload)
    assert len(wired.queue) == 1, "it was listed"
    wired.queue.done((await wired.queue.get())[0])
    for news, looks in ((deployment(conditions=REASON), 0), (deployment(conditions=REASON, readyReplicas=1), 1)):
        wired.bench.api.put(DEPLOYMENT, news.body)
        await wired.bench.clock.settle()
        assert len(wired.queue) == looks


async def test_a_config_is_looked_at_again_when_others_change_its_status_and_not_when_its_own_write_does(wired: Wired):
    bench, configs, queue = wired.bench, wired.configs, wired.queue
    await wired.follow(configs)
    bench.api.put(HOST_CONFIG, {"metadata": {"name": "pool", "namespace": "ns"}, "spec": {}})
    await bench.clock.until(lambda: len(queue) == 1)
    queue.done((await queue.get())[0])

    item = configs.store.get(Key("ns", "pool"))
    written = await wired.part.write(item, {}, {"replicas": 1})
    configs.offer(written)
    await bench.clock.settle()
    assert len(queue) == 0

    body = bench.api.get(HOST_CONFIG, Key("ns", "pool"))
    bench.api.put(HOST_CONFIG, {**body, "status": {"replicas": 2}})
    await bench.clock.settle()
    assert len(queue) == 1


def authorities(*config_maps: str) -> dict[str, object]:
    names = [{"name": f"ca-{name}", "configMap": {"name": name}} for name in config_maps]
    return {"lattice": "blue", "version": "1.6.0", "certificates": {"authorities": names}}


async def test_config_maps_are_watched_where_a_config_refers_to_one_and_secrets_wherever_there_is_a_config(
    wired: Wired,
):
    await wired.follow(wired.configs)
    generation = 0

    async def put(namespace: str, spec: dict[str, object]) -> None:
        nonlocal generation
        generation += 1
        metadata = {"name": "pool", "namespace": namespace, "generation": generation}
        wired.bench.api.put(HOST_CONFIG, {"metadata": metadata, "spec": spec})
        await wired.bench.clock.settle()

    await put("one", authorities())
    await put("two", authorities("ca"))
    assert (wired.secrets.namespaces, wired.config_maps.namespaces) == ({"one", "two"}, {"two"})
    await put("one", authorities("ca"))
    assert wired.config_maps.namespaces == {"one", "two"}
    await put("two", authorities())
    assert (wired.secrets.namespaces, wired.config_maps.namespaces) == ({"one", "two"}, {"one"})
    wired.bench.api.remove(HOST_CONFIG, Key("one", "pool"))
    await wired.bench.clock.settle()
    assert (wired.secrets.namespaces, wired.config_maps.namespaces) == ({"two"}, frozenset())
