"""Which news of a pool's child can wait a moment: what somebody does to it by hand never does."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from wasmcloud_operator.hostpool.controller import child_event_delay, is_own_echo, wire
from wasmcloud_operator.hostpool.render_workload import KINDS
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.apply import ManagedKind
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Metadata, ObjectMeta
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.queue import WorkQueue
from wasmcloud_operator.kube.resources import CONFIG_MAP, SECRET, Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.names import FINGERPRINT
from wasmcloud_operator.shared.context import own_namespace


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


async def test_a_config_is_looked_at_again_when_others_change_its_status_and_not_when_its_own_write_does():
    bench = KubeBench()

    def informer(resource, codec, **indexers) -> Informer:
        settings = {"clock": bench.clock, "metrics": bench.metrics, "indexers": indexers}
        return Informer.on_api(bench.client, resource, codec, **settings)

    configs = informer(HOST_CONFIG, CUSTOM_RESOURCE, namespace=own_namespace)
    secrets, config_maps = (informer(kind, Codec.of(Metadata)) for kind in (SECRET, CONFIG_MAP))
    kinds = {resource: ManagedKind(resource, informer(resource, UNSTRUCTURED)) for resource in KINDS}
    part = StatusPart(
        resource=HOST_CONFIG,
        codec=CUSTOM_RESOURCE,
        paced=PacedWrites(bench.client, clock=bench.clock),
        client=bench.client,
    )
    queue: WorkQueue[Key] = WorkQueue("configs", bench.clock)
    queue.open()
    wire(queue, configs, kinds, secrets=secrets, config_maps=config_maps, part=part)
    bench.start(configs.run())
    bench.api.put(HOST_CONFIG, {"metadata": {"name": "pool", "namespace": "ns"}, "spec": {}})
    await bench.clock.until(lambda: configs.synced and len(queue) == 1)
    queue.done((await queue.get())[0])

    item = configs.store.get(Key("ns", "pool"))
    written = await part.write(item, {}, {"replicas": 1})
    configs.offer(written)
    await bench.clock.settle()
    assert len(queue) == 0

    body = bench.api.get(HOST_CONFIG, Key("ns", "pool"))
    bench.api.put(HOST_CONFIG, {**body, "status": {"replicas": 2}})
    await bench.clock.settle()
    assert len(queue) == 1
    await bench.stop()
