"""The controller of host pools: which caches it reads, and which of their changes concern which config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from wasmcloud_operator.context import Context
from wasmcloud_operator.hostconfig.children import KINDS
from wasmcloud_operator.hostconfig.facts import references
from wasmcloud_operator.hostconfig.reading import ReferenceReader
from wasmcloud_operator.hostconfig.reconciler import HostConfigReconciler
from wasmcloud_operator.hostconfig.registrysecret import RegistrySecrets
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.apply import CUSTOM_RESOURCE, Kind
from wasmcloud_operator.kube.controller import Controller
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Metadata
from wasmcloud_operator.kube.queue import Priority, WorkQueue
from wasmcloud_operator.kube.resources import CONFIG_MAP, SECRET, Key, Resource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.wire import Codec
from wasmcloud_operator_types import InvalidObjectError, WasmCloudHostConfigSpec, parse

T = TypeVar("T", bound=HasMetadata)

_NAMESPACE_INDEX = "namespace"
_REFERENCE_INDEX = "reference"
_METADATA = Codec.of(Metadata)

# Kubernetes from this version on takes preStop.sleep.
_SLEEP_ACTION = (1, 30)


def host_config_controller(context: Context) -> Controller[Key]:
    """The controller of host pools, wired to its caches."""
    configs: Informer[CustomResource] = context.informer(
        HOST_CONFIG, CUSTOM_RESOURCE, indexers={_NAMESPACE_INDEX: _namespace, _REFERENCE_INDEX: _references}
    )
    kinds = {resource: context.managed(resource) for resource in KINDS}
    secrets, config_maps = _referenced(context, SECRET), _referenced(context, CONFIG_MAP)
    reader = ReferenceReader(
        context.client, secrets, config_maps, (context.server.major, context.server.minor) >= _SLEEP_ACTION
    )
    reconciler = HostConfigReconciler(
        configs,
        kinds,
        reader,
        RegistrySecrets(context.writer, secrets, reader),
        context.pools,
        context.applier,
        context.recorder,
        context.clock,
    )
    controller = context.controller("wasmcloudhostconfig", reconciler.reconcile, reconciler.report)
    _wire(controller.queue, configs, kinds, secrets, config_maps)
    return controller


def _referenced(context: Context, resource: Resource) -> Informer[Metadata]:
    """Metadata only, and only in the namespaces that hold a config: values are read by name when they are needed."""
    return context.informer(resource, _METADATA, purpose="referenced", namespaces=(), metadata_only=True)


def _wire(
    queue: WorkQueue[Key],
    configs: Informer[CustomResource],
    kinds: Mapping[Resource, Kind],
    secrets: Informer[Metadata],
    config_maps: Informer[Metadata],
) -> None:
    """Have every change that concerns a config put its key into the queue."""

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


def _namespace(item: CustomResource) -> Iterable[str]:
    return (item.metadata.namespace,)


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
