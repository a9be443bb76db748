"""One ConfigMap that is applied, on a scripted API server with a controller that may set it back."""

from __future__ import annotations

import msgspec

from support.kube.bench import KubeBench
from support.kube.objects import key
from wasmcloud_operator.kube.apply import Applier, ManagedKind
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import CONFIG_MAP
from wasmcloud_operator.kube.transport import Response

STAMP = "tests.example.com/rendered"
PLACE = WriteTarget(CONFIG_MAP, key("c"))


def config(value: str = "1", **data: str) -> dict:
    metadata = {"name": "c", "namespace": "ns", "labels": {"owner": "us"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value, **data}}


def ours(metadata) -> bool:
    return metadata.labels.get("owner") == "us"


class World:
    def __init__(self, bench: KubeBench) -> None:
        self.bench = bench
        informer = Informer.on_api(
            bench.client, CONFIG_MAP, UNSTRUCTURED, clock=bench.clock, metrics=bench.metrics, label_selector="owner=us"
        )
        bench.start(informer.run())
        self.kind = ManagedKind(CONFIG_MAP, informer)
        self.applier = Applier(bench.client, STAMP, paced=PacedWrites(bench.client, clock=bench.clock))

    async def apply(self, body: dict):
        return await self.applier.apply(self.kind, body, ours)

    def sent(self) -> list[str]:
        sent = [r.method for r in self.bench.api.requests if not r.watch and not r.lists]
        self.bench.api.requests.clear()
        return sent

    def live(self) -> dict:
        return self.bench.api.get(CONFIG_MAP, key("c"))


async def set_back(world: World, **data: str) -> None:
    """As another controller does: an update under its own name."""
    entry = {
        "manager": "other",
        "operation": "Update",
        "time": "2026-01-01T00:00:00Z",
        "fieldsV1": {"f:data": {f"f:{name}": {} for name in data}},
    }
    body = world.live()
    metadata = {**body["metadata"], "managedFields": [entry]}
    world.bench.api.put(CONFIG_MAP, {**body, "metadata": metadata, "data": {**body["data"], **data}})
    await world.bench.clock.settle()


def drops_all_data(world: World) -> None:
    """As a webhook does that sets back what we apply: the object stays as it is."""
    request = world.bench.transport.request

    async def set_back(method, path, **settings):
        if method == "PATCH":
            world.bench.api.record(method, path, {}, {}, None)
            return Response(200, msgspec.json.encode(world.live()), {})
        return await request(method, path, **settings)

    world.bench.transport.request = set_back
