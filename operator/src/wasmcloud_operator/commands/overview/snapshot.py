"""Everything the commands look at, read once: host configs, applications, their pods and Services."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.errors import ApiError, Forbidden, NotFound
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Unstructured
from wasmcloud_operator.kube.resources import POD, SERVICE, Key, Resource
from wasmcloud_operator.names import HOST_PODS_SELECTOR, INSTANCE_LABEL, MANAGED_SELECTOR

NO_RIGHT = "you have no right to list them"

T = TypeVar("T", bound=HasMetadata)
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ListedEndpoint:
    """A pod that an EndpointSlice leads to; without a key where it leads to something else."""

    pod: Key | None
    ready: bool
    ending: bool


@dataclass(frozen=True)
class Snapshot:
    """The objects of one namespace or of all; `unreadable` has, by kind, why one could not be read.

    `warnings`, by pod, and `nodes`, by name, are of pods that are not ready, and `endpoints` of Services, by key, where
    somebody has asked for them.
    """

    pools: tuple[CustomResource, ...] = ()
    applications: tuple[CustomResource, ...] = ()
    pods: tuple[Unstructured, ...] = ()
    services: tuple[Unstructured, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[Key, str] = field(default_factory=dict)
    nodes: Mapping[str, Unstructured] = field(default_factory=dict)
    endpoints: Mapping[Key, Sequence[ListedEndpoint]] = field(default_factory=dict)

    def pods_of(self, pool: CustomResource) -> Sequence[Unstructured]:
        """Returns the pods of a host config, by name."""
        return self._pods_by_pool.get(pool.metadata.key, ())

    def pools_in(self, lattice: str) -> Sequence[CustomResource]:
        """Returns the host configs whose hosts join a lattice of that name."""
        return self._pools_by_lattice.get(lattice, ())

    def applications_by(self, pool: CustomResource) -> Sequence[CustomResource]:
        """Returns the Applications that are reached by the connection of a host config."""
        return self._applications_by_pool.get(pool.metadata.key, ())

    def applications_in(self, lattice: str) -> Sequence[CustomResource]:
        """Returns the Applications in a lattice of that name."""
        return self._applications_by_lattice.get(lattice, ())

    def pod(self, namespace: str, name: str) -> Unstructured | None:
        """Returns a pod of hosts by its name."""
        return self._pods_by_name.get(Key(namespace, name))

    def host(self, id_: str) -> JsonObject:
        """Returns what a host config's status has of a host, an empty object for one that none has."""
        return self._hosts.get(id_, {})

    # Looked up for each row: a walk through all objects each time would take seconds with a thousand of them.

    @cached_property
    def _pods_by_pool(self) -> Mapping[Key, list[Unstructured]]:
        return _grouped(self.pods, lambda pod: Key(pod.metadata.namespace, pod.metadata.labels.get(INSTANCE_LABEL, "")))

    @cached_property
    def _pools_by_lattice(self) -> Mapping[str, list[CustomResource]]:
        return _grouped(self.pools, lattice_of)

    @cached_property
    def _applications_by_pool(self) -> Mapping[Key, list[CustomResource]]:
        return _grouped(
            self.applications, lambda app: Key(app.metadata.namespace, str(status_of(app).get("hostConfig", "")))
        )

    @cached_property
    def _applications_by_lattice(self) -> Mapping[str, list[CustomResource]]:
        return _grouped(self.applications, lambda app: str(status_of(app).get("lattice", "")))

    @cached_property
    def _pods_by_name(self) -> Mapping[Key, Unstructured]:
        return {pod.metadata.key: pod for pod in self.pods}

    @cached_property
    def _hosts(self) -> Mapping[str, JsonObject]:
        return {str(host.get("id")): host for pool in self.pools for host in as_objects(status_of(pool).get("hosts"))}


def _grouped(items: Iterable[T], by: Callable[[T], K]) -> Mapping[K, list[T]]:
    groups: defaultdict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[by(item)].append(item)
    return groups


async def take(client: Reader, namespace: str = "") -> Snapshot:
    """Reads the objects of a namespace, or (empty) of all, and notes what the user has no right to read.

    Raises the other errors of `kube.errors`.
    """
    unreadable: dict[str, str] = {}

    async def listed(resource: Resource, codec: Codec[T], selector: str = "") -> tuple[T, ...]:
        try:
            found = await client.list_all(resource, codec, namespace=namespace, selector=selector)
        except (Forbidden, NotFound) as error:
            unreadable[str(resource)] = why_unreadable(error)
            return ()
        return tuple(sorted(found, key=lambda item: item.metadata.key))

    return Snapshot(
        pools=await listed(HOST_CONFIG, CUSTOM_RESOURCE),
        applications=await listed(APPLICATION, CUSTOM_RESOURCE),
        pods=await listed(POD, UNSTRUCTURED, HOST_PODS_SELECTOR),
        services=await listed(SERVICE, UNSTRUCTURED, MANAGED_SELECTOR),
        unreadable=unreadable,
    )


def why_unreadable(error: ApiError) -> str:
    """Returns the reason in a few words."""
    return NO_RIGHT if isinstance(error, Forbidden) else "their kind is not installed"


def condition(item: CustomResource | Unstructured, kind: str) -> JsonObject:
    """Returns the condition of that type, an empty object where there is none."""
    status = as_object(item.status if isinstance(item, CustomResource) else item.body.get("status"))
    return next((entry for entry in as_objects(status.get("conditions")) if entry.get("type") == kind), {})


def holds(item: CustomResource | Unstructured, kind: str) -> bool:
    """Whether a condition is True."""
    return condition(item, kind).get("status") == "True"


def fails(item: CustomResource | Unstructured, kind: str) -> bool:
    """Whether a condition is False."""
    return condition(item, kind).get("status") == "False"


def spec_of(item: CustomResource) -> JsonObject:
    """Returns the spec."""
    return as_object(item.spec)


def status_of(item: CustomResource) -> JsonObject:
    """Returns the status."""
    return as_object(item.status)


def services_of(application: CustomResource) -> Iterator[Key]:
    """Yields the keys of the Services that an Application has."""
    for entry in as_objects(status_of(application).get("services")):
        yield Key(str(entry.get("namespace", "")), str(entry.get("name", "")))


def lattice_of(pool: CustomResource) -> str:
    """Returns the name of the lattice that a host config's hosts join."""
    return str(spec_of(pool).get("lattice", ""))


def looked_at(item: CustomResource) -> bool:
    """Whether the status is about the present generation."""
    observed = status_of(item).get("observedGeneration")
    return isinstance(observed, int) and observed >= item.metadata.generation
