"""What the operator finds when it starts: server version, CRDs, permissions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from wasmcloud_operator.application.coexistence import CrdState, crd_state
from wasmcloud_operator.hostpool.platform import OPENSHIFT_GROUP
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.access import (
    Permission,
    ServerVersion,
    missing_permissions,
    server_version,
    serves,
    serves_group,
)
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.errors import Forbidden
from wasmcloud_operator.kube.resources import (
    CUSTOM_RESOURCE_DEFINITION,
    ENDPOINT_SLICE,
    HTTP_ROUTE,
    INGRESS,
    LEASE,
    NAMESPACE,
    Key,
    Resource,
)
from wasmcloud_operator.permissions import RULES, needed
from wasmcloud_operator.settings import Settings

log = structlog.get_logger()

# Native sidecars are on by default from this minor version of Kubernetes 1.
OLDEST_MINOR = 29

_WATCH_CRDS = tuple(Permission(verb, CUSTOM_RESOURCE_DEFINITION) for verb in ("list", "watch"))


class ServerTooOld(Exception):
    """The API server lacks what the host pods need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The state of the cluster at start. `cluster_id` distinguishes it from others that share a lattice."""

    version: ServerVersion
    cluster_id: str
    applications: CrdState
    missing: tuple[Permission, ...]
    openshift: bool
    may_watch_crds: bool


async def inspect(client: Reader, settings: Settings) -> Findings:
    """Look at the cluster and log what was found. Raises ServerTooOld for Kubernetes before 1.29."""
    version = await server_version(client)
    if (version.major, version.minor) < (1, OLDEST_MINOR):
        raise ServerTooOld(
            f"the API server at {client.host} is {version.text}; the operator needs Kubernetes 1.{OLDEST_MINOR}"
            " or newer (native sidecar containers)"
        )
    host_configs = await serves(client, HOST_CONFIG)
    applications = await crd_state(client)
    wanted = wanted_by(settings)
    missing = await missing_permissions(client, wanted)
    log.info(
        "cluster found",
        server=client.host,
        version=version.text,
        namespaces=list(settings.watch_namespaces) or "all",
        crds={str(HOST_CONFIG): host_configs, str(APPLICATION): applications.served_by},
    )
    if not host_configs:
        log.error(
            "CRD missing; its objects are taken up as soon as it is there",
            crd=str(HOST_CONFIG),
            install="wasmcloud-operator crds | kubectl apply --server-side -f -",
        )
    _log_missing(settings.watch_namespaces, wanted, missing)
    return Findings(
        version=version,
        cluster_id=settings.cluster_id or await _cluster_id(client),
        applications=applications,
        missing=tuple(missing),
        openshift=await serves_group(client, OPENSHIFT_GROUP),
        may_watch_crds=settings.applications and not await missing_permissions(client, _WATCH_CRDS),
    )


class Switches(Protocol):
    """The settings that decide which permissions are needed, and where."""

    @property
    def namespace(self) -> str: ...
    @property
    def watch_namespaces(self) -> tuple[str, ...]: ...
    @property
    def applications(self) -> bool: ...
    @property
    def services(self) -> bool: ...
    @property
    def leader_election(self) -> bool: ...


def wanted_by(settings: Switches) -> list[Permission]:
    """Returns the permissions that an operator with these settings needs: none for what is switched off."""
    off: set[Resource] = set()
    off |= set() if settings.applications else {APPLICATION}
    off |= set() if settings.services else {ENDPOINT_SLICE, INGRESS, HTTP_ROUTE}
    off |= set() if settings.leader_election else {LEASE}
    rules = (rule for rule in RULES if rule.resource not in off)
    return needed(rules, settings.watch_namespaces, settings.namespace)


def _log_missing(watched: Iterable[str], wanted: list[Permission], missing: list[Permission]) -> None:
    """Each by name. A watched namespace in which there is none at all is logged when it is left out (`Scope`)."""
    granted_in = {permission.namespace for permission in wanted if permission not in missing}
    without = set(watched) - granted_in
    for permission in missing:
        if permission.namespace not in without:
            log.error("permission missing; grant it to the operator's service account", permission=str(permission))


async def _cluster_id(client: Reader) -> str:
    """The uid of kube-system, which lives as long as the cluster.

    Where that cannot be read it is made of the API server's URL and certificate authorities: clusters made by kubeadm
    have the same URL.
    """
    try:
        return (await client.get(NAMESPACE, Key("", "kube-system"))).metadata.uid
    except Forbidden:
        log.warning("namespace kube-system cannot be read; set --cluster-id if clusters share a lattice")
        return client.server_identity
