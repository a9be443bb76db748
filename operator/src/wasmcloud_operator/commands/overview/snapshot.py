"""Everything the commands look at, read once: host configs, applications, their pods and Services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED, Codec
from wasmcloud_operator.kube.errors import ApiError, Forbidden, NotFound
from wasmcloud_operator.kube.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.objects import CustomResource, HasMetadata, Unstructured
from wasmcloud_operator.kube.resources import POD, SERVICE, Resource
from wasmcloud_operator.names import HOST_PODS_SELECTOR, INSTANCE_LABEL, MANAGED_SELECTOR

T = TypeVar("T", bound=HasMetadata)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The objects of one namespace or of all; `unreadable` has, by kind, why one could not be read."""

    pools: tuple[CustomResource, ...] = ()
    applications: tuple[CustomResource, ...] = ()
    pods: tuple[Unstructured, ...] = ()
    services: tuple[Unstructured, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def pods_of(self, pool: CustomResource) -> tuple[Unstructured, ...]:
        """Returns the pods of a host config, by name."""
        return tuple(
            pod
            for pod in self.pods
            if pod.metadata.namespace == pool.metadata.namespace
            and pod.metadata.labels.get(INSTANCE_LABEL) == pool.metadata.name
        )

    def pools_in(self, lattice: str) -> tuple[CustomResource, ...]:
        """Returns the host configs whose hosts join a lattice of that name."""
        return tuple(pool for pool in self.pools if lattice_of(pool) == lattice)


async def take(client: Reader, namespace: str = "") -> Snapshot:
    """Reads the objects of a namespace, or (empty) of all, and notes what the user has no right to read.

    Raises the other errors of `kube.errors`.
    """
    unreadable: dict[str, str] = {}

    async def listed(resource: Resource, codec: Codec[T], selector: str = "") -> tuple[T, ...]:
        try:
            found = await client.list_all(resource, codec, namespace=namespace, selector=selector)
        except (Forbidden, NotFound) as error:
            unreadable[str(resource)] = _why(error)
            return ()
        return tuple(sorted(found, key=lambda item: item.metadata.key))

    return Snapshot(
        pools=await listed(HOST_CONFIG, CUSTOM_RESOURCE),
        applications=await listed(APPLICATION, CUSTOM_RESOURCE),
        pods=await listed(POD, UNSTRUCTURED, HOST_PODS_SELECTOR),
        services=await listed(SERVICE, UNSTRUCTURED, MANAGED_SELECTOR),
        unreadable=unreadable,
    )


def _why(error: ApiError) -> str:
    return "you have no right to list them" if isinstance(error, Forbidden) else "their kind is not installed"


def as_object(value: Json) -> JsonObject:
    """Returns the value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: Json) -> Iterator[JsonObject]:
    """Yields the objects of a list, nothing for anything else."""
    return (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else iter(())


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


def lattice_of(pool: CustomResource) -> str:
    """Returns the name of the lattice that a host config's hosts join."""
    return str(spec_of(pool).get("lattice", ""))


def looked_at(item: CustomResource) -> bool:
    """Whether the status is about the present generation."""
    observed = status_of(item).get("observedGeneration")
    return isinstance(observed, int) and observed >= item.metadata.generation
