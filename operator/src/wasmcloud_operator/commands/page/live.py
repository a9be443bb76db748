"""The cluster as the page follows it: informers with the user's own rights, and the rows made of what they hold."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.base.printable import printable
from wasmcloud_operator.commands.overview.details import with_details
from wasmcloud_operator.commands.overview.snapshot import Snapshot, services_of
from wasmcloud_operator.commands.page.rows import Rows, rows
from wasmcloud_operator.commands.printable import printable_json
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.errors import KubeError
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.manager import background
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.namespaces import ALL_NAMESPACES
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Unstructured
from wasmcloud_operator.kube.resources import POD, SERVICE, Key, Resource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.supervise import supervise
from wasmcloud_operator.kube.timestamps import rfc3339
from wasmcloud_operator.names import HOST_PODS_SELECTOR, MANAGED_SELECTOR

T = TypeVar("T", bound=HasMetadata)

# A burst of changes is one set of rows.
_BURST_SECONDS = 0.2
# How often it is asked whether the API server is still followed: nothing announces that it is again.
_LOOK_SECONDS = 1.0
_DELETIONS_KEPT = 50
_DETAILS_SECONDS = 3.0


@dataclass(slots=True)
class LiveRows:
    """The latest rows. Who shows them waits for `version` to grow."""

    rows: Rows = field(default_factory=dict)
    version: int = 0
    _found: Rows = field(default_factory=dict)  # what the rows show, as it was written
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def publish(self, found: Rows) -> None:
        """Replace the rows and wake who waits. What others have written is text on one line, as in every command."""
        async with self._news:
            # A row that did not change stays the same object: comparing it is comparing an address.
            self.rows = {
                (shown := printable(key)): self.rows[shown] if self._found.get(key) == row else printable_json(row)
                for key, row in found.items()
            }
            self._found = found
            self.version += 1
            self._news.notify_all()

    async def later_than(self, version: int) -> int:
        """Wait for a version after that one; returns it."""
        async with self._news:
            await self._news.wait_for(lambda: self.version > version)
            return self.version


class Cluster:
    """Follows host configs, Applications, their pods and Services in one namespace, or (empty) in all."""

    def __init__(self, client: Reader, namespace: str, clock: Clock) -> None:
        self.live = LiveRows()
        self.host = client.host
        self._client = client
        self._clock = clock
        self._metrics = Metrics("kubectl_wasmcloud")
        self._namespaces = (namespace or ALL_NAMESPACES,)
        self._dirty = asyncio.Event()
        self._gone: deque[JsonObject] = deque(maxlen=_DELETIONS_KEPT)
        self._pools: Informer[CustomResource] = self._informer(HOST_CONFIG, CUSTOM_RESOURCE, "pool")
        self._applications: Informer[CustomResource] = self._informer(APPLICATION, CUSTOM_RESOURCE, "application")
        self._pods: Informer[Unstructured] = self._informer(POD, UNSTRUCTURED, "host", HOST_PODS_SELECTOR)
        self._services: Informer[Unstructured] = self._informer(SERVICE, UNSTRUCTURED, "service", MANAGED_SELECTOR)
        self._informers: Sequence[Informer[Any]] = (self._pools, self._applications, self._pods, self._services)

    def _informer(self, resource: Resource, codec: Codec[T], kind: str, selector: str = "") -> Informer[T]:
        informer = Informer.on_api(
            self._client,
            resource,
            codec,
            clock=self._clock,
            metrics=self._metrics,
            namespaces=self._namespaces,
            label_selector=selector,
        )

        def on_change(change: Change[T], listed: bool) -> None:
            del listed
            if change.new is None:
                now = rfc3339(self._clock.now())
                self._gone.append({"at": now, "of": f"{kind}/{change.key}", "text": "deleted"})
            self._dirty.set()

        informer.on_change(on_change)
        return informer

    def snapshot(self) -> Snapshot:
        """Returns everything that is known now, by namespace and name."""
        return Snapshot(
            pools=_sorted(self._pools),
            applications=_sorted(self._applications),
            pods=_sorted(self._pods),
            services=_sorted(self._services),
        )

    async def explained(self, kind: str, key: Key) -> Snapshot:
        """Returns the same with what explains pods that are not ready, and the endpoints of what is asked about.

        Without these while they cannot be read.
        """
        seen = self.snapshot()
        services = [key] if kind == "service" else []
        if kind == "application":
            services += [
                service for item in seen.applications if item.metadata.key == key for service in services_of(item)
            ]
        try:
            async with self._clock.timeout(_DETAILS_SECONDS):
                return await with_details(self._client, seen, services)
        except (KubeError, TimeoutError):
            return seen

    @property
    def problems(self) -> list[str]:
        """What does not follow the API server now, and why."""
        return [informer.problem for informer in self._informers if informer.problem]

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the cluster while the scope is open."""
        supervised = partial(supervise, clock=self._clock, metrics=self._metrics)
        informers = [(informer.name, partial(supervised, informer.name, informer.run)) for informer in self._informers]
        async with background([*informers, ("rows", self._publish)]):
            yield

    async def _publish(self) -> None:
        shown: list[str] | None = None
        while True:
            problems = self.problems
            if self._dirty.is_set() or problems != shown:
                self._dirty.clear()
                shown = problems
                cluster: JsonObject = {"id": "cluster", "kind": "cluster", "host": self.host, "problems": problems}
                found = rows(self.snapshot(), self._clock.now(), self._gone)
                await self.live.publish({"cluster": cluster, **found})
                await self._clock.sleep(_BURST_SECONDS)
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._dirty.wait()
            except TimeoutError:
                pass


def _sorted(informer: Informer[T]) -> tuple[T, ...]:
    return tuple(sorted(informer.store, key=lambda item: item.metadata.key))
