"""What every reconciler is built from: clients, caches that several share, and the operator's own identity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kube.apply import Applier, ManagedKind
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.controller import Controller, Result
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.manager import Informers
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.namespaces import Scope
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Pod, Unstructured
from wasmcloud_operator.kube.resources import POD, Key, Resource
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.tracing import Span
from wasmcloud_operator.kube.write_rate import WriteRate
from wasmcloud_operator.names import HOST_PODS_SELECTOR, INSTANCE_LABEL, MANAGED_SELECTOR
from wasmcloud_operator.shared.applications_gate import ApplicationsGate
from wasmcloud_operator.shared.pools import Pools

# The index of an informer of children: the uid of the controller.
OWNER_INDEX = "owner"

# The index of the informer of host pods: the key of the host config.
INSTANCE_INDEX = "instance"

NAMESPACE_INDEX = "namespace"
POD_CODEC = Codec.of(Pod)

_HALF_LISTED_SECONDS = 0.5


def owner_uids(item: HasMetadata) -> Iterable[str]:
    """The indexer behind OWNER_INDEX."""
    controller = item.metadata.controller
    return (controller.uid,) if controller else ()


def own_namespace(item: HasMetadata) -> Iterable[str]:
    """The indexer behind NAMESPACE_INDEX."""
    return (item.metadata.namespace,)


def pool_of(pod: Pod) -> Key | None:
    """The pool that a pod belongs to, if any."""
    instance = pod.metadata.labels.get(INSTANCE_LABEL, "")
    return Key(pod.metadata.namespace, instance) if instance else None


def own_pool(pod: Pod) -> Iterable[str]:
    """The indexer behind INSTANCE_INDEX."""
    key = pool_of(pod)
    return (str(key),) if key is not None else ()


def namespace_of(key: Key) -> str:
    """Returns whose key it is: a namespace is a tenant."""
    return key.namespace


@dataclass(slots=True, kw_only=True)
class Context:
    """The parts that reconcilers share.

    `writer` is behind the leader's gate, `applications_writer` behind `applications_gate`, for Applications.
    """

    reader: Reader
    writer: Writer
    applications_gate: ApplicationsGate
    applications_writer: Writer
    applier: Applier
    recorder: EventRecorder
    clock: Clock
    metrics: Metrics
    pools: Pools
    cluster_id: str
    scope: Scope
    workers: int
    reconcile_timeout: float
    span: Span
    informers: Informers
    write_rate: WriteRate
    # The informers of what we write.
    written: dict[Resource, Informer[Unstructured]] = field(default_factory=dict)

    def managed(self, resource: Resource) -> ManagedKind:
        """A kind whose objects the operator writes: those with its managed-by label, whole, by owner and namespace."""
        indexers = {OWNER_INDEX: owner_uids, NAMESPACE_INDEX: own_namespace}
        informer = self.informers.get(resource, UNSTRUCTURED, indexers=indexers, label_selector=MANAGED_SELECTOR)
        self.written[resource] = informer
        return ManagedKind(resource, informer)

    def host_pods(self) -> Informer[Pod]:
        """The pods of all host pools, indexed by the key of their config and by namespace."""
        indexers = {INSTANCE_INDEX: own_pool, NAMESPACE_INDEX: own_namespace}
        return self.informers.get(POD, POD_CODEC, indexers=indexers, label_selector=HOST_PODS_SELECTOR)

    def status_part(
        self, resource: Resource, client: Writer, *, field_manager: str = "", part: str = "status"
    ) -> StatusPart[CustomResource]:
        """The part of a custom resource's status that is written as one."""
        return StatusPart(
            resource=resource,
            codec=CUSTOM_RESOURCE,
            paced=self.applier.paced,
            client=client,
            field_manager=field_manager,
            part=part,
            rate=self.write_rate,
        )

    def controller(
        self,
        name: str,
        reconcile: Callable[[Key], Awaitable[Result]],
        report: Callable[[Key, Exception], Awaitable[None]] | None = None,
        *,
        workers_times: int = 1,
        parts: Collection[tuple[Resource, str]] = (),
    ) -> Controller[Key]:
        """A controller of keys with a namespace, with (so many times) the operator's workers and its reconcile timeout.

        In a namespace that was just taken up it waits until everything there has been listed. `report` shows failures
        in the object's status; without it they are only logged. `parts` of the objects of a key that somebody else sets
        back, or that were written too often, are looked at again when they may be written.
        """

        async def when_listed(key: Key) -> Result:
            if self._half_listed(key.namespace):
                return Result.waiting(f"the lists of namespace {key.namespace}", _HALF_LISTED_SECONDS)
            result = await reconcile(key)
            targets = [WriteTarget(resource, key, part) for resource, part in parts]
            if (again := self.applier.contests.again(targets)) is not None:
                result = result.or_sooner("who sets it back to leave it alone", again)
            if (again := self.write_rate.again(targets)) is not None:
                result = result.or_sooner("its turn to be written", again)
            return result

        return Controller(
            name,
            when_listed,
            clock=self.clock,
            metrics=self.metrics,
            workers=workers_times * self.workers,
            timeout=self.reconcile_timeout,
            report=report,
            span=self.span,
            tenant=namespace_of,
        )

    def _half_listed(self, namespace: str) -> bool:
        if not self.scope.narrow((namespace,)):
            return False  # left out: what is known of it is to be forgotten
        return not all(informer.synced_in(namespace) for informer in self.informers.everywhere)
