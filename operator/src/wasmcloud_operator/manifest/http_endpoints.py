"""From a manifest to the HTTP endpoints that its providers open: pure, and lenient towards what wadm takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wasmcloud_operator.manifest.http_listener import Listener, Scheme, UnusableSettings, listener, readable
from wasmcloud_operator.shared.problem import Problem

# Any with a reason: JSON documents; what is taken out of them is checked where it is taken.
Object = Mapping[str, Any]
Mode = Literal["address", "path", "host"]
Family = Literal["IPv4", "IPv6", "Dual"]

# What listens in every pod of a host pool, beside the host.
POD_PORTS: Mapping[int, str] = {4222: "the NATS leaf node", 8222: "the NATS leaf node's monitoring"}

PORT_UNKNOWN = "PortUnknown"

_IMAGE_NAME = "http-server"
_NAME_IT = "name it with the annotation k8s.wasmcloud.dev/http-port"
_BUILTIN = "wasmcloud+builtin://http-server"


@dataclass(frozen=True, slots=True)
class Route:
    """What of an endpoint's requests a link takes: all, those for a host, or those below a path."""

    host: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port that a provider listens on. `links` are the names of those behind it, `routes` what they take."""

    port: int
    scheme: Scheme
    family: Family
    mode: Mode
    links: tuple[str, ...]
    routes: tuple[Route, ...] = (Route(),)


@dataclass(frozen=True, slots=True)
class HttpProvider:
    """A provider that serves HTTP: how it is known in the lattice, and its endpoints in the order of the manifest; none
    where its settings cannot be read.

    `application` is the one that runs it: another than the manifest's for a shared provider. `daemons` are the host
    labels that its daemonscalers require, one entry for each spread.
    """

    component: str
    application: str
    id: str
    endpoints: tuple[Endpoint, ...]
    daemons: tuple[frozenset[tuple[str, str]], ...] = ()
    path: str = ""
    """Of the component, in the manifest."""

    def belongs_on(self, labels: Mapping[str, str]) -> bool:
        """Whether a daemonscaler places it on each host with these labels; a spreadscaler promises no host anything."""
        return any(required <= labels.items() for required in self.daemons)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a manifest offers over HTTP, and what is wrong with it."""

    providers: tuple[HttpProvider, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Externals:
    """What a manifest refers to: configurations of the lattice (None: not set) and manifests of shared applications.

    A name that is missing here could not be looked up.
    """

    configs: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    manifests: Mapping[str, Object | None] = field(default_factory=dict)


def component_id(application: str, component: str) -> str:
    """The id that wadm assigns to a component that declares none."""
    return "-".join(re.sub(r"[^0-9a-z]", "_", name.lower()) for name in (application, component))


def shared_applications(manifest: Object) -> frozenset[str]:
    """The applications whose providers the manifest's HTTP links start at."""
    return frozenset(
        str(shared.get("name", ""))
        for _, component in _components(manifest)
        if (shared := _map(_map(component.get("properties")).get("application")))
        and any(_is_http(link) for _, link in _links(component, ""))
    ) - {""}


def pod_port_problems(provider: HttpProvider, pod_ports: Mapping[int, str] = POD_PORTS) -> list[Problem]:
    """The endpoints of a provider that are somebody else's in the pod."""
    return [
        Problem("PortReserved", provider.path, f"port {endpoint.port} is that of {pod_ports[endpoint.port]} in the pod")
        for endpoint in provider.endpoints
        if endpoint.port in pod_ports
    ]


def http_servers(manifest: Object) -> frozenset[str]:
    """The names of the components of a manifest that serve HTTP, whatever their settings are."""
    return frozenset(
        str(component["name"])
        for _, component in _components(manifest)
        if component.get("type") == "capability" and any(_is_http(link) for _, link in _links(component, ""))
    )


def external_configs(manifest: Object, manifests: Mapping[str, Object | None] | None = None) -> frozenset[str]:
    """The configurations that the HTTP providers of the manifest use and that exist in the lattice already."""
    names: set[str] = set()
    for _, component in _components(manifest):
        source = _source(manifest, component, Externals(manifests=manifests or {}))
        links = [_link_configs(link) for _, link in _links(component, "") if _is_http(link)]
        if source is not None and (source.known or links):
            for configs in (_items(source.properties.get("config")), *links):
                names.update(str(entry["name"]) for entry in configs if entry.get("properties") is None)
    return frozenset(names)


def exposure(manifest: Object, externals: Externals = Externals()) -> Exposure:
    """The HTTP endpoints of a manifest as wadm stores it."""
    providers: list[HttpProvider] = []
    problems: list[Problem] = []
    for path, component in _components(manifest):
        shared = _shared_name(component)
        if shared and externals.manifests.get(shared) is None and shared in shared_applications(manifest):
            problems.append(Problem("SharedApplicationMissing", path, f"application {shared} is not deployed"))
            continue
        source = _source(manifest, component, externals)
        if source is None or not (source.known or any(_is_http(link) for _, link in _links(component, path))):
            continue
        found = _Reading(path, source, component, externals, problems)
        endpoints = found.endpoints()
        if endpoints or found.linked:
            name = str(component["name"])
            providers.append(HttpProvider(name, source.application, source.id, endpoints, source.daemons, path))
    return Exposure(tuple(providers), tuple(problems))


@dataclass(frozen=True, slots=True)
class _Source:
    """The component that really runs: the manifest's own, or that of a shared application."""

    application: str
    id: str
    properties: Object
    daemons: tuple[frozenset[tuple[str, str]], ...]

    @property
    def known(self) -> bool:
        """Whether its image is an http-server; any other component serves HTTP only if a link shows it."""
        return _is_http_server(self.properties.get("image"))

    @property
    def builtin(self) -> bool:
        """Whether the host itself serves: it speaks plain HTTP, and reads less than the provider of its own."""
        return self.properties.get("image") == _BUILTIN


def _source(manifest: Object, component: Object, externals: Externals) -> _Source | None:
    """The provider that a component stands for, if it does."""
    application = _name(manifest)
    shared = _shared_name(component)
    if shared:
        wanted = _map(_map(component.get("properties")).get("application")).get("component")
        other = externals.manifests.get(shared) or {}
        component = next((each for _, each in _components(other) if each.get("name") == wanted), {})
        application = shared
    properties = _map(component.get("properties"))
    if component.get("type") != "capability":
        return None
    name = str(component.get("name", ""))
    own_id = str(properties.get("id") or component_id(application, name))
    return _Source(application, own_id, properties, tuple(_daemons(component)))


def _daemons(component: Object) -> Iterator[frozenset[tuple[str, str]]]:
    """The labels that each spread of the component's daemonscalers requires; without a spread it goes everywhere."""
    for scaler in _maps(component.get("traits")):
        if scaler.get("type") == "daemonscaler":
            for spread in list(_maps(_map(scaler.get("properties")).get("spread"))) or [{}]:
                required = _map(spread.get("requirements"))
                yield frozenset((str(key), str(value)) for key, value in required.items())


@dataclass(slots=True)
class _Reading:
    """One provider's configuration, read into endpoints; what is wrong goes to `problems`."""

    path: str
    source: _Source
    component: Object
    externals: Externals
    problems: list[Problem]

    @property
    def linked(self) -> bool:
        """Whether it is to serve somebody."""
        return any(_is_http(link) for _, link in _links(self.component, self.path))

    def endpoints(self) -> tuple[Endpoint, ...]:
        config = self._merged(_items(self.source.properties.get("config")), f"{self.path}.properties.config")
        if config is None:
            return ()
        mode = config.get("routing_mode", "address").lower()
        if mode not in ("address", "path", "host"):
            self._problem(
                "InvalidSettings", "properties.config", f"routing_mode {mode!r} is none of address, path, host"
            )
            return ()
        links = [(at, link) for at, link in _links(self.component, self.path) if _is_http(link)]
        if mode == "address":
            return self._by_address(links, config)
        return self._by_route(links, config, "path" if mode == "path" else "host")

    def _by_address(self, links: Sequence[tuple[str, Object]], config: Mapping[str, str]) -> tuple[Endpoint, ...]:
        """Each link opens its address; links may share one."""
        found: list[Endpoint] = []
        for at, link in links:
            own = self._merged(_link_configs(link), f"{at}.source.config")
            if own is None:
                continue
            opened = self._opened(own, config.get("default_address"), f"{at}.source.config")
            if opened is not None:
                found.append(_endpoint(opened, "address", (_link_name(link),), (Route(),)))
        return _shared_ports(found)

    def _by_route(
        self, links: Sequence[tuple[str, Object]], config: Mapping[str, str], mode: Literal["path", "host"]
    ) -> tuple[Endpoint, ...]:
        """One listener for all links."""
        read = {"address": config.get("default_address", "")} if self.source.builtin else config
        opened = self._opened(read, config.get("default_address"), f"{self.path}.properties.config")
        if opened is None:
            return ()
        names: list[str] = []
        routes: list[Route] = []
        for at, link in links:
            own = self._merged(_link_configs(link), f"{at}.source.config")
            if own is None:
                continue
            value = own.get(mode)
            if not value:
                self._problem("InvalidSettings", "", f"needs {mode} in its configuration", at=f"{at}.source.config")
                continue
            names.append(_link_name(link))
            routes.append(_route(mode, value, config))
        return (_endpoint(opened, mode, tuple(names), tuple(routes)),)

    def _opened(self, config: Mapping[str, str], default: str | None, at: str) -> Listener | None:
        if not self.source.known and not default and not readable(config):
            image = self.source.properties.get("image")
            self.problems.append(
                Problem(PORT_UNKNOWN, self.path, f"{image!r} serves HTTP on an unknown port: {_NAME_IT}")
            )
            return None
        try:
            opened = listener(config, default)
        except UnusableSettings as error:
            self._problem("InvalidSettings", "", str(error), at=at)
            return None
        if opened.address.loopback:
            message = f"{opened.address.host}:{opened.address.port} is reached from inside the pod only: use 0.0.0.0"
            self._problem("Loopback", "", message, at=at)
            return None
        return replace(opened, scheme="http") if self.source.builtin else opened

    def _merged(self, configs: Iterable[Object], at: str) -> dict[str, str] | None:
        """The configurations as the host merges them; None when one of them is not known."""
        merged: dict[str, str] = {}
        for entry in configs:
            name = str(entry["name"])
            properties = entry.get("properties")
            if properties is None:
                properties = self.externals.configs.get(name)
                if properties is None:
                    known = name in self.externals.configs
                    why = "is not set in the lattice: put it there" if known else "cannot be read: no host answers"
                    self._problem("ConfigMissing" if known else "ConfigUnknown", "", f"{name!r} {why}", at=at)
                    return None
            merged |= {key: str(value) for key, value in _map(properties).items()}
        return merged

    def _problem(self, reason: str, where: str, message: str, *, at: str = "") -> None:
        self.problems.append(Problem(reason, at or f"{self.path}.{where}", message))


def _route(mode: Literal["path", "host"], value: str, config: Mapping[str, str]) -> Route:
    """What a link takes; where it distinguishes hosts by another header than Host, nothing outside can know."""
    if mode == "path":
        return Route(path=value)
    return Route(host=value) if config.get("header", "host").lower() == "host" else Route()


def _endpoint(opened: Listener, mode: Mode, links: tuple[str, ...], routes: tuple[Route, ...]) -> Endpoint:
    return Endpoint(opened.address.port, opened.scheme, opened.address.family, mode, links, routes)


def _shared_ports(found: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """One endpoint a port, in the order of the first of each."""
    by_port: dict[int, Endpoint] = {}
    for endpoint in found:
        known = by_port.setdefault(endpoint.port, endpoint)
        if known is not endpoint:
            family = known.family if known.family == endpoint.family else "Dual"
            by_port[endpoint.port] = replace(known, family=family, links=(*known.links, *endpoint.links))
    return tuple(by_port.values())


def _is_http_server(image: object) -> bool:
    """`…/http-server:tag` of any registry, with or without tag and digest, or the host's builtin one."""
    if not isinstance(image, str):
        return False
    if image == _BUILTIN:
        return True
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[0] == _IMAGE_NAME


def _is_http(link: Object) -> bool:
    interfaces = link.get("interfaces")
    return (
        (link.get("namespace"), link.get("package")) == ("wasi", "http")
        and isinstance(interfaces, Sequence)
        and "incoming-handler" in interfaces
    )


def _link_configs(link: Object) -> Iterator[Object]:
    """`source` wins over the deprecated `source_config`; null is as good as left out, as everywhere."""
    source = link.get("source")
    return _items(_map(source).get("config") if source is not None else link.get("source_config"))


def _link_name(link: Object) -> str:
    return str(link.get("name") or "default")


def _links(component: Object, path: str) -> Iterator[tuple[str, Object]]:
    traits = component.get("traits")
    for index, trait in enumerate(traits if isinstance(traits, Sequence) else ()):
        if isinstance(trait, Mapping) and trait.get("type") == "link":
            yield f"{path}.traits[{index}].properties", _map(trait.get("properties"))


def _components(manifest: Object) -> Iterator[tuple[str, Object]]:
    components = _map(manifest.get("spec")).get("components")
    for index, component in enumerate(components if isinstance(components, Sequence) else ()):
        if isinstance(component, Mapping) and isinstance(component.get("name"), str):
            yield f"spec.components[{index}]", component


def _shared_name(component: Object) -> str:
    return str(_map(_map(component.get("properties")).get("application")).get("name") or "")


def _name(manifest: Object) -> str:
    return str(_map(manifest.get("metadata")).get("name", ""))


def _items(value: object) -> Iterator[Object]:
    return (entry for entry in _maps(value) if isinstance(entry.get("name"), str))


def _maps(value: object) -> Iterator[Object]:
    for entry in value if isinstance(value, Sequence) and not isinstance(value, str) else ():
        if isinstance(entry, Mapping):
            yield entry


def _map(value: object) -> Object:
    return value if isinstance(value, Mapping) else {}
