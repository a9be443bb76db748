"""What is cached of an object: typed metadata, and either a projection of the rest or the whole body."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, Self

import msgspec

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.resources import Key

# Copies of the whole object, made by `kubectl apply`: the largest annotation there is, and of no use to a cache.
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class OwnerReference(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A metav1.OwnerReference."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    controller: bool = False
    block_owner_deletion: bool | None = None


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The part of metav1.ObjectMeta that controllers use; managedFields are never kept."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None  # bookmarks and review answers of servers before 1.35 say null
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()

    def __post_init__(self) -> None:
        self.annotations.pop(LAST_APPLIED, None)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def deleting(self) -> bool:
        """Whether the object is on its way out."""
        return self.deletion_timestamp is not None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner reference marked as the controller, if there is one."""
        return next((owner for owner in self.owner_references if owner.controller), None)

    def belongs_to(self, uid: str) -> bool:
        """Whether the object of that uid is one of the owners."""
        return any(owner.uid == uid for owner in self.owner_references)


class HasMetadata(Protocol):
    """Anything that a store can hold."""

    @property
    def metadata(self) -> ObjectMeta:
        """The object's metadata."""


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """An object of which only the metadata is cached (what a metadata-only watch sends)."""

    metadata: ObjectMeta


class CustomResource(msgspec.Struct, frozen=True):
    """A custom resource: spec and status as they came, since only its own reconciler can judge them."""

    metadata: ObjectMeta
    spec: Json = None
    status: Json = None


class Unstructured(msgspec.Struct, frozen=True, weakref=True):
    """A whole object, less managedFields, with its metadata typed as well."""

    metadata: ObjectMeta
    body: JsonObject

    @classmethod
    def from_body(cls, body: JsonObject) -> Self:
        """Wrap a decoded object; takes the body over and strips it of what a cache must not keep."""
        metadata = body.get("metadata") or {}
        metadata.pop("managedFields", None)
        (metadata.get("annotations") or {}).pop(LAST_APPLIED, None)
        return cls(msgspec.convert(metadata, ObjectMeta), body)


class PodCondition(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A condition in a pod's status."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class _ReadinessGate(msgspec.Struct, frozen=True, rename="camel", gc=False):
    condition_type: str = ""


class _Probe(msgspec.Struct, frozen=True, gc=False):
    """There is one; its settings are of no use to a cache."""


class _Container(msgspec.Struct, frozen=True, rename="camel", gc=False):
    name: str = ""
    readiness_probe: _Probe | None = None


class _PodSpec(msgspec.Struct, frozen=True, rename="camel", gc=False):
    node_name: str = ""
    containers: tuple[_Container, ...] = ()
    readiness_gates: tuple[_ReadinessGate, ...] = ()


class _Running(msgspec.Struct, frozen=True, rename="camel", gc=False):
    started_at: str | None = None


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    reason: str = ""
    message: str = ""


class _Terminated(msgspec.Struct, frozen=True, rename="camel", gc=False):
    reason: str = ""
    message: str = ""
    exit_code: int = 0


class _ContainerState(msgspec.Struct, frozen=True, gc=False):
    running: _Running | None = None
    waiting: _Waiting | None = None
    terminated: _Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """How a container does, and how it ended the time before."""

    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: _ContainerState = _ContainerState()
    last_state: _ContainerState = _ContainerState()


class _PodStatus(
    msgspec.Struct,
    frozen=True,
    rename={
        "pod_ip": "podIP",
        "container_statuses": "containerStatuses",
        "init_container_statuses": "initContainerStatuses",
    },
):
    phase: str = ""
    pod_ip: str = ""
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True):
    """The projection of a pod that is cached: metadata, node, phase, address, conditions, readiness gates, and of each
    container whether it is probed, since when it runs and what it waits for.
    """

    metadata: ObjectMeta
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()

    @property
    def ready(self) -> bool:
        """Whether the pod's Ready condition is True."""
        return any(condition.type == "Ready" and condition.status == "True" for condition in self.status.conditions)

    def condition(self, type_: str) -> PodCondition | None:
        """The condition of that type."""
        return next((condition for condition in self.status.conditions if condition.type == type_), None)

    def probed(self, container: str) -> bool:
        """Whether the container's readiness is probed."""
        return any(each.name == container and each.readiness_probe is not None for each in self.spec.containers)

    def running_since(self, container: str) -> datetime | None:
        """When the container that runs now was started, on the node's clock; None when none runs."""
        for each in self.status.container_statuses:
            if each.name == container and each.state.running is not None and each.state.running.started_at:
                return datetime.fromisoformat(each.state.running.started_at)
        return None


def newer(resource_version: str, than: str) -> bool:
    """Whether one resourceVersion is later than another of the same kind.

    They are comparable as decimal numbers (KEP-5504, and what every released API server does). One that is not a
    number counts as newer, so that an odd server costs a needless event rather than a lost one.
    """
    if resource_version.isdecimal() and than.isdecimal():
        return int(resource_version) > int(than)
    return resource_version != than


def finalizer_removal(metadata: ObjectMeta, finalizer: str) -> list[JsonObject]:
    """Returns the JSON patch that removes a finalizer; refused (422) if the object or its finalizers changed."""
    path = f"/metadata/finalizers/{metadata.finalizers.index(finalizer)}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
        {"op": "test", "path": path, "value": finalizer},
        {"op": "remove", "path": path},
    ]
