"""Labels and annotations that several reconcilers read or write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

IpFamily = Literal["auto", "ipv4", "ipv6"]
IP_FAMILIES: tuple[IpFamily, ...] = get_args(IpFamily)

# As Kubernetes takes the names of namespaces, and those of most other objects (RFC 1123).
NAMESPACE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

# On the children of a host config and on its pods: its name.
INSTANCE_LABEL = "app.kubernetes.io/instance"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "wasmcloud-operator"
MANAGED_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
# Selects the pods of all host configs.
HOST_PODS_SELECTOR = f"app.kubernetes.io/name=wasmcloud,{MANAGED_SELECTOR}"

# In each pod of a pool: the container that is a wasmCloud host.
HOST_CONTAINER = "wasmcloud-host"

# On every object that the operator applies: what was rendered.
FINGERPRINT = "k8s.wasmcloud.dev/fingerprint"

# On an Application: what becomes of its application in wadm when it is deleted.
DELETION_POLICY = "k8s.wasmcloud.dev/deletion-policy"
ORPHAN = "Orphan"
# On an Application, written together with the finalizer: the lattice that it is put in first.
FIRST_PLACE = "k8s.wasmcloud.dev/first-place"

# The readiness gate of host pods.
SERVING_GATE = "k8s.wasmcloud.dev/serving"

PAUSED = "k8s.wasmcloud.dev/paused"
# What a reconcile of something paused waits for.
RESUMPTION = f"the end of the pause (annotation {PAUSED})"
# The reason for waiting with an object that cannot be decoded; the cause is in the log.
UNREADABLE = "a state of the object that can be read"


def users_own(annotations: Mapping[str, str]) -> dict[str, str]:
    """Returns the annotations of an Application without the one that the operator writes there itself."""
    return {name: value for name, value in annotations.items() if name != FIRST_PLACE}


def is_paused(annotations: Mapping[str, str]) -> bool:
    """Whether nothing is to be written for a resource with those annotations."""
    return says(annotations, PAUSED, "true")


def is_orphan(annotations: Mapping[str, str]) -> bool:
    """Whether the application in wadm is to outlive its Application."""
    return says(annotations, DELETION_POLICY, ORPHAN)


def says(annotations: Mapping[str, str], key: str, word: str) -> bool:
    """Whether an annotation has that word, in whichever case: `orphan` is not to cost what `Orphan` keeps."""
    return annotations.get(key, "").lower() == word.lower()
