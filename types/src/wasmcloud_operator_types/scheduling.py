"""How and where the pods of a host pool run."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, JsonValue, StrictBool, StrictInt, model_validator

from wasmcloud_operator_types._base import Model
from wasmcloud_operator_types._fields import Rule, cel

_ONE_BUDGET = "set minAvailable or maxUnavailable, not both"


class ResourceClaim(Model):
    """A claim of the pod's resourceClaims that the container uses."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The claim's name in the pod's spec."""

    request: str | None = None
    """One request of the claim; all of them when left out."""


class ResourceRequirements(Model):
    """Compute resources of a container, as in a pod's spec."""

    limits: dict[str, StrictInt | str] | None = None
    """The most it may use, for example cpu and memory."""

    requests: dict[str, StrictInt | str] | None = None
    """What is set aside for it; the limits when left out."""

    claims: tuple[ResourceClaim, ...] | None = None
    """Claims that it uses."""


class KubernetesResources(Model):
    """Compute resources of the two containers, as in a pod's spec."""

    nats: ResourceRequirements | None = None
    """Of the nats-leaf container."""

    wasmcloud: ResourceRequirements | None = None
    """Of the wasmcloud-host container."""


class ContainerTemplateAdditions(Model):
    """Additions to the two containers. What is written here wins over what the operator would write."""

    nats: dict[str, JsonValue] | None = Field(default=None, json_schema_extra={"x-kubernetes-embedded": "Container"})
    """Merged into the nats-leaf container, lists by name as Kubernetes does."""

    wasmcloud: dict[str, JsonValue] | None = Field(
        default=None, json_schema_extra={"x-kubernetes-embedded": "Container"}
    )
    """Merged into the wasmcloud-host container, lists by name as Kubernetes does."""


class Rollout(Model):
    """What a new host pod has to show before it counts as ready, so that no earlier one goes before.

    The operator tells the pods, by the readiness gate k8s.wasmcloud.dev/serving. While it is away new pods wait, and
    those that are ready stay so.
    """

    wait_for_lattice: StrictBool | None = None
    """Wait until its host is in the lattice; true when left out."""

    wait_for_applications: StrictBool | None = None
    """Wait until its host runs the HTTP providers of the daemonscalers that match its labels; true when left out."""

    timeout_seconds: Annotated[StrictInt | None, Field(ge=1, le=3600)] = None
    """Seconds after which a pod is not kept waiting any more; 120 when left out.

    One whose host is not in the lattice waits on while another pod of the pool has a host there."""


class RollingUpdate(Model):
    """How many pods a change replaces at a time."""

    max_surge: StrictInt | str | None = None
    """Pods, or percent of them, that may run beyond the wanted number meanwhile; 1 when left out."""

    max_unavailable: StrictInt | str | None = None
    """Pods, or percent of them, that may be missing meanwhile; 0 when left out."""


class SchedulingOptions(Model):
    """How and where the host pods run."""

    daemonset: StrictBool | None = None
    """Run one host on every matching node (a DaemonSet) instead of hostReplicas of them."""

    resources: KubernetesResources | None = None
    """Compute resources of the two containers."""

    pod_template_additions: dict[str, JsonValue] | None = Field(
        default=None, json_schema_extra={"x-kubernetes-embedded": "PodSpec"}
    )
    """Merged into the pod's spec: volumes, tolerations, affinity. Containers can be added, not replaced."""

    container_template_additions: ContainerTemplateAdditions | None = None
    """Merged into the two containers."""

    rolling_update: RollingUpdate | None = None
    """How many pods a change replaces at a time; one more is started before one goes when left out."""


class DisruptionBudget(Model):
    """A PodDisruptionBudget for the host pods."""

    model_config = ConfigDict(
        json_schema_extra=cel(Rule("!has(self.minAvailable) || !has(self.maxUnavailable)", _ONE_BUDGET))
    )

    min_available: Annotated[StrictInt | str | None, Field(json_schema_extra={"x-kubernetes-int-or-string": True})] = (
        None
    )
    """Pods, or percent of them, that must stay."""

    max_unavailable: Annotated[
        StrictInt | str | None, Field(json_schema_extra={"x-kubernetes-int-or-string": True})
    ] = None
    """Pods, or percent of them, that may go at a time; 1 when nothing is said."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.min_available is not None and self.max_unavailable is not None:
            raise ValueError(_ONE_BUDGET)
        return self
