"""Which objects a document holds, which of them are the operator's, and which are meant to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object, as_objects
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator.manifest.structure import COMPONENT_TYPES, LINK_TYPE, SCALER_TYPES

_OURS = (APPLICATION, HOST_CONFIG)
_LISTS = ("List", *(f"{resource.kind}List" for resource in _OURS))
# How alike two words are for one to be a slip of the other: Aplication is, Replication and Configuration are not.
_ALIKE = 0.85
# Kinds of KubeVela, its addons and its forerunner, which have the group of Applications, too.
_OF_KUBEVELA = frozenset(
    [
        "AppDeployment",
        "AppRollout",
        "ApplicationConfiguration",
        "ApplicationContext",
        "ApplicationDeployment",
        "ApplicationRevision",
        "ApplicationScope",
        "Cluster",
        "Component",
        "ComponentDefinition",
        "ComponentSchematic",
        "ContainerizedWorkload",
        "DefinitionModule",
        "DefinitionRevision",
        "EnvBinding",
        "HealthScope",
        "Initializer",
        "PodSpecWorkload",
        "Policy",
        "PolicyDefinition",
        "ResourceTracker",
        "Rollout",
        "ScopeDefinition",
        "TraitDefinition",
        "Workflow",
        "WorkflowRun",
        "WorkflowStepDefinition",
        "WorkloadDefinition",
    ]
)

# What a text that cannot be read has in its lines.
_OUR_LINE = re.compile(
    r"^[- \t{]*\"?(kind|apiVersion)\"?:[ \t]*[\"']?(Appli|Apli|wasmcloud|core\.oam|k8s\.wasmcloud)",
    re.IGNORECASE | re.MULTILINE,
)
_KIND_LINE, _TYPE_LINE = (
    re.compile(rf"^[- \t{{]*\"?{name}\"?:[ \t]*[\"']?(\w+)", re.MULTILINE) for name in ("kind", "type")
)
_OUR_TYPES = frozenset((*COMPONENT_TYPES, *SCALER_TYPES, LINK_TYPE))


@dataclass(frozen=True, slots=True)
class Item:
    """An object of a document, and its JSON path in that (empty for the document itself)."""

    value: Json
    path: str = ""


@dataclass(frozen=True, slots=True)
class Misnamed:
    """An object that is meant to be one of ours, but would not be taken for it: the field, and what to write."""

    path: str
    message: str


def items(value: Json, path: str = "") -> Iterator[Item]:
    """Yields the objects of a document: those of a list in place of the list."""
    if isinstance(value, dict) and value.get("kind") in _LISTS and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from items(item, f"{f'{path}.' if path else ''}items[{index}]")
    else:
        yield Item(value, path)


def holds_ours(value: Json) -> bool:
    """Whether a value is a list with an object of ours in it."""
    return isinstance(value, list) and any(isinstance(item, dict) and kind_of(item) is not None for item in value)


def mentions_ours(text: str) -> bool:
    """Whether a text that cannot be read seems to hold one of ours, and not only KubeVela's, which has its group."""
    return any(_seems_ours(part) for part in text.split("\n---"))


def _seems_ours(part: str) -> bool:
    kinds, types = set(_KIND_LINE.findall(part)), set(_TYPE_LINE.findall(part))
    if not _OUR_LINE.search(part) or any(map(_is_kubevelas, kinds)):
        return False
    return APPLICATION.kind not in kinds or not types or bool(types & _OUR_TYPES)


def _is_kubevelas(kind: str) -> bool:
    return kind in _OF_KUBEVELA or kind.endswith("Trait")


def foreign_type(application: JsonObject) -> str | None:
    """Returns the type of the first component where nothing of the spec is of wadm's types, as in KubeVela's."""
    components = list(as_objects(as_object(application.get("spec")).get("components")))
    types = [component.get("type") for component in components]
    traits = {str(trait.get("type")) for component in components for trait in as_objects(component.get("traits"))}
    if traits & _OUR_TYPES or not all(isinstance(kind, str) and not _like_ours(kind) for kind in types):
        return None
    return next(iter(types), None)


def _like_ours(kind: str) -> bool:
    return bool(difflib.get_close_matches(kind.lower(), COMPONENT_TYPES, n=1))


def kind_of(value: JsonObject) -> Resource | Misnamed | None:
    """Returns which of our kinds an object is, or what keeps it from being the one that is meant; None for others."""
    if holds_ours(value.get("items")):
        return Misnamed(
            "kind", f"{_shown(value.get('kind'))} is no list that kubectl knows: write List, of apiVersion v1"
        )
    return _by_name(value)


def _by_name(value: JsonObject) -> Resource | Misnamed | None:
    api_version, kind = value.get("apiVersion"), value.get("kind")
    for resource in _OURS:
        if (api_version, kind) == (resource.api_version, resource.kind):
            return resource
    group = api_version.partition("/")[0] if isinstance(api_version, str) else ""
    by_group = next((resource for resource in _OURS if group and group == resource.group), None)
    if by_group is not None:
        return _in_our_group(value, by_group)
    meant = _meant(kind)
    if meant is None:
        return _other_kind(value)
    # Application is the name of several projects' kinds: only an apiVersion like ours, or none, means this one.
    foreign = api_version and not _like(api_version, meant.api_version) and "oam" not in group
    if meant is APPLICATION and foreign and not _has_components(value):
        return None
    if api_version is None:
        return Misnamed("apiVersion", f"is required: write {meant.api_version}")
    return Misnamed("apiVersion", f"{_shown(api_version)} has no {meant.kind}: write {meant.api_version}")


def _in_our_group(value: JsonObject, resource: Resource) -> Misnamed | None:
    kind = value.get("kind")
    if kind == resource.kind:
        written = _shown(value.get("apiVersion"))
        return Misnamed("apiVersion", f"{written} is no version that is served: write {resource.api_version}")
    if resource is APPLICATION and isinstance(kind, str) and _is_kubevelas(kind):
        return None
    if kind is None:
        return Misnamed("kind", f"is required: write {resource.kind}")
    return Misnamed("kind", f"{_shown(kind)} is no kind of {resource.group}: write {resource.kind}")


def _other_kind(value: JsonObject) -> Misnamed | None:
    """An object without a kind is somebody's settings, unless it has the form of a manifest of ours."""
    for resource in _OURS:
        if _like(value.get("apiVersion"), resource.api_version):
            written = _shown(value.get("apiVersion"))
            return Misnamed("apiVersion", f"{written} is not known: write {resource.api_version}")
    meant = _by_form(value)
    if meant is None:
        return None
    written = f"{_shown(value['kind'])} has another form" if "kind" in value else "is required"
    return Misnamed("kind", f"{written}: write {meant.kind}, with apiVersion {meant.api_version}")


def _by_form(value: JsonObject) -> Resource | None:
    """Returns what an object is by its spec; of one with a kind, only where no other kind has such a spec."""
    if _has_components(value):
        return APPLICATION
    spec = value.get("spec")
    if "kind" in value or not isinstance(spec, Mapping):
        return None
    if isinstance(spec.get("components"), list):
        return APPLICATION
    return HOST_CONFIG if "lattice" in spec and spec.keys() & {"version", "natsAddress", "hostReplicas"} else None


def _has_components(value: JsonObject) -> bool:
    """Whether the spec has components as wadm's manifests have them, which no other project's kinds do."""
    spec = value.get("spec")
    components = spec.get("components") if isinstance(spec, Mapping) else None
    return isinstance(components, list) and any(
        isinstance(component, dict) and component.get("type") in ("component", "capability") for component in components
    )


def _meant(kind: Json) -> Resource | None:
    if isinstance(kind, str) and kind.lower().startswith("wasmcloud"):
        return HOST_CONFIG
    return next((resource for resource in _OURS if _like(kind, resource.kind)), None)


def _like(word: Json, wanted: str) -> bool:
    if not isinstance(word, str) or len(word) > 2 * len(wanted):
        return False
    return difflib.SequenceMatcher(None, word.lower(), wanted.lower()).ratio() >= _ALIKE


def _shown(value: Json) -> str:
    return repr(value) if isinstance(value, str) and len(value) <= 100 else "this"
