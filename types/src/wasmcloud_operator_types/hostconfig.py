"""``WasmCloudHostConfig`` v1alpha1: a pool of wasmCloud hosts in one lattice, and its status."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, model_validator

from wasmcloud_operator_types._base import Model, Resource
from wasmcloud_operator_types._fields import (
    NO_CONTROL,
    SUBJECT,
    SUBJECT_PART,
    Image,
    Items,
    ObjectName,
    Port,
    Rule,
    Subject,
    cel,
)
from wasmcloud_operator_types.certificates import Certificates
from wasmcloud_operator_types.hostoptions import LeafService, NatsTls, Observability, PolicyService, Probes
from wasmcloud_operator_types.hoststatus import WasmCloudHostConfigStatus
from wasmcloud_operator_types.meta import ObjectMeta
from wasmcloud_operator_types.scheduling import (
    DisruptionBudget,
    PodMetadata,
    Rollout,
    SchedulingOptions,
    ServiceAccountOptions,
)

_VERSION = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(@sha256:[0-9a-f]{64})?$"
_LABEL = r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
# The host labels by which a host in the lattice is found as a pod in the cluster: the name for people and for wadm's
# spreads, the uid for the operator, since other clusters and namespaces have pods of that name.
POD_NAME_LABEL = "kubernetes_pod_name"
POD_UID_LABEL = "kubernetes_pod_uid"

_ONE_DAEMONSET = "daemonset and schedulingOptions.daemonset contradict each other: set one of them"
# Later hosts check no issuers.
_BEFORE_1_0 = "^v?0+([^0-9A-Za-z_]|$)"
_ISSUERS_NEED_SECRET = "issuers need secretName: the Secret holds WASMCLOUD_CLUSTER_SEED"  # noqa: S105 - prose
_TWO_DOMAINS = "leafNodeDomain and jetstreamDomain must differ: a leaf of the hub's own domain gets no stream of it"
_DAEMONSET_BUDGET = (
    "the podDisruptionBudget of a daemonset can only have minAvailable, and that as a number: Kubernetes knows no"
    " wanted number of a DaemonSet's pods, and with anything else would let none of them go"
)
_POD_LABELS = (
    "hostLabels must be usable as pod labels: letters, digits, '-', '_' and '.', at most 63,"
    " a letter or digit at both ends, and no prefix in the key;"
    f" {POD_NAME_LABEL} and {POD_UID_LABEL} are the operator's own"
)

LogLevel = Literal["ERROR", "WARN", "INFO", "DEBUG", "TRACE", "error", "warn", "info", "debug", "trace"]


def _pod_labels(labels: dict[str, str] | None) -> dict[str, str] | None:
    for key, value in (labels or {}).items():
        ours = key in (POD_NAME_LABEL, POD_UID_LABEL)
        if ours or not re.fullmatch(_LABEL, key) or (value and not re.fullmatch(_LABEL, value)):
            raise ValueError(_POD_LABELS)
    return labels


class WasmCloudHostConfigSpec(Model):
    """The hosts that are wanted."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            Rule(
                "!has(self.daemonset) || !has(self.schedulingOptions) || !has(self.schedulingOptions.daemonset) ||"
                " self.daemonset == self.schedulingOptions.daemonset",
                _ONE_DAEMONSET,
            ),
            Rule(
                f"!has(self.issuers) || size(self.issuers) == 0 || has(self.secretName) ||"
                f" !self.version.matches('{_BEFORE_1_0}')",
                _ISSUERS_NEED_SECRET,
            ),
            Rule(
                "!has(self.podDisruptionBudget) ||"
                " has(self.podDisruptionBudget.enabled) && !self.podDisruptionBudget.enabled ||"
                " !(has(self.daemonset) && self.daemonset ||"
                " has(self.schedulingOptions) && has(self.schedulingOptions.daemonset) &&"
                " self.schedulingOptions.daemonset) ||"
                " has(self.podDisruptionBudget.minAvailable) && type(self.podDisruptionBudget.minAvailable) == int",
                _DAEMONSET_BUDGET,
            ),
            Rule(
                "(has(self.leafNodeDomain) ? self.leafNodeDomain : 'leaf') !="
                " (has(self.jetstreamDomain) ? self.jetstreamDomain : 'default')",
                _TWO_DOMAINS,
            ),
        )
    )

    host_replicas: Annotated[
        StrictInt,
        Field(ge=0, le=100_000, json_schema_extra={"format": "int32", "x-kubernetes-default": 1}),
        BeforeValidator(lambda value: 1 if value is None else value),  # as the API server does it
    ] = 1
    """Host pods to run; ignored for a DaemonSet."""

    lattice: Annotated[str, Field(min_length=1, max_length=256, pattern=SUBJECT_PART)]
    """Lattice that the hosts join: one NATS subject token, so no dots, wildcards or white space."""

    version: Annotated[str, Field(min_length=1, max_length=128, pattern=_VERSION)]
    """wasmCloud version; also the image's tag, which may be pinned by @sha256:<digest>, unless image is set."""

    image: Image | None = None
    """Image of the host; ghcr.io/wasmcloud/wasmcloud:<version> when left out."""

    nats_leaf_image: Image | None = None
    """Image of the NATS leaf node; nats:2.15.2-alpine when left out."""

    issuers: Annotated[
        Items[Annotated[str, Field(min_length=1, max_length=256, pattern=NO_CONTROL)]] | None,
        Field(max_length=64),
    ] = None
    """Deprecated, hosts before 1.0 only: public keys of the cluster seeds that are trusted."""

    host_labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]] | None,
        Field(
            max_length=64,
            json_schema_extra=cel(
                Rule(
                    f"self.all(k, k != '{POD_NAME_LABEL}' && k != '{POD_UID_LABEL}' && k.matches('{_LABEL}')"
                    f" && (size(self[k]) == 0 || self[k].matches('{_LABEL}')))",
                    _POD_LABELS,
                )
            ),
        ),
        AfterValidator(_pod_labels),
    ] = None
    """Labels of the hosts in the lattice; the pods carry them as host-label.k8s.wasmcloud.dev/<key>."""

    nats_address: Annotated[str | None, Field(min_length=1, max_length=2048, pattern=r"^[^\x00-\x1f\x7f]+$")] = None
    """NATS hub: nats, tls, ws or wss URLs, comma separated; nats://nats.default.svc.cluster.local when left out.

    A user and password in it reach the pods by a Secret, but whoever may read this object reads them too."""

    nats_client_port: Port | None = None
    """Client port of the hub, for an address without a port; 4222 when left out."""

    nats_leafnode_port: Port | None = None
    """Leaf node port of the hub; 7422 when left out."""

    nats_tls: NatsTls | None = None
    """TLS to the hub with certificates of one's own."""

    jetstream_domain: Annotated[str | None, Field(min_length=1, max_length=256, pattern=SUBJECT)] = None
    """JetStream domain of the hub; default when left out."""

    leaf_node_domain: Annotated[str | None, Field(min_length=1, max_length=256, pattern=SUBJECT)] = None
    """JetStream domain of the leaf nodes; leaf when left out."""

    leaf_service: LeafService | None = None
    """The Service on the leaf nodes' client port."""

    secret_name: ObjectName | None = None
    """Secret with nats.creds for the hub, and WASMCLOUD_CLUSTER_SEED when issuers are set."""

    registry_credentials_secret: ObjectName | None = None
    """Secret of type kubernetes.io/dockerconfigjson: registries the hosts and the pods pull from.

    One registry reaches the hosts by their environment. Several are sent over NATS: whoever may subscribe to the
    lattice's control subjects can read them."""

    config_service_enabled: StrictBool | None = None
    """Have hosts ask the lattice's config service at their start; false when left out."""

    enable_structured_logging: StrictBool | None = None
    """Log JSON lines; true when left out."""

    log_level: LogLevel | None = None
    """Log level of the hosts, in capital or small letters; INFO when left out."""

    control_topic_prefix: Subject | None = None
    """Prefix of the lattice control subjects; wasmbus.ctl when left out."""

    allow_latest: StrictBool | None = None
    """Let hosts pull images tagged latest; false when left out."""

    allowed_insecure: Annotated[
        Items[Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^,\x00-\x20\x7f]+$")]] | None,
        Field(max_length=64),
    ] = None
    """Registries that hosts may reach over plain HTTP."""

    policy_service: PolicyService | None = None
    """The lattice's policy service."""

    secrets_topic_prefix: Subject | None = None
    """Prefix of the subjects on which hosts ask secrets backends (hosts from 1.1 on)."""

    max_linear_memory_bytes: Annotated[StrictInt | None, Field(ge=65536, le=2**63 - 1)] = None
    """Largest linear memory of a component, in bytes (hosts from 1.2 on)."""

    observability: Observability | None = None
    """OpenTelemetry export."""

    certificates: Certificates | None = None
    """Certificates that the hosts trust."""

    probes: Probes | None = None
    """Probes of the hosts."""

    daemonset: StrictBool | None = None
    """The same as schedulingOptions.daemonset."""

    pod_metadata: PodMetadata | None = None
    """Labels and annotations of the host pods besides the operator's own."""

    service_account: ServiceAccountOptions | None = None
    """The ServiceAccount of the host pods."""

    scheduling_options: SchedulingOptions | None = None
    """How and where the host pods run."""

    rollout: Rollout | None = None
    """What a new host pod waits for before it counts as ready."""

    pod_disruption_budget: DisruptionBudget | None = None
    """A PodDisruptionBudget for the host pods; from two replicas on, one pod at a time may go when left out.

    For a DaemonSet none when left out, and only minAvailable as a number."""

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        inner = self.scheduling_options.daemonset if self.scheduling_options is not None else None
        if self.daemonset is not None and inner is not None and self.daemonset != inner:
            raise ValueError(_ONE_DAEMONSET)
        if self.issuers and self.secret_name is None and re.match(_BEFORE_1_0, self.version):
            raise ValueError(_ISSUERS_NEED_SECRET)
        budget = self.pod_disruption_budget
        if budget is not None and self.as_daemonset and not budget.fits_a_daemonset:
            raise ValueError(_DAEMONSET_BUDGET)
        if (self.leaf_node_domain or "leaf") == (self.jetstream_domain or "default"):
            raise ValueError(_TWO_DOMAINS)
        return self

    @property
    def as_daemonset(self) -> bool:
        """Whether the hosts run as a DaemonSet, by either of the two fields."""
        scheduling = self.scheduling_options
        return bool(self.daemonset or (scheduling and scheduling.daemonset))


class WasmCloudHostConfig(Resource):
    """A pool of wasmCloud hosts that run in pods and join one lattice."""

    GROUP: ClassVar[str] = "k8s.wasmcloud.dev"
    VERSION: ClassVar[str] = "v1alpha1"
    KIND: ClassVar[str] = "WasmCloudHostConfig"
    PLURAL: ClassVar[str] = "wasmcloudhostconfigs"

    model_config = ConfigDict(
        json_schema_extra=cel(
            Rule(
                "size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "metadata.name must be usable as the name of a Service: at most 63 lower-case letters, digits and '-',"
                " a letter first",
                ".metadata.name",
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
