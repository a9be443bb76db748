"""The status of a host pool."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from wasmcloud_operator_types._base import StatusModel
from wasmcloud_operator_types.meta import Condition, Conditions, find_condition


class HostedApplication(StatusModel):
    """What a host runs of an application."""

    name: str
    """The application's name in the lattice."""

    components: Annotated[int, Field(ge=0)] = 0
    """Components of it that run there."""

    providers: Annotated[int, Field(ge=0)] = 0
    """Providers of it that run there."""


class HostStatus(StatusModel):
    """A host of the pool that is live in the lattice."""

    id: str
    """Public key that names the host."""

    friendly_name: str | None = None
    """The host's name for people."""

    pod: str | None = None
    """The pod it runs in."""

    node: str | None = None
    """The node of that pod."""

    version: str | None = None
    """The host's version."""

    labels: dict[str, str] | None = None
    """The first of its labels in the lattice, by name: what an application's scalers choose hosts by."""

    started_at: AwareDatetime | None = None
    """When it started."""

    components: int | None = None
    """Components that it runs."""

    providers: int | None = None
    """Providers that it runs."""

    applications: tuple[HostedApplication, ...] | None = None
    """The first of the applications that it runs something of, by name."""


class AppStatus(StatusModel):
    """An application in the pool's lattice."""

    name: str
    """Its name in the lattice."""

    version: str | None = None
    """The version that is deployed."""

    phase: str | None = None
    """Where it stands, in wadm's words."""


class WasmCloudHostConfigStatus(StatusModel):
    """What was last seen of the pool. Written by the operator."""

    observed_generation: int | None = None
    """The metadata.generation that the rest is about; -1 before the first look."""

    conditions: Conditions = None
    """Observations: Ready, Reconciling, Stalled, WorkloadAvailable, SecretsValid, LatticeConnected, WadmConnected,
    Paused."""

    replicas: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Host pods that exist."""

    ready_replicas: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Host pods that are ready."""

    selector: str | None = None
    """Selector of the host pods, for kubectl scale and autoscalers."""

    leaf_service: str | None = None
    """Where other pods reach the leaf nodes; loopback when only the hosts beside them do."""

    host_count: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Hosts of this pool that are live in the lattice."""

    hosts: tuple[HostStatus, ...] | None = None
    """The first of them, by pod name."""

    app_count: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Applications in the lattice."""

    apps: tuple[AppStatus, ...] | None = None
    """The first of them, by name."""

    def condition(self, type_: str) -> Condition | None:
        """Returns the condition of that type, None if it is not observed yet."""
        return find_condition(self.conditions, type_)
