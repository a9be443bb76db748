"""The controller of host pools: which caches it reads, and which of their changes concern which config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from wasmcloud_operator.hostconfig.children import KINDS
from wasmcloud_operator.hostconfig.facts import references
from wasmcloud_operator.hostconfig.reconciler import OWNER_INDEX
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.apply import Kind
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Metadata
from wasmcloud_operator.kube.queue import Priority, WorkQueue
from wasmcloud_operator.kube.resources import CONFIG_MAP, SECRET, Key, Resource
from wasmcloud_operator.kube.store import Change, Indexer
from wasmcloud_operator_types import InvalidObjectError, WasmCloudHostConfigSpec, parse

T = TypeVar("T", bound=HasMetadata)

_NAMESPACE_INDEX = "namespace"
_REFERENCE_INDEX = "reference"


def config_indexers() -> Mapping[str, Indexer[CustomResource]]:
    """The indexes of the configs: by namespace, and by what they refer to."""
    return {_NAMESPACE_INDEX: lambda item: (item.metadata.namespace,), _REFERENCE_INDEX: _references}


def owners(item: HasMetadata) -> Iterable[str]:
    """The uid of the object's controller: the index by which a config's children are found."""
    controller = item.metadata.controller
    return (controller.uid,) if controller else ()


def wire(
    queue: WorkQueue[Key],
    configs: Informer[CustomResource],
    kinds: Mapping[Resource, Kind],
    secrets: Informer[Metadata],
    config_maps: Informer[Metadata],
) -> None:
    """Have every change that concerns a config put its key into the queue.

    References are followed in exactly the namespaces that hold a config.
    """

    def on_config(change: Change[CustomResource], listed: bool) -> None:
        namespaces = configs.store.index_values(_NAMESPACE_INDEX)
        secrets.follow(namespaces)
        config_maps.follow(namespaces)
        queue.add(change.key, _priority(listed))

    def on_child(change: Change[T], listed: bool) -> None:
        controller = change.item.metadata.controller
        if controller is not None and controller.kind == HOST_CONFIG.kind:
            queue.add(Key(change.key.namespace, controller.name), _priority(listed))

    def on_reference(kind: str) -> Callable[[Change[Metadata], bool], None]:
        def handler(change: Change[Metadata], listed: bool) -> None:
            for config in configs.store.by_index(_REFERENCE_INDEX, f"{kind}/{change.key}"):
                queue.add(config.metadata.key, _priority(listed))
            on_child(change, listed)

        return handler

    configs.on_change(on_config)
    for resource in KINDS:
        kinds[resource].informer.on_change(on_child)
    secrets.on_change(on_reference(SECRET.kind))
    config_maps.on_change(on_reference(CONFIG_MAP.kind))


def child_indexes() -> dict[str, Callable[[HasMetadata], Iterable[str]]]:
    """The indexes of the children."""
    return {OWNER_INDEX: owners}


def _references(item: CustomResource) -> Iterable[str]:
    try:
        wanted = references(parse(WasmCloudHostConfigSpec, item.spec))
    except InvalidObjectError:
        return ()
    namespace = item.metadata.namespace
    return (
        *(f"{SECRET.kind}/{Key(namespace, name)}" for name in wanted.secrets),
        *(f"{CONFIG_MAP.kind}/{Key(namespace, name)}" for name in wanted.config_maps),
    )


def _priority(listed: bool) -> Priority:
    return Priority.BACKGROUND if listed else Priority.FRESH
