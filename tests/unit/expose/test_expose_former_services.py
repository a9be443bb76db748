"""What a look at a Service costs where the Rust operator left nothing, and what it reads where something is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.kube.bench import KubeBench
from support.sites.reconciled_services import HERE, SHOP
from wasmcloud_operator.kube.codec import UNSTRUCTURED, Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Metadata, ObjectMeta
from wasmcloud_operator.kube.resources import ENDPOINT_SLICE, SERVICE, Key, Resource
from wasmcloud_operator.legacy.services import FINALIZER, RustServices
from wasmcloud_operator.shared.context import NAMESPACE_INDEX, own_namespace

BODY: dict[str, Any] = {
    "metadata": {"name": "shop", "namespace": HERE, "annotations": {}},
    "spec": {"selector": {"serves": "shop"}, "ports": [{"port": 8080}]},
}


class Scene:
    """The Services of the Rust operator on a scripted API server; each call of `serves` is noted."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench, self.serves = bench, True
        self.asked: list[Key] = []
        self.managed = self._informer(SERVICE, UNSTRUCTURED)
        renamed, slices = (self._informer(resource, Codec.of(Metadata)) for resource in (SERVICE, ENDPOINT_SLICE))
        self.informers = (self.managed, renamed, slices)
        self.rust = RustServices(bench.client, self.managed, renamed, slices, self._serves)

    def _informer(self, resource: Resource, codec: Codec[Any]) -> Informer[Any]:
        bench, indexers = self.bench, {NAMESPACE_INDEX: own_namespace}
        made: Informer[Any] = Informer.on_api(
            bench.client, resource, codec, clock=bench.clock, metrics=bench.metrics, indexers=indexers
        )
        self.bench.start(made.run())
        return made

    def _serves(self, key: Key) -> bool:
        self.asked.append(key)
        return self.serves

    async def service(self, *finalizers: str) -> ObjectMeta:
        """Returns the metadata of the live Service, which the caches have."""
        metadata = {"name": "shop", "namespace": HERE, "finalizers": list(finalizers)}
        spec = {"selector": {"former": "shop"}, "ports": [{"port": 80}]}
        self.bench.api.put(SERVICE, {"metadata": metadata, "spec": spec})
        await self.bench.clock.until(lambda: SHOP in self.managed.store)
        held = self.managed.store.get(SHOP)
        assert held is not None
        metadata: ObjectMeta = held.metadata
        return metadata


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    bench = KubeBench()
    made = Scene(bench)
    await bench.clock.until(lambda: all(informer.synced for informer in made.informers))
    yield made
    await bench.stop()


async def test_no_pod_is_read_for_a_service_of_which_nothing_is_left(scene: Scene) -> None:
    live = await scene.service()
    assert await scene.rust.eased(SHOP, BODY) == BODY
    await scene.rust.clean(SHOP, live)
    assert not scene.rust.due(SHOP)
    assert scene.asked == []


@pytest.mark.parametrize(("serves", "selector"), [(False, {"former": "shop"}), (True, {"serves": "shop"})])
async def test_a_former_selector_stays_until_a_pod_serves(scene: Scene, serves: bool, selector: dict[str, str]) -> None:
    await scene.service(FINALIZER)
    scene.serves = serves
    assert (await scene.rust.eased(SHOP, BODY))["spec"]["selector"] == selector
    assert scene.asked == [SHOP]
