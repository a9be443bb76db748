"""What the Rust operator left: Services with its finalizer, and EndpointSlices that nobody keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import structlog

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.client import JSON_PATCH, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import HasMetadata, Metadata, ObjectMeta, Unstructured, finalizer_removal
from wasmcloud_operator.kube.resources import ENDPOINT_SLICE, SERVICE, Key, Resource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.legacy.hostpools import FIELD_MANAGERS
from wasmcloud_operator.names import MANAGED_BY_LABEL
from wasmcloud_operator.shared.context import NAMESPACE_INDEX

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)

FINALIZER = "operator.k8s.wasmcloud.dev/service"
# What it labelled its objects: the first up to 0.5.0, the second from then on.
_MANAGED_BY = ("wasmcloud-operator", "wadm-operator")
# Its Services that the informer of our own does not follow.
RENAMED_SELECTOR = f"{MANAGED_BY_LABEL}={_MANAGED_BY[1]}"
# The EndpointSlices that Kubernetes makes for a Service have the Service's labels, and say who made them.
SLICE_SELECTOR = f"{MANAGED_BY_LABEL} in ({','.join(_MANAGED_BY)}),!endpointslice.kubernetes.io/managed-by"

# On a Service that is ours already and still leads where the Rust operator led it.
TAKEOVER = "k8s.wasmcloud.dev/takeover"
_WAITS = "waits-for-endpoints"

_SERVICE_NAME = "kubernetes.io/service-name"


def is_rust_operators(metadata: ObjectMeta) -> bool:
    """Whether the Rust operator made this Service for an application, and it is not ours yet.

    Every version of it put its finalizer on them. Where somebody took that off, its later label shows it, on a Service
    without an owner: the Services of its host pools have one.
    """
    renamed = metadata.labels.get(MANAGED_BY_LABEL) == _MANAGED_BY[1]
    return FINALIZER in metadata.finalizers or (renamed and not metadata.owner_references)


@dataclass(frozen=True, slots=True)
class RustServices:
    """Takes over or removes the Rust operator's Services, each of which it named as its application.

    `managed` are the Services with our label, `renamed` those with its later one. `serves` is whether a pod that is
    ready serves the Service of that key now: it reads all pods of a namespace, so it is called only where something is
    left. All have NAMESPACE_INDEX: whoever may label objects decides how many there are.
    """

    client: Writer
    managed: Informer[Unstructured]
    renamed: Informer[Metadata]
    slices: Informer[Metadata]
    serves: Callable[[Key], bool]

    def listen(self, listener: Callable[[Key, bool], None]) -> None:
        """Call `listener` with the key of each Service of which something is left, when that changes."""

        def on_service(change: Change[T], listed: bool) -> None:
            if any(is_rust_operators(state.metadata) for state in (change.old, change.new) if state is not None):
                listener(change.key, listed)

        def on_slice(change: Change[Metadata], listed: bool) -> None:
            listener(Key(change.key.namespace, _service(change.item)), listed)

        self.managed.on_change(on_service)
        self.renamed.on_change(on_service)
        self.slices.on_change(on_slice)

    def left(self, namespace: str) -> Iterator[Key]:
        """The Services of a namespace that are not ours yet."""
        held: tuple[Informer[Unstructured] | Informer[Metadata], ...] = (self.managed, self.renamed)
        for informer in held:
            for item in informer.store.by_index(NAMESPACE_INDEX, namespace):
                if is_rust_operators(item.metadata):
                    yield item.metadata.key

    def unfinished(self, key: Key) -> bool:
        """Whether the takeover of that Service has begun and waits for its first endpoint."""
        held = self.managed.store.get(key)
        return (held is not None and TAKEOVER in held.metadata.annotations) or any(self._slices(key))

    def due(self, key: Key) -> bool:
        """Whether nothing is awaited any more but Kubernetes' own EndpointSlice of a pod that is ready."""
        return self.unfinished(key) and self.serves(key)

    async def eased(self, key: Key, body: JsonObject) -> JsonObject:
        """Returns what to apply for the Service `body`: its former selector as long as no pod serves it.

        The hosts of the Rust operator's pods do not say in which pod they run: no endpoint is left with our selector
        until the first new pod serves. Raises the errors of `kube.errors`.
        """
        if not self._leads_elsewhere(key) or self.serves(key):
            return body
        if (live := await self.client.find(SERVICE, key)) is None:
            return body
        spec = live.body["spec"]
        wanted = {name: value for name, value in body["spec"].items() if name != "selector"}
        selector = {"selector": spec["selector"]} if spec.get("selector") else {}
        metadata = body["metadata"]
        annotations = {**metadata["annotations"], TAKEOVER: _WAITS}
        return {
            **body,
            "metadata": {**metadata, "annotations": annotations},
            "spec": {**wanted, **selector, "ports": spec["ports"]},
        }

    async def clean(self, key: Key, live: ObjectMeta) -> None:
        """Take the Rust operator's finalizer off a Service; delete its EndpointSlice once another has an endpoint."""
        await self._release(key, live)
        if any(self._slices(key)) and self.serves(key) and await self._has_endpoint(key):
            await self._delete_slices(key)

    def has(self, key: Key) -> bool:
        """Whether there is a Service of that key that is not ours yet."""
        held = self._held(key)
        return held is not None and is_rust_operators(held)

    async def remove(self, key: Key) -> bool:
        """Remove a Service of the Rust operator that no application wants. Returns whether there was one."""
        if not self.has(key):
            return False
        try:
            live = await self.client.get(SERVICE, key)
            if is_rust_operators(live.metadata):
                await self._release(key, live.metadata)
                await self._delete(SERVICE, live.metadata)
                await self._delete_slices(key)
                log.info("removed a Service of an earlier operator", service=str(key))
        except NotFound:
            pass
        return True

    def _held(self, key: Key) -> ObjectMeta | None:
        held = self.managed.store.get(key) or self.renamed.store.get(key)
        return held.metadata if held is not None else None

    def _leads_elsewhere(self, key: Key) -> bool:
        held = self._held(key)
        return held is not None and (TAKEOVER in held.annotations or is_rust_operators(held))

    def _slices(self, key: Key) -> Iterator[ObjectMeta]:
        for item in self.slices.store.by_index(NAMESPACE_INDEX, key.namespace):
            if _service(item) == key.name:
                yield item.metadata

    async def _has_endpoint(self, key: Key) -> bool:
        """Whether Kubernetes shows a ready endpoint of that Service."""
        selector = f"{_SERVICE_NAME}={key.name}"
        found = await self.client.list_all(ENDPOINT_SLICE, UNSTRUCTURED, namespace=key.namespace, selector=selector)
        old = {metadata.name for metadata in self._slices(key)}
        return any(
            (endpoint.get("conditions") or {}).get("ready")
            for item in found
            if item.metadata.name not in old
            for endpoint in item.body.get("endpoints") or ()
        )

    async def _release(self, key: Key, live: ObjectMeta) -> None:
        if FINALIZER not in live.finalizers:
            return
        patch = finalizer_removal(live, FINALIZER)
        self.managed.offer(await self.client.patch(SERVICE, key, patch, JSON_PATCH, UNSTRUCTURED))

    async def _delete_slices(self, key: Key) -> None:
        for metadata in tuple(self._slices(key)):
            body = await self.client.find_whole(ENDPOINT_SLICE, metadata.key)
            entries = (body["metadata"].get("managedFields") or ()) if body is not None else ()
            if any(entry.get("manager") in FIELD_MANAGERS for entry in entries):
                await self._delete(ENDPOINT_SLICE, metadata)

    async def _delete(self, resource: Resource, metadata: ObjectMeta) -> None:
        try:
            await self.client.delete(resource, metadata.key, uid=metadata.uid)
        except (NotFound, Conflict):
            log.debug("already deleted", kind=resource.kind, object=str(metadata.key))


def _service(item: Metadata) -> str:
    return item.metadata.labels.get(_SERVICE_NAME, "")
