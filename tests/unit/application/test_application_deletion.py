"""The end of an Application that leaves its application in wadm, against a scripted API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from support.kube.bench import KubeBench
from wasmcloud_operator.application import naming
from wasmcloud_operator.application.deletion import Deletion, left_in_wadm
from wasmcloud_operator.application.left_on_purpose import NAME, LeftOnPurpose
from wasmcloud_operator.application.owners import Owners
from wasmcloud_operator.application.place import Place
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED
from wasmcloud_operator.kube.controller import DONE
from wasmcloud_operator.kube.errors import ServerError
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import CONFIG_MAP, SERVICE, Key
from wasmcloud_operator.kube.testing import Answer
from wasmcloud_operator.shared.applications_gate import ApplicationsGate
from wasmcloud_operator.shared.context import OWNER_INDEX, owner_uids

SHOP = Key("here", "shop")


class Writer:
    def __init__(self) -> None:
        self.let_go: list[Key] = []

    async def remove_finalizer(self, item: CustomResource) -> None:
        self.let_go.append(item.metadata.key)


class NoPlaces:
    def release(self, key: Key) -> None:
        pass

    def leaving(self, item: CustomResource, chosen: None) -> list[Place]:
        return [Place("default", "pool", "id-default")]


class Events:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def event(self, _: Any, __: Any, ___: str, reason: str, ____: str, *, action: str) -> None:
        self.reasons.append(reason)


class Orphan:
    """An Application that is being deleted and leaves its application in wadm, with a Service of its own."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench, self.api, self.clock, self.events = bench, bench.api, bench.clock, Events()
        self.writer = Writer()
        self.applications: Informer[CustomResource] = self._informer(APPLICATION, CUSTOM_RESOURCE)
        services: Informer[Any] = self._informer(SERVICE, UNSTRUCTURED, indexers={OWNER_INDEX: owner_uids})
        self.informers = (self.applications, services)
        self.deletion = Deletion(
            selector=NoPlaces(),
            writer=self.writer,
            client=bench.client,
            recorder=self.events,
            clock=bench.clock,
            owners=Owners("cluster", self.applications),
            wake=lambda _: None,
            gate=ApplicationsGate(AlwaysOpen(), ours=True),
            left=left_in_wadm(bench.metrics.registry),
            services=services.store,
            on_purpose=LeftOnPurpose(bench.client, "ops", lambda _: ()),
        )
        metadata = {
            "name": "shop",
            "namespace": "here",
            "uid": "uid-shop",
            "annotations": {naming.DELETION_POLICY: naming.ORPHAN},
            "finalizers": [naming.FINALIZER],
            "deletionTimestamp": "2026-03-01T12:00:00Z",
        }
        self.api.put(APPLICATION, {"metadata": metadata, "spec": {}})
        self.service_of("Application", "uid-shop", controller=True)

    def _informer(self, resource: Any, codec: Any, **settings: Any) -> Informer[Any]:
        made: Informer[Any] = Informer.on_api(
            self.bench.client, resource, codec, clock=self.clock, metrics=self.bench.metrics, **settings
        )
        self.bench.start(made.run())
        return made

    def service_of(self, kind: str, uid: str, *, controller: bool) -> None:
        owner = {"kind": kind, "name": "shop", "uid": uid, "apiVersion": "v1", "controller": controller}
        self.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": "here", "ownerReferences": [owner]}})

    async def finalize(self) -> Any:
        await self.clock.advance(1)
        item = self.applications.store.get(SHOP)
        assert item is not None
        return await self.deletion.finalize(item)


@pytest_asyncio.fixture
async def orphan() -> AsyncIterator[Orphan]:
    bench = KubeBench()
    made = Orphan(bench)
    await bench.clock.until(lambda: all(informer.synced for informer in made.informers))
    yield made
    await bench.stop()


async def test_an_orphaning_deletion_waits_while_a_service_is_owned(orphan: Orphan) -> None:
    assert (await orphan.finalize()).requeue_after == pytest.approx(30)
    assert orphan.writer.let_go == []
    orphan.service_of("WasmCloudHostConfig", "uid-pool", controller=False)
    assert await orphan.finalize() == DONE
    assert orphan.writer.let_go == [SHOP]
    assert orphan.events.reasons == ["Orphaned"]


async def test_an_orphaning_deletion_does_not_wait_for_ever(orphan: Orphan) -> None:
    await orphan.finalize()
    await orphan.clock.advance(25)
    assert (await orphan.finalize()).requeue_after == pytest.approx(4)
    assert orphan.writer.let_go == []
    await orphan.clock.advance(4)
    assert await orphan.finalize() == DONE
    assert orphan.writer.let_go == [SHOP]


async def test_an_orphan_is_noted_before_its_finalizer_goes(orphan: Orphan) -> None:
    orphan.service_of("WasmCloudHostConfig", "uid-pool", controller=False)
    orphan.api.fail(Answer("write", 500))
    with pytest.raises(ServerError):
        await orphan.finalize()
    assert orphan.writer.let_go == []
    assert await orphan.finalize() == DONE
    assert orphan.writer.let_go == [SHOP]
    noted = orphan.api.get(CONFIG_MAP, Key("ops", NAME))
    assert noted is not None
    assert noted["data"] == {"uid-shop": "here/shop in id-default"}
