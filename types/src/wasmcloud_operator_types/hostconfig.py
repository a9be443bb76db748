"""``WasmCloudHostConfig`` v1alpha1: a pool of wasmCloud hosts in one lattice, and what the operator says of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, JsonValue, model_validator

from wasmcloud_operator_types._base import Model, StatusModel
from wasmcloud_operator_types.meta import Condition, ObjectMeta

_DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL = r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_NO_CONTROL = r"^[^\x00-\x20\x7f]+$"
# A NATS subject or its first part: tokens between dots, no wildcards, no white space.
_SUBJECT = r"^[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*$"

Port = Annotated[int, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=_DNS_NAME)]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=_NO_CONTROL)]
Subject = Annotated[str, Field(min_length=1, max_length=256, pattern=_SUBJECT)]
Url = Annotated[str, Field(min_length=1, max_length=2048, pattern=_NO_CONTROL)]


# Volumes that the operator's own containers use.
_OWN_VOLUMES = ("nats-config", "nats-data", "nats-creds", "nats-tls", "tmp")
# The host label by which the operator finds a host's pod.
_OWN_HOST_LABEL = "kubernetes_pod_name"

_POLICY_NEEDS_TOPIC = "timeoutMs and changesTopic need topic: a host given them without it does not start"
_ONE_SOURCE = "name either a secret or a configMap, and only one of them"
_OWN_VOLUME_NAME = f"name: {', '.join(_OWN_VOLUMES)} are volumes of the operator's own; choose another name"
_ONE_BUDGET = "set minAvailable or maxUnavailable, not both"
_ONE_DAEMONSET = "daemonset and schedulingOptions.daemonset contradict each other: set one of them"
_ISSUERS_NEED_SECRET = "issuers need secretName: the Secret holds WASMCLOUD_CLUSTER_SEED"  # noqa: S105 - prose
_POD_LABELS = (
    "hostLabels must be usable as pod labels: letters, digits, '-', '_' and '.', at most 63,"
    f" a letter or digit at both ends, and no prefix in the key; {_OWN_HOST_LABEL} is the operator's own"
)


class _Rule(NamedTuple):
    """A CEL expression that must be true, and what is said when it is not."""

    rule: str
    message: str


def _cel(*rules: _Rule) -> dict[str, Any]:
    return {"x-kubernetes-validations": [rule._asdict() for rule in rules]}


def _pod_labels(labels: dict[str, str] | None) -> dict[str, str] | None:
    for key, value in (labels or {}).items():
        if key == _OWN_HOST_LABEL or not re.fullmatch(_LABEL, key) or (value and not re.fullmatch(_LABEL, value)):
            raise ValueError(_POD_LABELS)
    return labels


class PolicyService(Model):
    """The lattice's policy service, which hosts ask before they run something."""

    model_config = ConfigDict(
        json_schema_extra=_cel(
            _Rule("has(self.topic) || (!has(self.timeoutMs) && !has(self.changesTopic))", _POLICY_NEEDS_TOPIC)
        )
    )

    topic: Subject | None = None
    """NATS subject on which the policy service is asked."""

    timeout_ms: Annotated[int | None, Field(ge=1, le=3_600_000)] = None
    """Milliseconds to wait for its answer."""

    changes_topic: Subject | None = None
    """NATS subject on which changed decisions are announced."""

    @model_validator(mode="after")
    def _topic_is_there(self) -> Self:
        if self.topic is None and (self.timeout_ms is not None or self.changes_topic is not None):
            raise ValueError(_POLICY_NEEDS_TOPIC)
        return self


class ResourceClaim(Model):
    """A claim of the pod's resourceClaims that the container uses."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The claim's name in the pod's spec."""

    request: str | None = None
    """One request of the claim; all of them when left out."""


class ResourceRequirements(Model):
    """Compute resources of a container, as in a pod's spec."""

    limits: dict[str, int | str] | None = None
    """The most it may use, for example cpu and memory."""

    requests: dict[str, int | str] | None = None
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


class RollingUpdate(Model):
    """How many pods a change replaces at a time."""

    max_surge: int | str | None = None
    """Pods, or percent of them, that may run beyond the wanted number meanwhile; 1 when left out."""

    max_unavailable: int | str | None = None
    """Pods, or percent of them, that may be missing meanwhile; 0 when left out."""


class SchedulingOptions(Model):
    """How and where the host pods run."""

    daemonset: bool | None = None
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


class Telemetry(Model):
    """One kind of telemetry."""

    enable: bool | None = None
    """Whether the hosts send it."""

    endpoint: Url | None = None
    """Where to, instead of the common endpoint."""


class Observability(Model):
    """OpenTelemetry export of the hosts."""

    enable: bool | None = None
    """Send logs, metrics and traces."""

    endpoint: Url | None = None
    """OTLP endpoint for all three."""

    protocol: Literal["grpc", "http"] | None = None
    """OTLP protocol; http when left out."""

    logs: Telemetry | None = None
    """Logs, when not all three are sent or they go elsewhere."""

    metrics: Telemetry | None = None
    """Metrics, when not all three are sent or they go elsewhere."""

    traces: Telemetry | None = None
    """Traces, when not all three are sent or they go elsewhere."""


class CertificateAuthority(Model):
    """A volume with CA certificates: a Secret's or a ConfigMap's keys that end in .crt."""

    model_config = ConfigDict(
        json_schema_extra=_cel(
            _Rule("has(self.secret) != has(self.configMap)", _ONE_SOURCE),
            _Rule(f"!(self.name in {list(_OWN_VOLUMES)})", _OWN_VOLUME_NAME),
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the volume."""

    secret: SecretVolume | None = None
    """The Secret."""

    config_map: ConfigMapVolume | None = None
    """The ConfigMap."""

    @model_validator(mode="after")
    def _is_one_volume_of_its_own(self) -> Self:
        if (self.secret is None) == (self.config_map is None):
            raise ValueError(_ONE_SOURCE)
        if self.name in _OWN_VOLUMES:
            raise ValueError(_OWN_VOLUME_NAME)
        return self


class KeyToPath(Model):
    """A key of the source, and the file it becomes."""

    key: Annotated[str, Field(min_length=1, max_length=253)]
    """The key."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """The file's path in the volume."""

    mode: Annotated[int | None, Field(ge=0, le=0o777, json_schema_extra={"format": "int32"})] = None
    """The file's permission bits."""


class SecretVolume(Model):
    """A Secret as a volume."""

    secret_name: ObjectName
    """The Secret's name, in the same namespace."""

    items: Annotated[tuple[KeyToPath, ...] | None, Field(max_length=64)] = None
    """Only these keys."""

    default_mode: Annotated[int | None, Field(ge=0, le=0o777, json_schema_extra={"format": "int32"})] = None
    """The files' permission bits."""

    optional: bool | None = None
    """Whether the Secret may be missing."""


class ConfigMapVolume(Model):
    """A ConfigMap as a volume."""

    name: ObjectName
    """The ConfigMap's name, in the same namespace."""

    items: Annotated[tuple[KeyToPath, ...] | None, Field(max_length=64)] = None
    """Only these keys."""

    default_mode: Annotated[int | None, Field(ge=0, le=0o777, json_schema_extra={"format": "int32"})] = None
    """The files' permission bits."""

    optional: bool | None = None
    """Whether the ConfigMap may be missing."""


class Certificates(Model):
    """Certificates that the hosts trust."""

    authorities: Annotated[
        tuple[CertificateAuthority, ...] | None,
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = None
    """CA certificates for registries and other HTTPS peers of the hosts."""


class NatsTls(Model):
    """TLS from the leaf node and the operator to the NATS hub."""

    secret_name: ObjectName
    """Secret with ca.crt, and with tls.crt and tls.key when the hub asks for a client certificate."""


class LeafService(Model):
    """The Service on the leaf nodes' client port."""

    enabled: bool | None = None
    """Whether there is one; true when left out. Without it the leaf listens on the pod's loopback only."""


class Probes(Model):
    """Probes of the wasmcloud-host container."""

    enabled: bool | None = None
    """Whether /readyz and /livez are probed; from version 1.5 on when left out. Older hosts have no such endpoint."""

    port: Port | None = None
    """Port of the host's HTTP admin endpoint; 9090 when left out."""


class DisruptionBudget(Model):
    """A PodDisruptionBudget for the host pods."""

    model_config = ConfigDict(
        json_schema_extra=_cel(_Rule("!has(self.minAvailable) || !has(self.maxUnavailable)", _ONE_BUDGET))
    )

    min_available: Annotated[int | str | None, Field(json_schema_extra={"x-kubernetes-int-or-string": True})] = None
    """Pods, or percent of them, that must stay."""

    max_unavailable: Annotated[int | str | None, Field(json_schema_extra={"x-kubernetes-int-or-string": True})] = None
    """Pods, or percent of them, that may go at a time; 1 when nothing is said."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.min_available is not None and self.max_unavailable is not None:
            raise ValueError(_ONE_BUDGET)
        return self


class WasmCloudHostConfigSpec(Model):
    """The hosts that are wanted."""

    model_config = ConfigDict(
        json_schema_extra=_cel(
            _Rule(
                "!has(self.daemonset) || !has(self.schedulingOptions) || !has(self.schedulingOptions.daemonset) ||"
                " self.daemonset == self.schedulingOptions.daemonset",
                _ONE_DAEMONSET,
            ),
            _Rule("!has(self.issuers) || size(self.issuers) == 0 || has(self.secretName)", _ISSUERS_NEED_SECRET),
        )
    )

    host_replicas: Annotated[
        int, Field(ge=0, le=100_000, json_schema_extra={"format": "int32", "x-kubernetes-default": 1})
    ] = 1
    """Host pods to run; ignored for a DaemonSet."""

    lattice: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\s.*>\x00-\x1f\x7f]+$")]
    """Lattice that the hosts join: one NATS subject token, so no dots, wildcards or white space."""

    version: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")]
    """wasmCloud version; also the image's tag unless image is set."""

    image: Image | None = None
    """Image of the host; ghcr.io/wasmcloud/wasmcloud:<version> when left out."""

    nats_leaf_image: Image | None = None
    """Image of the NATS leaf node; nats:2.10-alpine when left out."""

    issuers: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=256, pattern=_NO_CONTROL)], ...] | None,
        Field(max_length=64),
    ] = None
    """Deprecated, hosts before 1.0 only: public keys of the cluster seeds that are trusted."""

    host_labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]] | None,
        Field(
            max_length=64,
            json_schema_extra=_cel(
                _Rule(
                    f"self.all(k, k != '{_OWN_HOST_LABEL}' && k.matches('{_LABEL}')"
                    f" && (size(self[k]) == 0 || self[k].matches('{_LABEL}')))",
                    _POD_LABELS,
                )
            ),
        ),
        AfterValidator(_pod_labels),
    ] = None
    """Labels of the hosts in the lattice; the pods carry them as host-label.k8s.wasmcloud.dev/<key>."""

    nats_address: Annotated[str | None, Field(min_length=1, max_length=2048, pattern=r"^[^\x00-\x1f\x7f]+$")] = None
    """NATS hub: nats, tls, ws or wss URLs, comma separated; nats://nats.default.svc.cluster.local when left out."""

    nats_client_port: Port | None = None
    """Client port of the hub, for an address without a port; 4222 when left out."""

    nats_leafnode_port: Port | None = None
    """Leaf node port of the hub; 7422 when left out."""

    nats_tls: NatsTls | None = None
    """TLS to the hub with certificates of one's own."""

    jetstream_domain: Annotated[str | None, Field(min_length=1, max_length=256, pattern=_SUBJECT)] = None
    """JetStream domain of the hub; default when left out."""

    leaf_node_domain: Annotated[str | None, Field(min_length=1, max_length=256, pattern=_SUBJECT)] = None
    """JetStream domain of the leaf nodes; leaf when left out."""

    leaf_service: LeafService | None = None
    """The Service on the leaf nodes' client port."""

    secret_name: ObjectName | None = None
    """Secret with nats.creds for the hub, and WASMCLOUD_CLUSTER_SEED when issuers are set."""

    registry_credentials_secret: ObjectName | None = None
    """Secret of type kubernetes.io/dockerconfigjson: registries the hosts and the pods pull from.

    One registry reaches the hosts by their environment. Several are sent over NATS: whoever may subscribe to the
    lattice's control subjects can read them."""

    config_service_enabled: bool | None = None
    """Have hosts ask the lattice's config service at their start; false when left out."""

    enable_structured_logging: bool | None = None
    """Log JSON lines; true when left out."""

    log_level: Annotated[str | None, Field(min_length=1, max_length=256, pattern=_NO_CONTROL)] = None
    """Log level or filter of the hosts; INFO when left out."""

    control_topic_prefix: Subject | None = None
    """Prefix of the lattice control subjects; wasmbus.ctl when left out."""

    allow_latest: bool | None = None
    """Let hosts pull images tagged latest; false when left out."""

    allowed_insecure: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^\s,\x00-\x1f\x7f]+$")], ...] | None,
        Field(max_length=64),
    ] = None
    """Registries that hosts may reach over plain HTTP."""

    policy_service: PolicyService | None = None
    """The lattice's policy service."""

    secrets_topic_prefix: Subject | None = None
    """Prefix of the subjects on which hosts ask secrets backends (hosts from 1.1 on)."""

    max_linear_memory_bytes: Annotated[int | None, Field(ge=65536, le=2**63 - 1)] = None
    """Largest linear memory of a component, in bytes (hosts from 1.2 on)."""

    observability: Observability | None = None
    """OpenTelemetry export."""

    certificates: Certificates | None = None
    """Certificates that the hosts trust."""

    probes: Probes | None = None
    """Probes of the hosts."""

    daemonset: bool | None = None
    """The same as schedulingOptions.daemonset."""

    scheduling_options: SchedulingOptions | None = None
    """How and where the host pods run."""

    pod_disruption_budget: DisruptionBudget | None = None
    """A PodDisruptionBudget for the host pods; none when left out."""

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        inner = self.scheduling_options.daemonset if self.scheduling_options is not None else None
        if self.daemonset is not None and inner is not None and self.daemonset != inner:
            raise ValueError(_ONE_DAEMONSET)
        if self.issuers and self.secret_name is None:
            raise ValueError(_ISSUERS_NEED_SECRET)
        return self

    @property
    def as_daemonset(self) -> bool:
        """Whether the hosts run as a DaemonSet, by either of the two fields."""
        scheduling = self.scheduling_options
        return bool(self.daemonset or (scheduling and scheduling.daemonset))


class HostStatus(StatusModel):
    """A host of the pool that is live in the lattice."""

    id: str
    """Public key that names the host."""

    friendly_name: str | None = None
    """The host's name for people."""

    pod: str | None = None
    """The pod it runs in."""

    version: str | None = None
    """The host's version."""

    started_at: AwareDatetime | None = None
    """When it started."""

    components: int | None = None
    """Components that it runs."""

    providers: int | None = None
    """Providers that it runs."""


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

    conditions: Annotated[
        tuple[Condition, ...] | None,
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = None
    """Observations: Ready, Reconciling, Stalled, WorkloadAvailable, SecretsValid, LatticeConnected, Paused."""

    replicas: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Host pods that exist."""

    ready_replicas: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Host pods that are ready."""

    selector: str | None = None
    """Selector of the host pods, for kubectl scale and autoscalers."""

    host_count: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Hosts of this pool that are live in the lattice."""

    hosts: tuple[HostStatus, ...] | None = None
    """The first of them, by pod name."""

    app_count: Annotated[int | None, Field(json_schema_extra={"format": "int32"})] = None
    """Applications in the lattice."""

    apps: tuple[AppStatus, ...] | None = None
    """The first of them, by name."""


class WasmCloudHostConfig(Model):
    """A pool of wasmCloud hosts that run in pods and join one lattice."""

    GROUP: ClassVar[str] = "k8s.wasmcloud.dev"
    VERSION: ClassVar[str] = "v1alpha1"
    KIND: ClassVar[str] = "WasmCloudHostConfig"
    PLURAL: ClassVar[str] = "wasmcloudhostconfigs"

    model_config = ConfigDict(
        json_schema_extra=_cel(
            _Rule(
                "size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "metadata.name must be usable as the name of a Service: at most 63 lower-case letters, digits and '-',"
                " a letter first",
            )
        )
    )

    api_version: Literal["k8s.wasmcloud.dev/v1alpha1"] = "k8s.wasmcloud.dev/v1alpha1"
    kind: Literal["WasmCloudHostConfig"] = "WasmCloudHostConfig"
    metadata: ObjectMeta

    spec: WasmCloudHostConfigSpec
    """The hosts that are wanted."""

    status: WasmCloudHostConfigStatus | None = None
    """What was last seen of the pool. Written by the operator."""
