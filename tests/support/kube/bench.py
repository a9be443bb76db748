"""A bench for the machinery: a scripted API server, a client and informers on one virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from support.kube.objects import WIDGET, widget
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedTransport

WIDGETS: Codec[CustomResource] = Codec.of(CustomResource)


@dataclass
class KubeBench:
    """A scripted API, a client of it and informers on it, all on one virtual clock."""

    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.api = ScriptedApi(self.clock)
        self.transport = ScriptedTransport(self.api)
        self.metrics = Metrics()
        self.client = Writer(Reader(self.transport, metrics=self.metrics), field_manager="tests", gate=AlwaysOpen())
        self.tasks: list[asyncio.Task[None]] = []
        self.changes: list[Change[CustomResource]] = []
        self.deletes: dict[str, int] = {}
        self.copy: dict = {}

    def informer(self, **settings) -> Informer[CustomResource]:
        """An informer of widgets that runs, with its changes checked and recorded."""
        informer = Informer.on_api(self.client, WIDGET, WIDGETS, clock=self.clock, metrics=self.metrics, **settings)
        informer.on_change(self.record)
        self.start(informer.run())
        return informer

    def start(self, coroutine) -> asyncio.Task[None]:
        task = asyncio.ensure_future(coroutine)
        self.tasks.append(task)
        return task

    def record(self, change: Change[CustomResource], listed: bool) -> None:
        """Keep a copy by the changes alone; each has to fit what was there."""
        self.changes.append(change)
        if change.old is None:
            assert change.key not in self.copy, f"{change.key} appeared twice"
        else:
            assert self.copy.get(change.key) == change.old, f"{change.key} changed from what it was not"
        if change.new is None:
            uid = change.item.metadata.uid
            self.deletes[uid] = self.deletes.get(uid, 0) + 1
            del self.copy[change.key]
        else:
            self.copy[change.key] = change.new

    def equal(self, informer: Informer[CustomResource], select: Callable[[dict], bool] = lambda _: True) -> bool:
        """Whether the cache and the copy are what the API has."""
        have = {obj.metadata.key: (obj.metadata.resource_version, obj.spec) for obj in informer.store}
        copied = {key: (obj.metadata.resource_version, obj.spec) for key, obj in self.copy.items()}
        want = {
            key: (body["metadata"]["resourceVersion"], body["spec"])
            for key, body in self.api.all(WIDGET).items()
            if select(body)
        }
        return have == copied == want

    def unreadable(self) -> float | None:
        """How many widgets are left out of the cache, by the metric."""
        return self.metrics.registry.get_sample_value("kube_informer_unreadable_objects", {"resource": str(WIDGET)})

    def requests(self, *, lists: bool | None = None):
        return [r for r in self.api.requests if lists is None or r.lists == lists]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def synced(bench: KubeBench, **settings) -> Informer[CustomResource]:
    """Returns an informer that has seen the only widget there is; its requests until then are forgotten."""
    bench.api.put(WIDGET, widget("a"))
    informer = bench.informer(**settings)
    await bench.clock.until(lambda: informer.synced and not informer.problem)
    bench.api.requests.clear()
    return informer
