"""Walks through a manifest as wadm stores it: pure, and lenient towards what wadm takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Any with a reason: JSON documents; what is taken out of them is checked where it is taken.
Object = Mapping[str, Any]
Daemons = tuple[frozenset[tuple[str, str]], ...]
"""The host labels that each spread of a daemonscaler requires."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A component or provider that daemonscalers place on hosts, by its id in the lattice."""

    id: str
    daemons: Daemons


def place_on(daemons: Iterable[frozenset[tuple[str, str]]], labels: Mapping[str, str]) -> bool:
    """Whether daemonscalers place it on each host with these labels; a spreadscaler promises no host anything."""
    return any(required <= labels.items() for required in daemons)


def behind(manifest: Object, component: Object) -> tuple[Placed, ...]:
    """What requests from there need: all that links lead to, step by step, as far as daemonscalers place it.

    What other applications run is theirs.
    """
    by_name = {str(each["name"]): each for _, each in components_of(manifest)}
    found: dict[str, Placed] = {}
    ahead = [component]
    while ahead:
        for _, link in links_of(ahead.pop(), ""):
            name = target_of(link)
            target = by_name.get(name)
            if target is not None and name not in found and not shared_name(target):
                found[name] = Placed(id_of(manifest, target), tuple(daemons_of(target)))
                ahead.append(target)
    return tuple(each for each in found.values() if each.daemons)


def id_of(manifest: Object, component: Object) -> str:
    """The id that a component of the manifest has in the lattice."""
    declared = mapping(component.get("properties")).get("id")
    return str(declared or component_id(application_of(manifest), str(component.get("name", ""))))


def target_of(link: Object) -> str:
    """The name of the component that a link leads to; an earlier wadm has that name alone."""
    target = link.get("target")
    return target if isinstance(target, str) else str(mapping(target).get("name") or "")


def component_id(application: str, component: str) -> str:
    """The id that wadm assigns to a component that declares none; different names can have the same id."""
    return "-".join(re.sub(r"[^0-9a-z]", "_", name.lower()) for name in (application, component))


def components_of(manifest: Object) -> Iterator[tuple[str, Object]]:
    """The components with their places in the manifest."""
    components = mapping(manifest.get("spec")).get("components")
    for index, component in enumerate(components if isinstance(components, Sequence) else ()):
        if isinstance(component, Mapping) and isinstance(component.get("name"), str):
            yield f"spec.components[{index}]", component


def links_of(component: Object, path: str) -> Iterator[tuple[str, Object]]:
    """The links of a component, which stands at `path`, with their own places."""
    traits = component.get("traits")
    for index, trait in enumerate(traits if isinstance(traits, Sequence) else ()):
        if isinstance(trait, Mapping) and trait.get("type") == "link":
            yield f"{path}.traits[{index}].properties", mapping(trait.get("properties"))


def daemons_of(component: Object) -> Iterator[frozenset[tuple[str, str]]]:
    """The labels that each spread of the component's daemonscalers requires; without a spread it goes everywhere."""
    for scaler in maps(component.get("traits")):
        properties = mapping(scaler.get("properties"))
        if scaler.get("type") == "daemonscaler" and properties.get("instances") != 0:
            for spread in list(maps(properties.get("spread"))) or [{}]:
                required = mapping(spread.get("requirements"))
                yield frozenset((str(key), str(value)) for key, value in required.items())


def shared_name(component: Object) -> str:
    """The application that a component of another application is taken from; "" for one of its own."""
    return str(mapping(mapping(component.get("properties")).get("application")).get("name") or "")


def application_of(manifest: Object) -> str:
    """The application's name."""
    return str(mapping(manifest.get("metadata")).get("name") or "")


def items(value: object) -> Iterator[Object]:
    """The objects of a list that have a name."""
    return (entry for entry in maps(value) if isinstance(entry.get("name"), str))


def maps(value: object) -> Iterator[Object]:
    """The objects of a list; none where it is no list."""
    for entry in value if isinstance(value, Sequence) and not isinstance(value, str) else ():
        if isinstance(entry, Mapping):
            yield entry


def mapping(value: object) -> Object:
    """The object itself; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}
