"""How the users of an application steer its Services: annotations, read with every mistake named."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeVar

import msgspec

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.expose import naming
from wasmcloud_operator.names import NAMESPACE_NAME, OBJECT_NAME
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem

_V = TypeVar("_V")

SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")

# As Kubernetes checks them: what it refuses of one annotation would keep the whole object from being changed.
_LONGEST_SUBDOMAIN = 253
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_IP_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
ANY_HOST = "*"
OWN_DOMAIN = "k8s.wasmcloud.dev/"
_TEXTS = 'must be JSON with text as values: {"example.com/key": "value"}'


class Reach(Enum):
    """By what an application is reached from outside the cluster."""

    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    GATEWAY = "Gateway"
    INGRESS = "Ingress"


# What a mistake in an annotation keeps as it is only where one of these is allowed.
_NEEDS: Mapping[str, frozenset[Reach]] = {
    naming.SERVICE_TYPE: frozenset({Reach.NODE_PORT, Reach.LOAD_BALANCER}),
    naming.SERVICE_ANNOTATIONS: frozenset({Reach.NODE_PORT, Reach.LOAD_BALANCER}),
    naming.GATEWAY: frozenset({Reach.GATEWAY}),
    naming.INGRESS_CLASS: frozenset({Reach.INGRESS}),
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """The Gateway that an HTTPRoute attaches to; an empty namespace is the route's own."""

    name: str
    namespace: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an application's annotations ask for; mistakes in them count as not written where nothing is there yet.

    What is there stays as it is: a slip of the pen is not to cost a load balancer. `unread` are those annotations.
    """

    enabled: bool = True
    name: str = ""
    type: str = "ClusterIP"
    annotations: Mapping[str, str] = field(default_factory=dict)
    gateway: Gateway | None = None
    ingress_class: str = ""
    hosts: tuple[str, ...] = ()
    tls_secret: str = ""
    route_annotations: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    """By component; "" for any."""

    problems: tuple[Problem, ...] = ()
    unread: frozenset[str] = frozenset()

    @property
    def keeps_http_route(self) -> bool:
        """Whether an HTTPRoute that is there stays as it is."""
        asked = self.gateway is not None or naming.GATEWAY in self.unread
        return asked and not self.unread.isdisjoint((naming.GATEWAY, naming.HOST, naming.ROUTE_ANNOTATIONS))

    @property
    def keeps_ingress(self) -> bool:
        """Whether an Ingress that is there stays as it is."""
        asked = bool(self.ingress_class) or naming.INGRESS_CLASS in self.unread
        decisive = (naming.INGRESS_CLASS, naming.HOST, naming.TLS_SECRET, naming.ROUTE_ANNOTATIONS)
        return asked and not self.unread.isdisjoint(decisive)

    def within(self, reach: frozenset[Reach], *, where: str = "") -> Options:
        """The options within a reach. With `where`, which names the place that grants more, the rest is a problem."""
        asked = {
            Reach.NODE_PORT: self.type == "NodePort",
            Reach.LOAD_BALANCER: self.type == "LoadBalancer",
            Reach.GATEWAY: self.gateway is not None,
            Reach.INGRESS: bool(self.ingress_class),
        }
        refused = [each for each, wanted in asked.items() if wanted and each not in reach]
        types = {Reach.NODE_PORT, Reach.LOAD_BALANCER}
        not_allowed = tuple(
            Problem(Reason.EXPOSURE_NOT_ALLOWED, "", f"{each.value} is not allowed here: it needs {where}")
            for each in refused
        )
        withheld = {key for key, needed in _NEEDS.items() if not needed & reach}
        return replace(
            self,
            unread=self.unread - withheld,
            type="ClusterIP" if types & set(refused) else self.type,
            annotations=self.annotations if types & reach else {},
            gateway=self.gateway if Reach.GATEWAY in reach else None,
            ingress_class=self.ingress_class if Reach.INGRESS in reach else "",
            problems=(*self.problems, *not_allowed) if where else self.problems,
        )


def read_reach(text: str) -> frozenset[Reach]:
    """What the annotation of a host config allows; names that mean nothing allow nothing."""
    names = {name.strip().lower() for name in text.split(",")}
    return frozenset(each for each in Reach if each.value.lower() in names)


def read_options(annotations: Mapping[str, str]) -> Options:
    """The options in the annotations of an Application or a manifest."""
    problems: list[Problem] = []
    unread: set[str] = set()

    def wrong(key: str, message: str) -> None:
        unread.add(key)
        problems.append(Problem(Reason.INVALID_ANNOTATION, f'metadata.annotations["{key}"]', message))

    def checked(key: str, fits: Callable[[str], object], message: str, default: str = "") -> str:
        value = annotations.get(key, default)
        if value == default or fits(value):
            return value
        wrong(key, message)
        return default

    def parsed(
        key: str, parse: Callable[[str], dict[str, _V] | None], message: str, default: str = "{}"
    ) -> dict[str, _V]:
        value = parse(annotations.get(key, default))
        if value is None:
            wrong(key, message)
        return value or {}

    name = checked(
        naming.SERVICE_NAME,
        naming.is_service_name,
        "must be a name for a Service: a-z, 0-9 and -, a letter first, at most 63 characters",
    )
    one_of = f"must be one of {', '.join(SERVICE_TYPES)}"
    kind = checked(naming.SERVICE_TYPE, SERVICE_TYPES.__contains__, one_of, "ClusterIP")
    extra = parsed(naming.SERVICE_ANNOTATIONS, _extra, _TEXTS)
    gateway = _gateway(annotations.get(naming.GATEWAY, ""))
    if gateway is None and annotations.get(naming.GATEWAY):
        wrong(naming.GATEWAY, "must be name, namespace/name or namespace/name/section")
    ingress_class = checked(naming.INGRESS_CLASS, _is_subdomain, "must be the name of an IngressClass")
    hosts = tuple(dict.fromkeys(host.strip() for host in annotations.get(naming.HOST, "").split(",") if host.strip()))
    if any(host != ANY_HOST and not fits_route(host) for host in hosts):
        wrong(naming.HOST, "must be host names as shop.example.com or *.example.com, separated by commas, or * for any")
        hosts = ()
    tls_secret = checked(naming.TLS_SECRET, _is_subdomain, "must be the name of a Secret")
    of_routes = parsed(naming.ROUTE_ANNOTATIONS, _extra, _TEXTS)
    ports = parsed(naming.HTTP_PORT, _ports, "must be a port, or component=port, separated by commas", "")
    return Options(
        enabled=annotations.get(naming.SERVICE, "true").lower() != "false",
        name=name,
        type=kind,
        annotations=extra,
        gateway=gateway,
        ingress_class=ingress_class,
        hosts=hosts,
        tls_secret=tls_secret,
        route_annotations=of_routes,
        ports=ports,
        problems=tuple(problems),
        unread=frozenset(unread),
    )


def fits_route(host: str) -> bool:
    """Whether a route can name a host."""
    fits = _is_subdomain(host.removeprefix("*.")) and len(host) <= _LONGEST_SUBDOMAIN
    return fits and not _IP_ADDRESS.fullmatch(host)


def _is_subdomain(text: str) -> bool:
    """Whether it is a DNS subdomain, as the names of most objects are."""
    return len(text) <= _LONGEST_SUBDOMAIN and OBJECT_NAME.fullmatch(text) is not None


def _is_key(text: str) -> bool:
    """Whether Kubernetes takes it as the key of an annotation."""
    domain, slash, name = text.rpartition("/")
    return (not slash or _is_subdomain(domain)) and _KEY_NAME.fullmatch(name) is not None


def _ports(text: str) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        component, _, port = entry.rpartition("=")
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535):
            return None
        found[component.strip()] = int(port)
    return found


def read_object(text: str) -> JsonObject | None:
    """The JSON object in the value of an annotation, which users may write; None where it is none."""
    try:
        value = msgspec.json.decode(text)  # unlike json it refuses half a surrogate pair, which no object can have
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _extra(text: str) -> dict[str, str] | None:
    value = read_object(text)
    if value is None:
        return None
    fits = all(
        isinstance(entry, str) and _is_key(key) and not key.startswith(OWN_DOMAIN) for key, entry in value.items()
    )
    return value if fits else None


def _gateway(text: str) -> Gateway | None:
    parts = text.split("/")
    if not 1 <= len(parts) <= 3 or not all(_is_subdomain(part) for part in parts):
        return None
    if len(parts) == 1:
        return Gateway(parts[0])
    if not NAMESPACE_NAME.fullmatch(parts[0]):
        return None
    return Gateway(parts[1], parts[0], parts[2] if len(parts) == 3 else "")
