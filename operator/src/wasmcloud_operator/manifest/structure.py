"""A manifest read leniently: every fault of form becomes a problem, and what is readable goes on to the next rules.

wadm reads a manifest in one go and stops at the first fault, often with a message about Rust types. Here the whole of
it is read, by the same rules (wadm-types 0.8, wadm 0.21).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from wasmcloud_operator.manifest.reading import CheckedReader, Object

COMPONENT_TYPES = ("component", "actor", "capability")
SCALER_TYPES = ("spreadscaler", "daemonscaler")
LINK_TYPE = "link"
LINK_FIELDS = ("namespace", "package", "interfaces", "source", "target", "name", "source_config", "target_config")
DEFAULT_LINK_NAME = "default"


@dataclass(frozen=True, slots=True)
class Config:
    """A named configuration where it is used."""

    path: str
    name: str
    defined: bool
    """Whether it has properties, so that wadm makes it; without, it exists already."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret where it is used."""

    path: str
    name: str
    policy: str
    """Name of the policy that it is read through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestLink:
    """A link as wadm reads it: deprecated forms resolved."""

    path: str
    """Path of the trait's properties."""

    name: str
    namespace: str
    package: str
    interfaces: tuple[str, ...]
    target: str | None
    """Name of the target component; None where it is missing or unreadable."""

    configs: tuple[Config, ...] = ()
    """Configurations of the target, then of the source."""

    secrets: tuple[Secret, ...] = ()
    declared: bool = True
    """False for a trait of another type whose properties have the form of a link: wadm reads those as links too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestComponent:
    """A component or provider, as far as it could be read."""

    path: str
    kind: str | None
    name: str | None
    id: str | None = None
    has_image: bool = True
    """Also where nothing is known about its properties, so that nothing more is found wrong with it."""

    has_application: bool = False
    configs: tuple[Config, ...] = ()
    secrets: tuple[Secret, ...] = ()
    links: tuple[ManifestLink, ...] = ()
    scalers: tuple[str, ...] = ()
    """Paths of the scaler traits."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, as far as it could be read."""

    path: str
    name: str
    type: str
    has_backend: bool


def read_component(reader: CheckedReader, source: Object, path: str) -> ManifestComponent:
    """One entry of ``spec.components``."""
    reader.ignored(source, ("name", "type", "properties", "traits"), path)
    name = reader.text(source, "name", path)
    kind = reader.text(source, "type", path)
    if kind is not None and kind not in COMPONENT_TYPES:
        reader.error(f"{path}.type", f"{kind!r} is not a type of component: use component or capability")
    at = f"{path}.properties"
    properties = reader.section(source, "properties", path)
    links: list[ManifestLink] = []
    scalers: list[str] = []
    for trait_path, trait in reader.objects(source, "traits", path, nullable=True):
        link = _read_trait(reader, trait, trait_path)
        if link is not None:
            links.append(link)
        elif trait.get("type") in SCALER_TYPES:
            scalers.append(trait_path)
    component = ManifestComponent(path=path, kind=kind, name=name, links=tuple(links), scalers=tuple(scalers))
    if properties is None:
        return component
    reader.only(properties, ("image", "application", "id", "config", "secrets"), at)
    has_application = properties.get("application") is not None
    if has_application:
        shared = reader.mapping(properties["application"], f"{at}.application") or {"name": "", "component": ""}
        reader.ignored(shared, ("name", "component"), f"{at}.application")
        reader.text(shared, "name", f"{at}.application")
        reader.text(shared, "component", f"{at}.application")
    reader.optional_text(properties, "image", at)
    return replace(
        component,
        id=reader.optional_text(properties, "id", at),
        has_image=properties.get("image") is not None,
        has_application=has_application,
        configs=_configs(reader, properties, "config", at),
        secrets=_secrets(reader, properties, at),
    )


def read_policy(reader: CheckedReader, source: Object, path: str) -> Policy:
    """One entry of ``spec.policies``."""
    reader.ignored(source, ("name", "type", "properties"), path)
    name = reader.text(source, "name", path)
    kind = reader.text(source, "type", path)
    if "properties" not in source:
        reader.error(f"{path}.properties", "is required: write {} if the policy has none")
    else:
        reader.strings(source["properties"], f"{path}.properties")
    declared = source.get("properties")
    return Policy(path, name or "", kind or "", isinstance(declared, Mapping) and "backend" in declared)


def _read_trait(reader: CheckedReader, source: Object, path: str) -> ManifestLink | None:
    """Returns the trait as a link, if it is one."""
    reader.only(source, ("type", "properties"), path)
    kind = reader.text(source, "type", path)
    at = f"{path}.properties"
    if "properties" not in source:
        reader.error(at, "is required")
        return None
    value = source["properties"]
    if kind in SCALER_TYPES:
        _check_scaler(reader, value, at)
        return None
    if kind == LINK_TYPE:
        properties = reader.mapping(value, at)
        return None if properties is None else _read_link(reader, properties, at)
    if kind is not None:
        reader.warn(f"{path}.type", f"wadm does nothing for a trait of type {kind!r}: it is passed on as it is")
    if isinstance(value, Mapping) and all(key in value for key in ("namespace", "package", "interfaces")):
        return _read_link_shaped(reader, value, at)
    return None


def _read_link_shaped(reader: CheckedReader, properties: Object, path: str) -> ManifestLink | None:
    """A trait of another type in the form of a link: wadm reads it as a link where it can, and ignores it otherwise.

    In some places it dies of a wrong type instead of leaving it alone, and never answers.
    """
    attempt = CheckedReader()
    link = _read_link(attempt, properties, path, declared=False)
    faults = [problem for problem in attempt.problems if problem.severity == "error"]
    deadly = [f"{path}.{key}" for key in ("namespace", "package", "interfaces", "name")]
    if "target" not in properties:
        deadly.append(f"{path}.target")
    if not all(fault.path.startswith(tuple(deadly)) for fault in faults):
        return None
    reader.problems.extend(faults)
    return link


def _check_scaler(reader: CheckedReader, value: object, path: str) -> None:
    properties = reader.mapping(value, path)
    if properties is None:
        return
    reader.only(properties, ("instances", "replicas", "spread"), path)
    match "instances" in properties, "replicas" in properties:
        case True, True:
            reader.error(f"{path}.replicas", "is the same as instances: remove it")
        case False, False:
            reader.error(f"{path}.instances", "is required")
        case _:
            key = "instances" if "instances" in properties else "replicas"
            reader.count(properties[key], f"{path}.{key}")
    for at, spread in reader.objects(properties, "spread", path):
        reader.only(spread, ("name", "requirements", "weight"), at)
        reader.text(spread, "name", at)
        if "requirements" not in spread:
            reader.error(f"{at}.requirements", "is required: write {} to match every host")
        else:
            reader.strings(spread["requirements"], f"{at}.requirements")
        if spread.get("weight") is not None:
            reader.count(spread["weight"], f"{at}.weight")


def _read_link(reader: CheckedReader, properties: Object, path: str, *, declared: bool = True) -> ManifestLink:
    if declared:
        reader.ignored(properties, LINK_FIELDS, path)
    namespace = reader.text(properties, "namespace", path)
    package = reader.text(properties, "package", path)
    if "interfaces" not in properties:
        reader.error(f"{path}.interfaces", "is required")
    interfaces = tuple(reader.texts(properties, "interfaces", path))
    target, target_configs, target_secrets = _read_target(reader, properties, path)
    source_configs, source_secrets = _read_source(reader, properties, path)
    # wadm dies of a name that is there but no string, and never answers: null is refused too.
    name = reader.text(properties, "name", path) if "name" in properties else None
    return ManifestLink(
        path=path,
        name=DEFAULT_LINK_NAME if name is None else name,
        namespace=namespace or "",
        package=package or "",
        interfaces=interfaces,
        target=target,
        configs=target_configs + source_configs,
        secrets=target_secrets + source_secrets,
        declared=declared,
    )


_Side: TypeAlias = tuple[tuple[Config, ...], tuple[Secret, ...]]


def _read_target(
    reader: CheckedReader, properties: Object, path: str
) -> tuple[str | None, tuple[Config, ...], tuple[Secret, ...]]:
    if "target" not in properties:
        reader.error(f"{path}.target", "is required: name the component that the link leads to")
        return None, (), ()
    value = properties["target"]
    if isinstance(value, str):
        reader.warn(f"{path}.target", f"as a plain name is deprecated: write target: {{name: {value}}}")
        if "target_config" in properties:
            reader.warn(f"{path}.target_config", "is deprecated: use target.config")
        return value, _configs(reader, properties, "target_config", path), ()
    if "target_config" in properties:
        reader.warn(f"{path}.target_config", "is ignored beside a target object: move it to target.config")
    target = reader.mapping(value, f"{path}.target")
    if target is None:
        return None, (), ()
    reader.ignored(target, ("name", "config", "secrets"), f"{path}.target")
    return reader.text(target, "name", f"{path}.target"), *_side(reader, target, f"{path}.target")


def _read_source(reader: CheckedReader, properties: Object, path: str) -> _Side:
    deprecated = _configs(reader, properties, "source_config", path)
    if "source" not in properties:
        if "source_config" in properties:
            reader.warn(f"{path}.source_config", "is deprecated: use source.config")
        return deprecated, ()
    if "source_config" in properties:
        reader.warn(f"{path}.source_config", "is ignored beside source: move it to source.config")
    source = reader.mapping(properties["source"], f"{path}.source")
    if source is None:
        return (), ()
    reader.ignored(source, ("config", "secrets"), f"{path}.source")
    return _side(reader, source, f"{path}.source")


def _side(reader: CheckedReader, source: Object, path: str) -> _Side:
    return _configs(reader, source, "config", path), _secrets(reader, source, path)


def _configs(reader: CheckedReader, parent: Object, key: str, path: str) -> tuple[Config, ...]:
    found = []
    for at, entry in reader.objects(parent, key, path):
        reader.only(entry, ("name", "properties"), at)
        name = reader.text(entry, "name", at)
        defined = entry.get("properties") is not None
        if defined:
            reader.strings(entry["properties"], f"{at}.properties")
        if name is not None:
            found.append(Config(at, name, defined))
    return tuple(found)


def _secrets(reader: CheckedReader, parent: Object, path: str) -> tuple[Secret, ...]:
    found = []
    for at, entry in reader.objects(parent, "secrets", path):
        reader.ignored(entry, ("name", "properties"), at)
        name = reader.text(entry, "name", at)
        missing = "is required: policy and key name where the secret is read"
        source = reader.section(entry, "properties", at, missing)
        if source is None:
            continue
        reader.ignored(source, ("policy", "key", "field", "version"), f"{at}.properties")
        policy = reader.text(source, "policy", f"{at}.properties")
        reader.text(source, "key", f"{at}.properties")
        reader.optional_text(source, "field", f"{at}.properties")
        reader.optional_text(source, "version", f"{at}.properties")
        if name is not None and policy is not None:
            found.append(Secret(at, name, policy))
    return tuple(found)
