"""From what an application offers to the Services that lead to it: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import Options
from wasmcloud_operator.kube.objects import ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.manifest.http_endpoints import (
    POD_PORTS,
    Endpoint,
    Exposure,
    HttpProvider,
    pod_port_problems,
)
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a deployed application: its version in wadm, what it offers, and where it comes from.

    `owner` is the Application of this cluster that it was made from, None when it was deployed by other means.
    `annotations` are the manifest's. `configs` and `shared` are the lattice's configurations and the applications that
    the manifest refers to.
    """

    application: str
    version: str
    exposure: Exposure
    owner: Key | None = None
    annotations: Mapping[str, str] | None = None
    configs: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    @property
    def certain(self) -> bool:
        """Whether everything that the manifest refers to could be looked up."""
        return not any(problem.reason is Reason.CONFIG_UNKNOWN for problem in self.exposure.problems)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Service leads to: an application in a lattice. `lattice_id` distinguishes lattices of one name."""

    application: str
    lattice_id: str
    lattice: str = field(default="", compare=False)
    """The lattice's name."""

    home: str = field(default="", compare=False)
    """The namespace of the Application that wants it; empty where none does."""


def claim_of(metadata: ObjectMeta) -> Claim:
    """The claim that a Service of ours carries; of empty texts for one of the Rust operator."""
    annotations = metadata.annotations
    return Claim(
        annotations.get(naming.APPLICATION, ""),
        annotations.get(naming.LATTICE_ID, ""),
        annotations.get(naming.LATTICE, ""),
        annotations.get(naming.APPLICATION_NAMESPACE, ""),
    )


@dataclass(frozen=True, slots=True)
class PlannedService:
    """A Service that is to be, in every namespace with hosts of the lattice, for one provider of an application."""

    name: str
    application: str
    provider: HttpProvider
    options: Options
    partial: bool = False
    """Whether it has further ports that cannot be read: those that are there stay."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An application's Services, and what is wrong with its annotations or its manifest."""

    services: tuple[PlannedService, ...] = ()
    problems: tuple[Problem, ...] = ()


def plan(
    record: Record,
    options: Options,
    held: Mapping[str, str] | None = None,
    reserved: Collection[str] = (),
    pod_ports: Mapping[int, str] = POD_PORTS,
) -> Plan:
    """The Services of an application.

    A component keeps the Service that leads to it: `held` has their names by component. Of the others the first has the
    application's name if it is free, all others also the component's: hosts that run one of them need not run the
    other. Where that name has changed, it is for the component that had the former one. `reserved` are names of
    Services that are kept for components which are not deployed now.
    No Service leads to `pod_ports`: others listen there in a host's pod.
    """
    if not options.enabled:
        return Plan()
    base = options.name or record.application
    names = {
        component: name
        for component, name in (held or {}).items()
        if naming.SERVICE_NAME in options.unread or name in naming.service_names(base, component)
    }
    offered = {provider.component for provider in record.exposure.providers}
    taken = {name for component, name in names.items() if component in offered} | set(reserved)
    heir = _first_of(held or {})
    heir = heir if heir in offered and heir not in names else None
    services = []
    problems = [*record.exposure.problems, *options.problems]
    for declared in record.exposure.providers:
        own, further = naming.service_names(base, declared.component)
        free = own not in taken and heir in (None, declared.component)
        name = names.get(declared.component) or (own if free else further)
        taken.add(name)
        named = _named(declared, options)
        if named is not declared:
            problems = [one for one in problems if (one.reason, one.path) != (Reason.PORT_UNKNOWN, declared.path)]
        endpoints = tuple(endpoint for endpoint in named.endpoints if endpoint.port not in pod_ports)
        provider = replace(named, endpoints=endpoints)
        partial = any(_hides_port(problem, declared) for problem in record.exposure.problems)
        services.append(PlannedService(name, record.application, provider, options, partial))
        problems += [*pod_port_problems(named, pod_ports), *_of_families(provider)]
    return Plan(tuple(services), tuple(problems))


def _first_of(held: Mapping[str, str]) -> str | None:
    """The component whose Service has the application's own name; None where the names do not show it."""
    for component, base in held.items():
        others = {other: name for other, name in held.items() if other != component}
        alone = not others and not base.endswith(f"-{component}")
        if alone or (others and all(name == naming.service_name(f"{base}-{one}") for one, name in others.items())):
            return component
    return None


def _hides_port(problem: Problem, provider: HttpProvider) -> bool:
    unread = (Reason.CONFIG_UNKNOWN, Reason.CONFIG_MISSING, Reason.INVALID_SETTINGS)
    return problem.reason in unread and problem.path.startswith(f"{provider.path}.")


def _named(provider: HttpProvider, options: Options) -> HttpProvider:
    """Returns the provider with the port of the annotation, where its own settings have none."""
    port = options.ports.get(provider.component, options.ports.get(""))
    if provider.endpoints or port is None:
        return provider
    return replace(provider, endpoints=(Endpoint(port=port, scheme="http", family="IPv4", mode="address", links=()),))


def _of_families(provider: HttpProvider) -> list[Problem]:
    """A Service has families as a whole: beside a port on IPv4 alone, one on IPv6 alone is not reached by it."""
    missed = [str(endpoint.port) for endpoint in provider.endpoints if endpoint.family == "IPv6"]
    if not missed or all(endpoint.family != "IPv4" for endpoint in provider.endpoints):
        return []
    message = f"component {provider.component} listens on IPv4 alone and, at port {', '.join(missed)}, on IPv6 alone"
    return [Problem(Reason.MIXED_FAMILIES, "", f"{message}: the Service is one of IPv4; use [::] for both")]
