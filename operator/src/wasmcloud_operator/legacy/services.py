"""What the Rust operator left: Services with its finalizer, and EndpointSlices that nobody keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from wasmcloud_operator.kube.client import JSON_PATCH, Client
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.objects import Metadata, ObjectMeta
from wasmcloud_operator.kube.resources import ENDPOINT_SLICE, SERVICE, Key, Resource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.names import MANAGED_BY_LABEL

log = structlog.get_logger()

FORMERLY_MANAGED_BY = "wadm-operator"
FINALIZER = "operator.k8s.wasmcloud.dev/service"

_SERVICE_NAME = "kubernetes.io/service-name"


def formerly_managed(metadata: ObjectMeta) -> bool:
    """Whether it is the Rust operator's."""
    return metadata.labels.get(MANAGED_BY_LABEL) == FORMERLY_MANAGED_BY


@dataclass(frozen=True, slots=True)
class Former:
    """Takes over or removes the Rust operator's Services. It named each as its application."""

    client: Client
    services: Informer[Metadata]
    slices: Informer[Metadata]

    def listen(self, told: Callable[[Key, bool], None]) -> None:
        """Be told of namespace and name of each Service that it left something of."""

        def on_service(change: Change[Metadata], listed: bool) -> None:
            told(change.key, listed)

        def on_slice(change: Change[Metadata], listed: bool) -> None:
            service = change.item.metadata.labels.get(_SERVICE_NAME)
            if service:
                told(Key(change.key.namespace, service), listed)

        self.services.on_change(on_service)
        self.slices.on_change(on_slice)

    async def clean(self, key: Key, live: ObjectMeta) -> None:
        """Take its finalizer off a Service that is ours now, and delete the EndpointSlice that it made."""
        await self._release(key, live)
        await self._delete_slices(key)

    async def remove(self, key: Key) -> bool:
        """Remove a Service of its that no application wants; whether there was one."""
        held = self.services.store.get(key)
        if held is None:
            return False
        try:
            live = await self.client.get(SERVICE, key)
            if formerly_managed(live.metadata):
                await self._release(key, live.metadata)
                await self._delete(SERVICE, live.metadata)
                await self._delete_slices(key)
                log.info("removed a Service of an earlier operator", service=str(key))
        except NotFound:
            pass
        return True

    async def _release(self, key: Key, live: ObjectMeta) -> None:
        if FINALIZER not in live.finalizers:
            return
        path = f"/metadata/finalizers/{live.finalizers.index(FINALIZER)}"
        patch: list[JsonObject] = [
            {"op": "test", "path": "/metadata/uid", "value": live.uid},
            {"op": "test", "path": path, "value": FINALIZER},
            {"op": "remove", "path": path},
        ]
        await self.client.patch(SERVICE, key, patch, JSON_PATCH, UNSTRUCTURED)

    async def _delete_slices(self, key: Key) -> None:
        for item in self.slices.store:
            metadata = item.metadata
            if metadata.namespace == key.namespace and metadata.labels.get(_SERVICE_NAME) == key.name:
                await self._delete(ENDPOINT_SLICE, metadata)

    async def _delete(self, resource: Resource, metadata: ObjectMeta) -> None:
        try:
            await self.client.delete(resource, metadata.key, uid=metadata.uid)
        except (NotFound, Conflict):
            log.debug("gone already", kind=resource.kind, object=str(metadata.key))
