"""How and where the pods of a host pool run."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, StrictInt, model_validator

from wasmcloud_operator_types._base import Model
from wasmcloud_operator_types._fields import PERCENT, UP_TO_100_PERCENT, Items, ObjectName, Quantity, Rule, cel
from wasmcloud_operator_types.embedded import EmbeddedContainer, EmbeddedPodSpec

PodsOrPercent = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)] | Annotated[str, Field(pattern=UP_TO_100_PERCENT)]

_ONE_BUDGET = "set minAvailable or maxUnavailable, not both"


class ResourceClaim(Model):
    """A claim of the pod's resourceClaims that the container uses."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The claim's name in the pod's spec."""

    request: str | None = None
    """One request of the claim; all of them when left out."""


class ResourceRequirements(Model):
    """Compute resources of a container, as in a pod's spec."""

    limits: dict[str, Quantity] | None = None
    """The most it may use, for example cpu and memory."""

    requests: dict[str, Quantity] | None = None
    """What is set aside for it; the limits when left out."""

    claims: Items[ResourceClaim] | None = None
    """Claims that it uses."""


class KubernetesResources(Model):
    """Compute resources of the two containers, as in a pod's spec."""

    nats: ResourceRequirements | None = None
    """Of the nats-leaf container."""

    wasmcloud: ResourceRequirements | None = None
    """Of the wasmcloud-host container."""


class ContainerTemplateAdditions(Model):
    """Additions to the two containers. What is written here wins over what the operator would write."""

    nats: EmbeddedContainer | None = None
    """Merged into the nats-leaf container, lists by name as Kubernetes does.

    Its fields: kubectl explain pod.spec.containers."""

    wasmcloud: EmbeddedContainer | None = None
    """Merged into the wasmcloud-host container, lists by name as Kubernetes does.

    Its fields: kubectl explain pod.spec.containers."""


class Rollout(Model):
    """What a new host pod has to show before it counts as ready, so that no earlier one goes before.

    The operator reports it in each pod's readiness gate k8s.wasmcloud.dev/serving. While it is away new pods wait, and
    ready pods stay ready.
    """

    wait_for_lattice: StrictBool | None = None
    """Wait until its host is in the lattice; true when left out."""

    wait_for_applications: StrictBool | None = None
    """Wait until its host runs what daemonscalers place on it to serve HTTP; true when left out."""

    timeout_seconds: Annotated[StrictInt | None, Field(ge=1, le=3600)] = None
    """Seconds after which a pod is not kept waiting any more; 120 when left out.

    One whose host is not in the lattice waits on while another pod of the pool has a host there."""


_NOBODY_MOVES = "maxSurge and maxUnavailable cannot both be 0: no pod could be replaced"


class RollingUpdate(Model):
    """How many pods a change replaces at a time."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            Rule(
                "!has(self.maxSurge) || !has(self.maxUnavailable) ||"
                " !(self.maxSurge == 0 || self.maxSurge == '0%') ||"
                " !(self.maxUnavailable == 0 || self.maxUnavailable == '0%')",
                _NOBODY_MOVES,
            )
        )
    )

    max_surge: Annotated[StrictInt, Field(ge=0, le=2**31 - 1)] | Annotated[str, Field(pattern=PERCENT)] | None = None
    """Pods, or percent of them, that may run beyond the wanted number meanwhile; 1 when left out."""

    max_unavailable: PodsOrPercent | None = None
    """Pods, or percent of them, that may be missing meanwhile; 0 when left out."""

    @model_validator(mode="after")
    def _some_pod_moves(self) -> Self:
        if self.max_surge in (0, "0%") and self.max_unavailable in (0, "0%"):
            raise ValueError(_NOBODY_MOVES)
        return self


_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
# Keys of the operator's own: what selects the pods, and what is derived from the spec.
_OWN_KEYS = (
    r"^(app[.]kubernetes[.]io/(name|instance|component|part-of|managed-by)|([a-z0-9-]+[.])?k8s[.]wasmcloud[.]dev/.*)$"
)
_KEYS = (
    "keys must be those of labels and annotations, and none of the operator's own:"
    " app.kubernetes.io and k8s.wasmcloud.dev"
)
_VALUES = (
    "values must be usable as labels: letters, digits, '-', '_' and '.', at most 63, a letter or digit at both ends"
)
_ONE_ACCOUNT = "annotations are for the account that the operator makes: set name or annotations, not both"


def _checked_keys(entries: dict[str, str] | None) -> dict[str, str] | None:
    for key in entries or {}:
        if not re.fullmatch(_LABEL_KEY, key) or re.fullmatch(_OWN_KEYS, key):
            raise ValueError(_KEYS)
    return entries


def _checked_labels(entries: dict[str, str] | None) -> dict[str, str] | None:
    if not all(re.fullmatch(_LABEL_VALUE, value) for value in (entries or {}).values()):
        raise ValueError(_VALUES)
    return entries


_KEYS_RULE = Rule(f"self.all(k, k.matches('{_LABEL_KEY}') && !k.matches('{_OWN_KEYS}'))", _KEYS)
_VALUES_RULE = Rule(f"self.all(k, self[k].matches('{_LABEL_VALUE}'))", _VALUES)


_Annotations = Annotated[
    dict[str, Annotated[str, Field(max_length=65536)]] | None,
    Field(max_length=64, json_schema_extra=cel(_KEYS_RULE)),
    AfterValidator(_checked_keys),
]


class PodMetadata(Model):
    """Labels and annotations of the host pods: for autoscalers, service meshes, cloud identities."""

    labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]] | None,
        Field(max_length=64, json_schema_extra=cel(_KEYS_RULE, _VALUES_RULE)),
        AfterValidator(_checked_keys),
        AfterValidator(_checked_labels),
    ] = None
    """Labels of the pods."""

    annotations: _Annotations = None
    """Annotations of the pods."""


class ServiceAccountOptions(Model):
    """The ServiceAccount of the host pods. They never get its Kubernetes token."""

    model_config = ConfigDict(json_schema_extra=cel(Rule("!has(self.name) || !has(self.annotations)", _ONE_ACCOUNT)))

    name: ObjectName | None = None
    """An existing account of the namespace; when left out the operator makes one of the config's name."""

    annotations: _Annotations = None
    """Annotations of the account that the operator makes, for example for the identity of a cloud."""

    @model_validator(mode="after")
    def _is_one_account(self) -> Self:
        if self.name is not None and self.annotations is not None:
            raise ValueError(_ONE_ACCOUNT)
        return self


class SchedulingOptions(Model):
    """How and where the host pods run."""

    daemonset: StrictBool | None = None
    """Run one host on every matching node (a DaemonSet) instead of hostReplicas of them."""

    resources: KubernetesResources | None = None
    """Compute resources of the two containers."""

    pod_template_additions: EmbeddedPodSpec | None = None
    """Merged into the pod's spec: volumes, tolerations, affinity. Containers can be added, not replaced.

    Its fields: kubectl explain pod.spec."""

    container_template_additions: ContainerTemplateAdditions | None = None
    """Merged into the two containers."""

    rolling_update: RollingUpdate | None = None
    """How many pods a change replaces at a time; one more is started before one goes when left out."""


class DisruptionBudget(Model):
    """A PodDisruptionBudget for the host pods."""

    model_config = ConfigDict(
        json_schema_extra=cel(Rule("!has(self.minAvailable) || !has(self.maxUnavailable)", _ONE_BUDGET))
    )

    enabled: StrictBool | None = None
    """False: no budget, for pods that have another one: Kubernetes evicts no pod with two. True when left out."""

    min_available: PodsOrPercent | None = None
    """Pods, or percent of them, that must stay."""

    max_unavailable: PodsOrPercent | None = None
    """Pods, or percent of them, that may go at a time; 1 when left out."""

    @property
    def fits_a_daemonset(self) -> bool:
        """Whether Kubernetes can count by it without a wanted number of pods."""
        return self.enabled is False or isinstance(self.min_available, int)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.min_available is not None and self.max_unavailable is not None:
            raise ValueError(_ONE_BUDGET)
        return self
