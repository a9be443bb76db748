"""The controllers of host pools: which caches they read, and which of their changes concern which config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from wasmcloud_operator.hostpool.apply import PoolApplier
from wasmcloud_operator.hostpool.inputs import references
from wasmcloud_operator.hostpool.owned_secrets import OwnedSecrets
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.pod_reasons import reason_of, refusal_of_pods
from wasmcloud_operator.hostpool.readiness import ReadinessReconciler
from wasmcloud_operator.hostpool.readiness import wire as wire_readiness
from wasmcloud_operator.hostpool.reconciler import HostConfigReconciler
from wasmcloud_operator.hostpool.references import ReferenceReader
from wasmcloud_operator.hostpool.registries import RegistryService
from wasmcloud_operator.hostpool.render_workload import KINDS, WORKLOADS
from wasmcloud_operator.hostpool.renderings import Renderings
from wasmcloud_operator.hostpool.status import workload_state
from wasmcloud_operator.hostpool.status_writer import StatusWriter
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.apply import Applier, ManagedKind
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, METADATA, UNSTRUCTURED
from wasmcloud_operator.kube.controller import Controller
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Metadata, Pod, Unstructured
from wasmcloud_operator.kube.queue import Priority, WorkQueue
from wasmcloud_operator.kube.resources import CONFIG_MAP, POD, POD_DISRUPTION_BUDGET, SECRET, Key, Resource
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.store import Change, Indexer
from wasmcloud_operator.lattice.connection_types import ConnectionState
from wasmcloud_operator.lattice.host_types import InventoryChange
from wasmcloud_operator.lattice.lattice import Lattice, LatticeEvent
from wasmcloud_operator.lattice.ledger import AppsListed
from wasmcloud_operator.legacy.hostpools import RustPools
from wasmcloud_operator.names import FINGERPRINT
from wasmcloud_operator.shared.context import NAMESPACE_INDEX, POD_CODEC, Context, own_namespace, pool_of
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.placement_gaps import PlacementGaps
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator.shared.unowned_problems import UnownedProblems
from wasmcloud_operator_types import InvalidObjectError, WasmCloudHostConfigSpec, parse

T = TypeVar("T", bound=HasMetadata)

_REFERENCE_INDEX = "reference"
_CONFIG_MAPS_INDEX = "config maps"

# A watch of one kind in one namespace costs 80 KiB and a connection, the metadata of a Secret or ConfigMap 1 KiB: from
# so many namespaces on, all of the cluster are followed with one watch a kind.
_SEVERAL_NAMESPACES = 16
_SENDING_WORKERS = 2
_SENDING_SECONDS = 30.0
# A host that starts sends a dozen events within a second.
_BURST_SECONDS = 1.0
# A workload that was changed changes its status several times a second.
_REST_SECONDS = 0.3
# Pools in work for which it rests that long once more.
_POOLS_A_REST = 4


def host_configs(context: Context) -> Informer[CustomResource]:
    """Returns the cache of host configs."""
    return context.informers.get(HOST_CONFIG, CUSTOM_RESOURCE, indexers=CONFIG_INDEXERS, keep_unreadable=True)


def host_pool_controllers(
    context: Context,
    platform: Platform,
    hosts_in_pods: HostsInPods,
    placements: PlacementGaps,
    unowned: UnownedProblems,
) -> tuple[Controller[Key], ...]:
    """The controllers of host pools, of running hosts' registry credentials, and of the pods' readiness."""
    configs = host_configs(context)
    kinds = {resource: context.managed(resource) for resource in KINDS}
    secrets, config_maps = _referenced(context, SECRET), _referenced(context, CONFIG_MAP)
    budgets = context.informers.get(
        POD_DISRUPTION_BUDGET, UNSTRUCTURED, purpose="everybody's", indexers={NAMESPACE_INDEX: own_namespace}
    )
    reader = ReferenceReader(context.reader, secrets, config_maps, platform)
    registries = RegistryService(configs, reader, context.pools, hosts_in_pods, context.clock)
    context.pools.lattices.answer_hosts(registries.answer)
    context.pools.lattices.prefer_hosts(hosts_in_pods.uid_of_pod)
    sending: Controller[Key] = Controller(
        "hostregistries",
        registries.send,
        clock=context.clock,
        metrics=context.metrics,
        workers=_SENDING_WORKERS,
        timeout=_SENDING_SECONDS,
    )
    part = context.status_part(HOST_CONFIG, context.writer)
    reconciler = HostConfigReconciler(
        configs=configs,
        kinds=kinds,
        reader=reader,
        renderings=Renderings(context.clock),
        children=PoolApplier(
            kinds, OwnedSecrets(context.writer, secrets, reader, context.applier.paced), context.applier, context.clock
        ),
        registries=registries,
        rust=RustPools(context.writer, configs, context.clock),
        pools=context.pools,
        status=StatusWriter(
            configs=configs,
            pools=context.pools,
            hosts_in_pods=hosts_in_pods,
            part=part,
            recorder=context.recorder,
            clock=context.clock,
        ),
        hosts_in_pods=hosts_in_pods,
        unowned=unowned,
        budgets=budgets,
        refusal_of_pods=partial(refusal_of_pods, context.reader),
        send_registries=sending.queue.add,
    )
    controller = context.controller(
        "wasmcloudhostconfig", reconciler.reconcile, reconciler.report, parts=((HOST_CONFIG, part.part),)
    )
    wire(controller.queue, configs, kinds, secrets=secrets, config_maps=config_maps, part=part, applier=context.applier)
    pods = context.host_pods()
    gate = StatusPart(
        resource=POD, codec=POD_CODEC, paced=context.applier.paced, client=context.writer, part="status.gate"
    )
    gatekeeper = ReadinessReconciler(
        configs=configs,
        pods=pods,
        pools=context.pools,
        hosts_in_pods=hosts_in_pods,
        placements=placements,
        part=gate,
        clock=context.clock,
    )
    readiness = context.controller("readiness", gatekeeper.reconcile, parts=((POD, gate.part),))
    wire_readiness(readiness.queue, context.pools, hosts_in_pods, pods)
    _wire_lattices(controller.queue, context.pools, hosts_in_pods, pods)

    def look_in(namespace: str) -> None:
        for config in configs.store.by_index(NAMESPACE_INDEX, namespace):
            controller.queue.add_after(config.metadata.key, _BURST_SECONDS, Priority.BACKGROUND)

    unowned.listen(look_in)
    budgets.on_change(lambda change, listed: None if listed else look_in(change.key.namespace))
    return controller, sending, readiness


def _referenced(context: Context, resource: Resource) -> Informer[Metadata]:
    """Metadata only, and only in namespaces with a config that may need it: values are read by name when they are."""
    return context.informers.get(
        resource, METADATA, purpose="referenced", namespaces=(), metadata_only=True, widen=_SEVERAL_NAMESPACES
    )


def wire(
    queue: WorkQueue[Key],
    configs: Informer[CustomResource],
    kinds: Mapping[Resource, ManagedKind],
    *,
    secrets: Informer[Metadata],
    config_maps: Informer[Metadata],
    part: StatusPart[CustomResource],
    applier: Applier,
) -> None:
    """Have every change in the cluster that concerns a config put its key into the queue."""

    def on_config(change: Change[CustomResource], listed: bool) -> None:
        old, new = change.old, change.new
        if old is None or new is None or old.metadata.generation != new.metadata.generation:
            secrets.follow(configs.store.index_values(NAMESPACE_INDEX))  # pools have Secrets of their own, too
            config_maps.follow(configs.store.index_values(_CONFIG_MAPS_INDEX))
        if not (isinstance(change.item.status, dict) and part.is_all_of(change, change.item.status)):
            queue.add(change.key, Priority.of(listed))

    def on_reference(kind: str) -> Callable[[Change[Metadata], bool], None]:
        def handler(change: Change[Metadata], listed: bool) -> None:
            for config in configs.store.by_index(_REFERENCE_INDEX, f"{kind}/{change.key}"):
                queue.add(config.metadata.key, Priority.of(listed))

        return handler

    configs.on_change(on_config)
    for resource in KINDS:
        kinds[resource].informer.on_change(_on_written(queue, resource, applier))
    secrets.on_change(on_reference(SECRET.kind))
    secrets.on_change(partial(_enqueue_owner, queue))
    config_maps.on_change(on_reference(CONFIG_MAP.kind))


def _wire_lattices(queue: WorkQueue[Key], pools: Pools, hosts_in_pods: HostsInPods, pods: Informer[Pod]) -> None:
    """Have every change in a lattice that shows in a config's status put its key into the queue, bursts once."""

    def look(keys: Iterable[Key]) -> None:
        for key in keys:
            queue.add_after(key, _BURST_SECONDS, Priority.BACKGROUND)

    def on_hosts(lattice: Lattice, concerned: Iterable[Key]) -> None:
        keys = {pool_of(pod) for key in concerned if (pod := pods.store.get(key)) is not None} - {None}
        look(key for key in keys if key and (pool := pools.get(key)) is not None and pool.lattice is lattice)

    def on_news(lattice: Lattice, news: LatticeEvent) -> None:
        if isinstance(news, ConnectionState | AppsListed) or (isinstance(news, InventoryChange) and news.synced):
            look(pool.key for pool in pools.of(lattice))

    def on_pod(change: Change[Pod], listed: bool) -> None:
        if not listed and (change.old is None or change.new is None or reason_of(change.old) != reason_of(change.new)):
            key = pool_of(change.item)
            look((key,) if key is not None else ())

    hosts_in_pods.listen(on_hosts)
    pools.lattices.listen(on_news)
    pools.listen(lambda pool: look([pool.key]))
    pods.on_change(on_pod)


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


def _config_map_namespace(item: CustomResource) -> Iterable[str]:
    """The config's namespace if the config refers to any ConfigMap."""
    refers = any(reference.startswith(f"{CONFIG_MAP.kind}/") for reference in _references(item))
    return (item.metadata.namespace,) if refers else ()


CONFIG_INDEXERS: Mapping[str, Indexer[CustomResource]] = {
    NAMESPACE_INDEX: own_namespace,
    _REFERENCE_INDEX: _references,
    _CONFIG_MAPS_INDEX: _config_map_namespace,
}


def _on_written(
    queue: WorkQueue[Key], resource: Resource, applier: Applier
) -> Callable[[Change[Unstructured], bool], None]:
    def is_known(change: Change[Unstructured]) -> bool:
        # A look ends with a changed workload, and has gone on after a write of anything else.
        if resource in WORKLOADS:
            return is_as_before(resource.kind, change)
        return applier.is_own_write(resource, change)

    def handler(change: Change[Unstructured], listed: bool) -> None:
        if listed or not is_known(change):
            _enqueue_owner(queue, change, listed)

    return handler


def _enqueue_owner(queue: WorkQueue[Key], change: Change[T], listed: bool) -> None:
    """Queue the config that controls an object, or did before: an owner reference that was taken off is put back."""
    states = (state.metadata.controller for state in (change.new, change.old) if state is not None)
    controller = next(filter(None, states), None)
    if controller is None or controller.kind != HOST_CONFIG.kind:
        return
    key = Key(change.key.namespace, controller.name)
    if listed:
        queue.add(key, Priority.BACKGROUND)
    elif is_own_echo(change):
        queue.add_after(key, child_event_delay(queue.working), Priority.BACKGROUND)
    else:
        queue.add(key)


def is_own_echo(change: Change[T]) -> bool:
    """Whether nothing is new but the status, which another controller writes, or our own write."""
    old, new = change.old, change.new
    if new is None:
        return False
    if old is not None and old.metadata.generation == new.metadata.generation > 0:
        return True
    # Nobody else changes the fingerprint.
    before = old.metadata.annotations.get(FINGERPRINT) if old is not None else None
    return new.metadata.annotations.get(FINGERPRINT) != before


def is_as_before(kind: str, change: Change[Unstructured]) -> bool:
    """Whether a workload has all that it had, and its status says nothing else of the pool: times, or other reasons."""
    old, new = change.old, change.new
    return (
        old is not None
        and new is not None
        and old.metadata.generation == new.metadata.generation
        and old.metadata.owner_references == new.metadata.owner_references
        and old.metadata.labels.items() <= new.metadata.labels.items()
        and old.metadata.annotations.items() <= new.metadata.annotations.items()
        and workload_state(kind, old.body) == workload_state(kind, new.body)
    )


def child_event_delay(working: int) -> float:
    """How long news of a child may wait: longer while many pools are in work, since workloads come before statuses."""
    return _REST_SECONDS * (1 + working / _POOLS_A_REST)
