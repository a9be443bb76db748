"""What an Application asks for, examined once for each state of its spec, annotations and labels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wasmcloud_operator.application.manifest import content_of, without_nulls
from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.content import Content, draft
from wasmcloud_operator.manifest.reading import ManifestProblem
from wasmcloud_operator.manifest.validation import errors, validate
from wasmcloud_operator.names import users_own


@dataclass(frozen=True, slots=True)
class ExaminedManifest:
    """The content, and what keeps it from wadm."""

    content: Content
    problems: tuple[ManifestProblem, ...]
    unscaled: tuple[str, ...] = ()
    """Components without a trait that has wadm start them."""


@dataclass(frozen=True, slots=True)
class _LastExamined:
    inputs: object
    examined: ExaminedManifest
    has_nulls: bool


@dataclass(slots=True)
class Examiner:
    """Examines Applications, and remembers the result: a large manifest takes tens of milliseconds."""

    _known: dict[Key, _LastExamined] = field(default_factory=dict)

    def examine(self, item: CustomResource) -> ExaminedManifest:
        """The content of the item and its problems."""
        meta, spec = item.metadata, as_object(item.spec)
        inputs = (meta.uid, meta.generation, users_own(meta.annotations), meta.labels)
        known = self._known.get(meta.key)
        if known is not None and known.inputs == inputs:
            examined = known.examined
            spec = without_nulls(spec) if known.has_nulls else spec
            return replace(examined, content=replace(examined.content, spec=spec))
        given, spec = spec, without_nulls(spec)
        content = content_of({"name": meta.name, "annotations": meta.annotations, "labels": meta.labels}, spec)
        examined = ExaminedManifest(content, tuple(errors(validate(draft(content)))), unscaled(spec))
        # Without the spec: the cache holds that, and a second one would double what a large manifest takes.
        remembered = replace(examined, content=replace(content, spec={}))
        self._known[meta.key] = _LastExamined(inputs, remembered, spec != given)
        return examined

    def forget(self, key: Key) -> None:
        """The item is gone."""
        self._known.pop(key, None)


def unscaled(spec: JsonObject) -> tuple[str, ...]:
    """The names of the components of a manifest that have no scaler: wadm starts no instance of them.

    What another application runs (`properties.application`) needs none here, and one of a provider wadm starts anyway.
    """
    return tuple(
        str(component.get("name"))
        for component in as_objects(spec.get("components"))
        if _needs_scaler(component) and not _is_scaled(component)
    )


def _needs_scaler(component: JsonObject) -> bool:
    shared = bool(as_object(component.get("properties")).get("application"))
    return component.get("type") != "capability" and not shared


def _is_scaled(component: JsonObject) -> bool:
    types = {trait.get("type") for trait in as_objects(component.get("traits"))}
    return bool({"spreadscaler", "daemonscaler"} & types)
