"""From a manifest to the HTTP endpoints that its providers open: pure, and lenient towards what wadm takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from wasmcloud_operator.manifest.http_listener import Family, Listener, Scheme, UnusableSettings, listener, readable
from wasmcloud_operator.manifest.walking import (
    Daemons,
    Object,
    Placed,
    application_of,
    behind,
    component_id,
    components_of,
    daemons_of,
    id_of,
    items,
    links_of,
    mapping,
    place_on,
    shared_name,
    target_of,
)
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem

Mode = Literal["address", "path", "host"]

# What listens in every pod of a host pool, beside the host.
POD_PORTS: Mapping[int, str] = {4222: "the NATS leaf node", 8222: "the NATS leaf node's monitoring"}


_IMAGE_NAME = "http-server"
_NAME_IT = "name it with the annotation k8s.wasmcloud.dev/http-port"
_BUILTIN = "wasmcloud+builtin://http-server"


@dataclass(frozen=True, slots=True)
class Route:
    """What of an endpoint's requests a link takes: all, those for a host, or those below a path."""

    host: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A port that a provider listens on. `links` names the links behind it, `routes` their hosts and paths."""

    port: int
    scheme: Scheme
    family: Family
    mode: Mode
    links: tuple[str, ...]
    routes: tuple[Route, ...] = (Route(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProvider:
    """A provider that serves HTTP: how it is known in the lattice, and its endpoints in the order of the manifest; none
    where its settings cannot be read.

    `application` runs it: another than the manifest's for a shared provider. `daemons` are the host
    labels that its daemonscalers require, one entry for each spread.
    """

    component: str
    application: str
    id: str
    endpoints: tuple[Endpoint, ...]
    daemons: Daemons = ()
    path: str = ""
    """Of the component, in the manifest."""

    behind: tuple[Placed, ...] = ()
    """What its requests need, as far as daemonscalers place it."""

    local: frozenset[str] = frozenset()
    """The ids of the components that requests go to, if it serves them with components of its own host alone."""

    def belongs_on(self, labels: Mapping[str, str]) -> bool:
        """Whether a daemonscaler places it on each host with these labels."""
        return place_on(self.daemons, labels)


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


def shared_applications(manifest: Object) -> frozenset[str]:
    """The applications whose providers the manifest's HTTP links start at."""
    return frozenset(
        str(shared.get("name", ""))
        for _, component in components_of(manifest)
        if (shared := mapping(mapping(component.get("properties")).get("application")))
        and any(_is_http(link) for _, link in links_of(component, ""))
    ) - {""}


def pod_port_problems(provider: HttpProvider, pod_ports: Mapping[int, str] = POD_PORTS) -> list[Problem]:
    """The endpoints of a provider that are somebody else's in the pod."""
    return [
        Problem(
            Reason.PORT_RESERVED,
            provider.path,
            f"port {endpoint.port} is that of {pod_ports[endpoint.port]} in the pod",
        )
        for endpoint in provider.endpoints
        if endpoint.port in pod_ports
    ]


def http_servers(manifest: Object) -> frozenset[str]:
    """The names of the components of a manifest that serve HTTP, whatever their settings are."""
    return frozenset(
        str(component["name"])
        for _, component in components_of(manifest)
        if component.get("type") == "capability" and any(_is_http(link) for _, link in links_of(component, ""))
    )


def external_configs(manifest: Object, manifests: Mapping[str, Object | None] | None = None) -> frozenset[str]:
    """The configurations that the HTTP providers of the manifest use and that exist in the lattice already."""
    names: set[str] = set()
    for _, component in components_of(manifest):
        source = _source(manifest, component, Externals(manifests=manifests or {}))
        links = [_link_configs(link) for _, link in links_of(component, "") if _is_http(link)]
        if source is not None and (source.known or links):
            for configs in (items(source.properties.get("config")), *links):
                names.update(str(entry["name"]) for entry in configs if entry.get("properties") is None)
    return frozenset(names)


def exposure(manifest: Object, externals: Externals = Externals()) -> Exposure:
    """The HTTP endpoints of a manifest as wadm stores it."""
    providers: list[HttpProvider] = []
    problems: list[Problem] = []
    for path, component in components_of(manifest):
        shared = shared_name(component)
        if shared and externals.manifests.get(shared) is None and shared in shared_applications(manifest):
            problems.append(Problem(Reason.SHARED_APPLICATION_MISSING, path, f"application {shared} is not deployed"))
            continue
        source = _source(manifest, component, externals)
        if source is None or not (source.known or any(_is_http(link) for _, link in links_of(component, path))):
            continue
        found = _Reading(path, source, component, externals, problems)
        endpoints = found.endpoints()
        if endpoints or found.linked:
            name = str(component["name"])
            providers.append(
                HttpProvider(
                    component=name,
                    application=source.application,
                    id=source.id,
                    endpoints=endpoints,
                    daemons=source.daemons,
                    path=path,
                    behind=behind(manifest, component),
                    local=_targets(manifest, component) if source.builtin else frozenset(),
                )
            )
    return Exposure(tuple(providers), tuple(problems))


@dataclass(frozen=True, slots=True)
class _Source:
    """The component that really runs: the manifest's own, or a shared application's."""

    application: str
    id: str
    properties: Object
    daemons: Daemons

    @property
    def known(self) -> bool:
        """Whether its image is an http-server; any other component serves HTTP only if a link shows it."""
        return _is_http_server(self.properties.get("image"))

    @property
    def builtin(self) -> bool:
        """Whether the host itself serves: it speaks plain HTTP, and reads less than the provider of its own."""
        return self.properties.get("image") == _BUILTIN


def _targets(manifest: Object, component: Object) -> frozenset[str]:
    """The ids of the components behind its HTTP links; none where any is missing from the manifest."""
    own = {str(each["name"]): each for _, each in components_of(manifest) if not shared_name(each)}
    names = [target_of(link) for _, link in links_of(component, "") if _is_http(link)]
    return frozenset(id_of(manifest, own[name]) for name in names) if own.keys() >= set(names) else frozenset()


def _source(manifest: Object, component: Object, externals: Externals) -> _Source | None:
    """The provider that a component stands for, if it does."""
    application = application_of(manifest)
    shared = shared_name(component)
    if shared:
        wanted = mapping(mapping(component.get("properties")).get("application")).get("component")
        other = externals.manifests.get(shared) or {}
        component = next((each for _, each in components_of(other) if each.get("name") == wanted), {})
        application = shared
    properties = mapping(component.get("properties"))
    if component.get("type") != "capability":
        return None
    name = str(component.get("name", ""))
    own_id = str(properties.get("id") or component_id(application, name))
    return _Source(application, own_id, properties, tuple(daemons_of(component)))


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
        return any(_is_http(link) for _, link in links_of(self.component, self.path))

    def endpoints(self) -> tuple[Endpoint, ...]:
        config = self._merged(items(self.source.properties.get("config")), f"{self.path}.properties.config")
        if config is None:
            return ()
        mode = config.get("routing_mode", "address").lower()
        if mode not in ("address", "path", "host"):
            self._problem(
                Reason.INVALID_SETTINGS, "properties.config", f"routing_mode {mode!r} is none of address, path, host"
            )
            return ()
        links = [(at, link) for at, link in links_of(self.component, self.path) if _is_http(link)]
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
                self._problem(
                    Reason.INVALID_SETTINGS, "", f"needs {mode} in its configuration", at=f"{at}.source.config"
                )
                continue
            names.append(_link_name(link))
            routes.append(_route(mode, value, config))
        return (_endpoint(opened, mode, tuple(names), tuple(routes)),)

    def _opened(self, config: Mapping[str, str], default: str | None, at: str) -> Listener | None:
        if not self.source.known and not default and not readable(config):
            image = self.source.properties.get("image")
            self.problems.append(
                Problem(Reason.PORT_UNKNOWN, self.path, f"{image!r} serves HTTP on an unknown port: {_NAME_IT}")
            )
            return None
        try:
            opened = listener(config, default)
        except UnusableSettings as error:
            self._problem(Reason.INVALID_SETTINGS, "", str(error), at=at)
            return None
        if opened.address.loopback:
            message = f"{opened.address.host}:{opened.address.port} is reached from inside the pod only: use 0.0.0.0"
            self._problem(Reason.LOOPBACK, "", message, at=at)
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
                    self._problem(
                        Reason.CONFIG_MISSING if known else Reason.CONFIG_UNKNOWN, "", f"{name!r} {why}", at=at
                    )
                    return None
            merged |= {key: str(value) for key, value in mapping(properties).items() if value is not None}
        return merged

    def _problem(self, reason: Reason, where: str, message: str, *, at: str = "") -> None:
        self.problems.append(Problem(reason, at or f"{self.path}.{where}", message))


def _route(mode: Literal["path", "host"], value: str, config: Mapping[str, str]) -> Route:
    """What a link takes; where it distinguishes hosts by another header than Host, nothing outside can know."""
    if mode == "path":
        return Route(path=value)
    return Route(host=value) if config.get("header", "host").lower() == "host" else Route()


def _endpoint(opened: Listener, mode: Mode, links: tuple[str, ...], routes: tuple[Route, ...]) -> Endpoint:
    return Endpoint(
        port=opened.address.port,
        scheme=opened.scheme,
        family=opened.address.family,
        mode=mode,
        links=links,
        routes=routes,
    )


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
    return items(mapping(source).get("config") if source is not None else link.get("source_config"))


def _link_name(link: Object) -> str:
    return str(link.get("name") or "default")
