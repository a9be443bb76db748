"""The OAM ``Application`` v1beta1: a manifest for wadm, and its status."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from wasmcloud_operator_types._base import Resource, StatusModel
from wasmcloud_operator_types._fields import Rule, cel
from wasmcloud_operator_types.manifest import ApplicationSpec
from wasmcloud_operator_types.meta import Condition, Conditions, ObjectMeta, find_condition

Phase = Literal["Deployed", "Reconciling", "Failed", "Undeployed"]


class WadmStatus(StatusModel):
    """The status of the application in wadm's own words."""

    type: str
    """The status in wadm's words, for example deployed, reconciling, failed."""

    message: str | None = None
    """Its explanation."""


class ScalerStatus(StatusModel):
    """One scaler of the application, in wadm's words."""

    kind: str
    """Kind of scaler, for example SpreadScaler."""

    name: str
    """What it scales."""

    status: str
    """The status in wadm's words."""

    message: str | None = None
    """Its explanation."""


class ServiceStatus(StatusModel):
    """A Kubernetes Service that leads to an HTTP endpoint of the application."""

    name: str
    """Name of the Service."""

    namespace: str
    """Namespace of the Service."""

    urls: tuple[str, ...] = ()
    """Addresses inside the cluster."""

    ready_endpoints: Annotated[int, Field(ge=0)] = 0
    """How many pods serve the endpoint now."""


class Placement(StatusModel):
    """A component or provider of the application on a host that runs it."""

    component: str
    """Its name in the manifest, or its id in the lattice where the manifest no longer names it."""

    host: str
    """Public key that names the host."""

    namespace: str | None = None
    """Namespace of the host's pod, if it runs in one of this cluster."""

    pod: str | None = None
    """Name of that pod."""

    instances: Annotated[int, Field(ge=0)] = 1
    """How many of it may run there at once."""


class Departure(StatusModel):
    """A lattice that the application is leaving."""

    lattice: str
    """The lattice's name."""

    lattice_id: str | None = None
    """Distinguishes the lattice from others of that name."""

    host_config: str | None = None
    """Name of the WasmCloudHostConfig by which it was reached."""

    problem: str | None = None
    """Why it could not be taken out of that lattice yet, if something stood against it."""


class ApplicationStatus(StatusModel):
    """What was last seen of the application in its lattice."""

    observed_generation: int | None = None
    """The metadata.generation that this status is about; -1 until the first."""

    phase: Phase | None = None
    """Where the application stands: Deployed, Reconciling, Failed or Undeployed."""

    lattice: str | None = None
    """The lattice that the application runs in."""

    lattice_id: str | None = None
    """Distinguishes the lattice from others of that name."""

    host_config: str | None = None
    """Name of the WasmCloudHostConfig whose connection is used."""

    leaving: tuple[Departure, ...] | None = None
    """Lattices that the application was moved out of and that still run it: each is tried until it is done."""

    inputs_digest: str | None = None
    """Digest of the annotations and labels that this status is about: metadata.generation does not count them."""

    deployed_version: str | None = None
    """The version that wadm has deployed."""

    content_digest: str | None = None
    """Digest (SHA-256) of the content that is deployed: shows whether it is this manifest's, whatever its version."""

    versions: tuple[str, ...] | None = None
    """The versions that wadm keeps."""

    message: str | None = None
    """One sentence for people: what holds the application up, or wadm's explanation."""

    wadm: WadmStatus | None = None
    """The status in wadm's own words."""

    scalers: tuple[ScalerStatus, ...] | None = None
    """The scalers, in wadm's words."""

    placement_count: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """On how many hosts its components run, each component counted for itself."""

    placements: tuple[Placement, ...] | None = None
    """The first of them, by component and host."""

    services: tuple[ServiceStatus, ...] | None = None
    """Kubernetes Services that lead to the application's HTTP endpoints."""

    conditions: Conditions = None
    """Observations: Ready, Reconciling, Stalled, Synced, LatticeConnected, Paused."""

    def condition(self, type_: str) -> Condition | None:
        """Returns the condition of that type, None if it is not observed yet."""
        return find_condition(self.conditions, type_)


class Application(Resource):
    """A wasmCloud application, deployed by wadm in the lattice of its namespace's hosts."""

    GROUP: ClassVar[str] = "core.oam.dev"
    VERSION: ClassVar[str] = "v1beta1"
    KIND: ClassVar[str] = "Application"
    PLURAL: ClassVar[str] = "applications"

    model_config = ConfigDict(
        json_schema_extra=cel(
            Rule(
                "!self.metadata.name.contains('.')",
                "must have no dots: wadm takes letters, digits, '-' and '_' only",
                ".metadata.name",
            )
        )
    )

    api_version: Literal["core.oam.dev/v1beta1"] = "core.oam.dev/v1beta1"
    kind: Literal["Application"] = "Application"
    metadata: ObjectMeta

    spec: ApplicationSpec
    """The application's components and policies."""

    status: ApplicationStatus | None = None
    """What was last seen of the application. Written by the operator."""
