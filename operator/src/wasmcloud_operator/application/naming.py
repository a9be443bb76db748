"""Annotations and the finalizer of Applications, and who writes which part of their status."""

from __future__ import annotations

from collections.abc import Mapping

from wasmcloud_operator import names

UNDEPLOY = "k8s.wasmcloud.dev/undeploy"
DELETION_POLICY = names.DELETION_POLICY
ORPHAN = names.ORPHAN
LATTICE = "k8s.wasmcloud.dev/lattice"
HOST_CONFIG = "k8s.wasmcloud.dev/host-config"
REVISION_HISTORY_LIMIT = "k8s.wasmcloud.dev/revision-history-limit"

# Our annotations that decide what runs and where.
STEERING = (UNDEPLOY, LATTICE, HOST_CONFIG, REVISION_HISTORY_LIMIT)

FINALIZER = "k8s.wasmcloud.dev/application"

DEFAULT_REVISION_HISTORY_LIMIT = 10

# Written by the reconcilers of Services and of placements, as field managers of their own: never sent and never
# compared here.
OTHERS_STATUS_FIELDS = frozenset({"services", "placements", "placementCount"})
OTHERS_CONDITIONS = frozenset({"Exposed"})


def is_undeployed(annotations: Mapping[str, str]) -> bool:
    """Whether the application is to be stored in wadm alone."""
    return names.says(annotations, UNDEPLOY, "true")
