"""The bodies of Services and routes, ready to be applied: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import ANY_HOST, OWN_DOMAIN, fits_route
from wasmcloud_operator.expose.plan import PlannedService
from wasmcloud_operator.kube.resources import HTTP_ROUTE, INGRESS, SERVICE, Resource
from wasmcloud_operator.lattice.identity import LatticeIdentity
from wasmcloud_operator.manifest.http_endpoints import Endpoint
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem

# No request has other characters in its path, and a route with them is refused as a whole.
_PATH = re.compile(r"/(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*")
# Nor may an Ingress or HTTPRoute have these.
_NO_PATH = re.compile(r"//|/\.{1,2}(?:/|$)|%2f", re.IGNORECASE)
_LONGEST_PATH = 1024
# At the end of a pattern: all that is below the path before it.
_REST = re.compile(r"/\{\*[^{}/]+\}$")
# Gateway API 1.0 takes so many in one rule of an HTTPRoute; any version takes 16 rules.
_MOST_MATCHES = 8

# A Service's first port has its scheme alone as its name.
_FIRST_NAMES = frozenset({"http", "https"})

# What makes two wide-spread ingress controllers speak HTTPS to a Service; others overlook it.
_NGINX_HTTPS = {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"}
_TRAEFIK_HTTPS = {"traefik.ingress.kubernetes.io/service.serversscheme": "https"}


def service(
    planned: PlannedService,
    namespace: str,
    lattice: LatticeIdentity,
    owners: Sequence[JsonObject],
    origin: Mapping[str, str] = MappingProxyType({}),
) -> JsonObject:
    """The Service: selects the pods with its own label, from which Kubernetes makes the EndpointSlices."""
    endpoints = planned.provider.endpoints
    routed = planned.options.ingress_class or planned.options.keeps_ingress
    hints = _TRAEFIK_HTTPS if routed and endpoints[0].scheme == "https" else {}
    spec: JsonObject = {
        "type": planned.options.type,
        "selector": {naming.serves_label(planned.name): "true"},
        "ports": [_port(endpoint, first=number == 0) for number, endpoint in enumerate(endpoints)],
        **_families(endpoints),
    }
    extra = {**hints, **planned.options.annotations, **origin}
    return {**_head(SERVICE, planned, namespace, lattice, owners, extra=extra), "spec": spec}


def as_first_before(planned: PlannedService, live: JsonObject) -> PlannedService:
    """The planned Service with the port that is the first of `live` as its first: to that one its routes lead.

    Where that port is gone, one comes first that was not there beside it.
    """
    first, there = _first_port(live), {port["port"] for port in _ports(live)}
    order = sorted(planned.provider.endpoints, key=lambda one: (one.port != first, one.port in there))
    return replace(planned, provider=replace(planned.provider, endpoints=tuple(order)))


def hides_first(planned: PlannedService, live: JsonObject) -> bool:
    """Whether the port that is the first of `live` cannot be read: its routes stay as they are."""
    return planned.partial and _first_port(live) not in {one.port for one in planned.provider.endpoints}


def with_what_stays(body: JsonObject, live: JsonObject, planned: PlannedService) -> JsonObject:
    """The Service's body, with what `live` has of that which is asked for where it cannot be read."""
    spec, metadata, unread = body["spec"], body["metadata"], planned.options.unread
    if planned.partial:
        known = {port["port"] for port in spec["ports"]}
        ports = [*spec["ports"], *(port for port in _ports(live) if port["port"] not in known)]
        first = _first_port(live) if hides_first(planned, live) else spec["ports"][0]["port"]
        ports.sort(key=lambda port: port["port"] != first)
        spec = {**spec, "ports": [_as_ours(port, first=number == 0) for number, port in enumerate(ports)]}
    if naming.SERVICE_TYPE in unread:
        spec = {**spec, "type": live["spec"].get("type", spec["type"])}
    if naming.SERVICE_ANNOTATIONS in unread:
        there = live["metadata"].get("annotations") or {}
        kept = {key: value for key, value in there.items() if not key.startswith(OWN_DOMAIN)}
        metadata = {**metadata, "annotations": {**kept, **metadata["annotations"]}}
    return {**body, "metadata": metadata, "spec": spec}


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
    hosts = _named_hosts(planned)
    rule: JsonObject = {"backendRefs": [{"name": planned.name, "port": endpoint.port}]}
    rules = [rule]
    if endpoint.mode == "path":
        matches: list[JsonObject] = [
            {"path": {"type": "Exact" if match.exact else "PathPrefix", "value": match.path}}
            for match in _matches(endpoint)
        ]
        starts = range(0, len(matches), _MOST_MATCHES)
        rules = [{**rule, "matches": matches[start : start + _MOST_MATCHES]} for start in starts]
    spec: JsonObject = {"parentRefs": [parent], "rules": rules}
    if hosts:
        spec["hostnames"] = hosts
    return {
        **_head(HTTP_ROUTE, planned, namespace, lattice, owners, extra=planned.options.route_annotations),
        "spec": spec,
    }


def ingress(
    planned: PlannedService, namespace: str, lattice: LatticeIdentity, owners: Sequence[JsonObject]
) -> JsonObject | None:
    """The Ingress of the first endpoint; None unless it is asked for and possible."""
    if not planned.options.ingress_class or not routable(planned):
        return None
    endpoint = planned.provider.endpoints[0]
    backend = {"service": {"name": planned.name, "port": {"number": endpoint.port}}}
    matches = _matches(endpoint) if endpoint.mode == "path" else [PathMatch("/", exact=False)]
    http = {
        "paths": [
            {"path": match.path, "pathType": "Exact" if match.exact else "Prefix", "backend": backend}
            for match in matches
        ]
    }
    hosts = _named_hosts(planned)
    spec: JsonObject = {
        "ingressClassName": planned.options.ingress_class,
        "rules": [{"host": host, "http": http} for host in hosts] or [{"http": http}],
    }
    if planned.options.tls_secret:
        certificate: JsonObject = {"secretName": planned.options.tls_secret}
        spec["tls"] = [{**certificate, "hosts": hosts} if hosts else certificate]
    hints = _NGINX_HTTPS if endpoint.scheme == "https" else {}
    extra = {**hints, **planned.options.route_annotations}
    return {**_head(INGRESS, planned, namespace, lattice, owners, extra=extra), "spec": spec}


def routable(planned: PlannedService) -> bool:
    """Whether there can be a route: without a host it would take everybody's requests, which has to be asked for."""
    endpoint = planned.provider.endpoints[0]
    return bool(planned.options.hosts or _hosts(endpoint)) and (endpoint.mode != "path" or bool(_matches(endpoint)))


def route_problems(planned: PlannedService) -> list[Problem]:
    """The parts of the first endpoint that no route can express, or not as the provider does."""
    endpoint, options = planned.provider.endpoints[0], planned.options
    if not options.gateway and not options.ingress_class:
        return []
    unfit = [route.host for route in endpoint.routes if route.host and not fits_route(_host_name(route.host))]
    problems = [Problem(Reason.INVALID_HOST, "", f"{host!r} can be no host of a route") for host in unfit]
    if not options.hosts and not _hosts(endpoint) and not unfit:
        message = "a route without a host takes everybody's requests: name the host, or * for any host"
        problems.append(Problem(Reason.HOST_MISSING, f'metadata.annotations["{naming.HOST}"]', message))
    if endpoint.mode == "path":
        vague = [route.path for route in endpoint.routes if path_match(route.path) is None]
        message = "matches what no Ingress or HTTPRoute can express: write whole paths, or {*rest} at the end"
        problems += [Problem(Reason.PATH_NOT_ROUTABLE, "", f"path {path!r} {message}") for path in vague]
    if endpoint.scheme == "https" and options.gateway:
        message = f"the provider speaks HTTPS: its Gateway needs a BackendTLSPolicy for Service {planned.name}"
        problems.append(Problem(Reason.HTTPS_BACKEND, f'metadata.annotations["{naming.GATEWAY}"]', message))
    return problems


@dataclass(frozen=True, slots=True)
class PathMatch:
    """A path as a route has it: the whole of it, or a prefix."""

    path: str
    exact: bool


def path_match(path: str) -> PathMatch | None:
    """The provider's pattern as a route can express it: it matches whole paths; None where no route can."""
    literal = _REST.sub("/", path)
    exact = literal == path
    if not _PATH.fullmatch(literal) or _NO_PATH.search(literal) or len(literal) > _LONGEST_PATH:
        return None
    return PathMatch(literal if exact else literal.rstrip("/") or "/", exact)


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
    *,
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
    return _as_ours({"port": endpoint.port, "appProtocol": endpoint.scheme}, first=first)


def _as_ours(port: JsonObject, *, first: bool) -> JsonObject:
    """Returns a port of that number and protocol as a Service of ours has it."""
    scheme, number = port.get("appProtocol", "http"), port["port"]
    name = scheme if first else f"{scheme}-{number}"
    return {"name": name, "port": number, "targetPort": number, "protocol": "TCP", "appProtocol": scheme}


def _ports(live: JsonObject) -> list[JsonObject]:
    return live["spec"].get("ports") or []


def _first_port(live: JsonObject) -> int | None:
    """The number of the port that was made as the first: the one without a number in its name."""
    return next((port["port"] for port in _ports(live) if port.get("name") in _FIRST_NAMES), None)


def _families(endpoints: Iterable[Endpoint]) -> JsonObject:
    """A Service has families as a whole: both only where every port takes both, else one that its ports take.

    What is left out is the cluster's to choose.
    """
    taken = {endpoint.family for endpoint in endpoints}
    if taken == {"Dual"}:
        return {"ipFamilyPolicy": "PreferDualStack"}
    return {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4" if "IPv4" in taken else "IPv6"]}


def _named_hosts(planned: PlannedService) -> list[str]:
    """The hosts that a route names: those asked for, else the provider's own; none for any."""
    asked = planned.options.hosts
    return [] if ANY_HOST in asked else list(asked) or _hosts(planned.provider.endpoints[0])


def _hosts(endpoint: Endpoint) -> list[str]:
    hosts = (_host_name(route.host) for route in endpoint.routes)
    return list(dict.fromkeys(host for host in hosts if fits_route(host)))


def _host_name(host: str) -> str:
    """Without a port, in lower case."""
    return host.partition(":")[0].lower()


def _matches(endpoint: Endpoint) -> list[PathMatch]:
    found = (path_match(route.path) for route in endpoint.routes)
    return list(dict.fromkeys(match for match in found if match is not None))
