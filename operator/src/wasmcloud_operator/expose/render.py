"""The bodies of Services and routes, ready to be applied: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.plan import PlannedService
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.resources import HTTP_ROUTE, INGRESS, SERVICE, Resource
from wasmcloud_operator.lattice.identity import LatticeIdentity
from wasmcloud_operator.manifest.http_endpoints import Endpoint

_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def service(
    planned: PlannedService,
    namespace: str,
    lattice: LatticeIdentity,
    owners: Sequence[JsonObject],
    origin: Mapping[str, str] = MappingProxyType({}),
) -> JsonObject:
    """The Service: it selects the pods with its own label, and Kubernetes makes the EndpointSlices of them."""
    endpoints = planned.provider.endpoints
    spec: JsonObject = {
        "type": planned.options.type,
        "selector": {naming.serves_label(planned.name): "true"},
        "ports": [_port(endpoint, first=number == 0) for number, endpoint in enumerate(endpoints)],
        **_families(endpoints),
    }
    extra = {**planned.options.annotations, **origin}
    return {**_head(SERVICE, planned, namespace, lattice, owners, extra), "spec": spec}


def http_route(
    planned: PlannedService, namespace: str, lattice: LatticeIdentity, owners: Sequence[JsonObject]
) -> JsonObject | None:
    """The HTTPRoute (Gateway API v1) of the first endpoint; None unless it is asked for and possible."""
    gateway = planned.options.gateway
    if gateway is None or not routable(planned):
        return None
    parent: JsonObject = {"name": gateway.name}
    if gateway.namespace:
        parent["namespace"] = gateway.namespace
    if gateway.section:
        parent["sectionName"] = gateway.section
    endpoint = planned.provider.endpoints[0]
    hosts = _hosts(endpoint)
    rule: JsonObject = {"backendRefs": [{"name": planned.name, "port": endpoint.port}]}
    paths = _paths(endpoint)
    if paths:
        rule["matches"] = [{"path": {"type": "PathPrefix", "value": path}} for path in paths]
    spec: JsonObject = {"parentRefs": [parent], "rules": [rule]}
    if hosts:
        spec["hostnames"] = hosts
    return {**_head(HTTP_ROUTE, planned, namespace, lattice, owners), "spec": spec}


def ingress(
    planned: PlannedService, namespace: str, lattice: LatticeIdentity, owners: Sequence[JsonObject]
) -> JsonObject | None:
    """The Ingress of the first endpoint; None unless it is asked for and possible."""
    if not planned.options.ingress_class or not routable(planned):
        return None
    endpoint = planned.provider.endpoints[0]
    backend = {"service": {"name": planned.name, "port": {"number": endpoint.port}}}
    http = {"paths": [{"path": path, "pathType": "Prefix", "backend": backend} for path in _paths(endpoint) or ["/"]]}
    rules = [{"host": host, "http": http} for host in _hosts(endpoint)] or [{"http": http}]
    spec = {"ingressClassName": planned.options.ingress_class, "rules": rules}
    return {**_head(INGRESS, planned, namespace, lattice, owners), "spec": spec}


def routable(planned: PlannedService) -> bool:
    """Whether there can be a route: without a host that it may name, it would take everybody's requests."""
    endpoint = planned.provider.endpoints[0]
    return bool(_hosts(endpoint)) or not any(route.host for route in endpoint.routes)


def unfit_hosts(planned: PlannedService) -> list[str]:
    """The hosts of the first endpoint that no route can name."""
    hosts = (route.host for route in planned.provider.endpoints[0].routes)
    return [host for host in hosts if host and not _HOST.fullmatch(_host_name(host))]


def urls(planned: PlannedService, namespace: str) -> tuple[str, ...]:
    """The addresses of the Service inside the cluster."""
    return tuple(
        f"{endpoint.scheme}://{planned.name}.{namespace}.svc:{endpoint.port}" for endpoint in planned.provider.endpoints
    )


def owner(api_version: str, kind: str, name: str, uid: str, *, controller: bool) -> JsonObject:
    """An owner reference; a Service may have several host configs as owners, and only one owner as controller."""
    reference: JsonObject = {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}
    return {**reference, "controller": True} if controller else reference


def _head(
    resource: Resource,
    planned: PlannedService,
    namespace: str,
    lattice: LatticeIdentity,
    owners: Sequence[JsonObject],
    extra: Mapping[str, str] = MappingProxyType({}),
) -> JsonObject:
    annotations = {
        **extra,
        naming.APPLICATION: planned.application,
        naming.COMPONENT: planned.provider.component,
        naming.LATTICE: lattice.name,
        naming.LATTICE_ID: lattice.id,
    }
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": planned.name,
            "namespace": namespace,
            "labels": naming.labels(planned.name),
            "annotations": annotations,
            "ownerReferences": list(owners),
        },
    }


def _port(endpoint: Endpoint, *, first: bool) -> JsonObject:
    return {
        "name": endpoint.scheme if first else f"{endpoint.scheme}-{endpoint.port}",
        "port": endpoint.port,
        "targetPort": endpoint.port,
        "protocol": "TCP",
        "appProtocol": endpoint.scheme,
    }


def _families(endpoints: Iterable[Endpoint]) -> JsonObject:
    """A Service has families as a whole: both only where every port takes both, else one that its ports take.

    What is not said is the cluster's to choose.
    """
    taken = {endpoint.family for endpoint in endpoints}
    if taken == {"Dual"}:
        return {"ipFamilyPolicy": "PreferDualStack"}
    return {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4" if "IPv4" in taken else "IPv6"]}


def _hosts(endpoint: Endpoint) -> list[str]:
    hosts = (_host_name(route.host) for route in endpoint.routes)
    return list(dict.fromkeys(host for host in hosts if _HOST.fullmatch(host)))


def _host_name(host: str) -> str:
    """Without a port, in lower case."""
    return host.partition(":")[0].lower()


def _paths(endpoint: Endpoint) -> list[str]:
    return list(dict.fromkeys(route.path for route in endpoint.routes if route.path.startswith("/")))
