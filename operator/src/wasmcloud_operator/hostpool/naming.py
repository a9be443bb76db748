"""Names, labels and annotations of a host pool's children."""

from __future__ import annotations

from collections.abc import Mapping

from wasmcloud_operator.kube.objects import ObjectMeta
from wasmcloud_operator.names import FINGERPRINT, INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from wasmcloud_operator_types import WasmCloudHostConfig

# On a Secret of ours, whose values are no part of a fingerprint.
DIGEST = "k8s.wasmcloud.dev/digest"

# The key of the data in the Secret with the pool's checksum key.
CHECKSUM_KEY = "key"

# On the leaf nodes' Service: it was there before this operator, which would not have made it.
ADOPTED = "k8s.wasmcloud.dev/adopted"

# On the ConfigMap: the hub's max_payload where it is not NATS's default, kept for while the hub cannot be asked.
MAX_PAYLOAD = "k8s.wasmcloud.dev/max-payload"

LEAF_CONTAINER = "nats-leaf"

HOST_LABEL_PREFIX = "host-label.k8s.wasmcloud.dev"
CHECKSUM_PREFIX = "checksum.k8s.wasmcloud.dev"


def selector_labels(config: WasmCloudHostConfig) -> dict[str, str]:
    """What selects the pool's pods; immutable in a workload, so these two stay as they have always been."""
    return {"app.kubernetes.io/name": "wasmcloud", INSTANCE_LABEL: _name(config)}


def child_labels(config: WasmCloudHostConfig, component: str) -> dict[str, str]:
    """The labels of a child."""
    return {
        **selector_labels(config),
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "wasmcloud",
        MANAGED_BY_LABEL: MANAGED_BY,
    }


def pod_labels(config: WasmCloudHostConfig) -> dict[str, str]:
    """The labels of the pods: the user's, what selects them, and the host labels under a prefix."""
    own = config.spec.pod_metadata
    labels = {**((own.labels if own else None) or {}), **child_labels(config, "host")}
    labels.update({f"{HOST_LABEL_PREFIX}/{key}": value for key, value in host_labels(config).items()})
    return dict(sorted(labels.items()))


def host_labels(config: WasmCloudHostConfig) -> Mapping[str, str]:
    """The labels of the hosts in the lattice, except the pod's name, which differs from host to host."""
    return dict(sorted({"kubernetes": "true", **(config.spec.host_labels or {})}.items()))


def service_account_name(config: WasmCloudHostConfig) -> str:
    """The ServiceAccount of the pods: an existing one that the spec names, else the pool's own."""
    account = config.spec.service_account
    return (account.name if account is not None else None) or _name(config)


def registry_secret_name(config: WasmCloudHostConfig) -> str:
    """The owned Secret with the user and password of the registry, where there is one only."""
    return f"{_name(config)}-registry"


def checksum_secret_name(config: str) -> str:
    """The owned Secret with the key of the digests in the pods' annotations, for the config of that name."""
    return f"{config}-checksums"


def conf_secret_name(config: WasmCloudHostConfig) -> str:
    """The owned Secret with nats.conf, where that has a password in it."""
    return f"{_name(config)}-nats-conf"


def selector_text(config: WasmCloudHostConfig) -> str:
    """The pod selector as `status.selector` has it."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector_labels(config).items()))


def owner_reference(config: WasmCloudHostConfig) -> dict[str, object]:
    """The reference that makes the garbage collector remove a child with its config."""
    return {
        "apiVersion": config.api_version,
        "kind": config.kind,
        "name": _name(config),
        "uid": config.metadata.uid or "",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _name(config: WasmCloudHostConfig) -> str:
    return config.metadata.name or ""


def is_owned(name: str, uid: str, metadata: ObjectMeta) -> bool:
    """Whether an object belongs to that very config, or bears the marks of that name and belongs to nobody any more."""
    return metadata.belongs_to(uid) or bool(
        not metadata.owner_references
        and metadata.annotations.keys() & {FINGERPRINT, DIGEST}
        and metadata.labels.get(MANAGED_BY_LABEL) == MANAGED_BY
        and metadata.labels.get(INSTANCE_LABEL) == name
    )
