"""Pydantic's JSON schema to the structural schema that a CustomResourceDefinition takes.

Rules of the target: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
(structural schemas). What a field's ``json_schema_extra`` may say:

``x-kubernetes-embedded``
    Name of a schema in ``embedded`` (PodSpec, Container) to put in this place, under the field's own description.
``x-kubernetes-default``
    A default that the API server fills in. Defaults of the models themselves stay in memory, so that what is stored is
    what was written; the description says them.
``x-kubernetes-*`` of the API
    ``validations`` (CEL), ``list-type``, ``list-map-keys``, ``map-type``, ``int-or-string``,
    ``preserve-unknown-fields``: passed on.
``format``
    ``int32`` or ``int64`` for an integer, where int64 is not right.

Everything else that is not listed here is refused with the path of the field: a schema that says less than the model
would let in what the operator cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

Schema: TypeAlias = dict[str, Any]
"""A JSON schema; its values are JSON values, and every caller looks into them."""

_PASSED_ON = (
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
)
_ANY_TYPE = {"description", "title", "default", "deprecated", "x-kubernetes-default", *_PASSED_ON}
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_BY_TYPE = {
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"enum", "const", "pattern", "format", "minLength", "maxLength"},
    "integer": {"enum", "const", "format", *_BOUNDS},
    "number": {"enum", "const", "format", *_BOUNDS},
    "boolean": {"enum", "const"},
}
_PRESERVE_UNKNOWN: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_STRING_FORMATS = {"date-time", "date", "duration", "byte", "uri", "email", "hostname", "ipv4", "ipv6", "uuid"}

_INT64_ENDS = (-(2**63), 2**63 - 1)  # what the format says already
_LARGEST_EXACT = 2**53


class UnsupportedSchemaError(ValueError):
    """A construct in a model that has no structural counterpart, with the path of the field."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"{path or 'the root'}: {problem}")


def structural_schema(model: type[BaseModel], *, embedded: Callable[[str], Schema]) -> Schema:
    """The structural schema of a model; ``embedded`` returns the schema for a name in ``x-kubernetes-embedded``.

    Raises UnsupportedSchemaError for a construct that is not understood.
    """
    source = model.model_json_schema(by_alias=True, mode="validation")
    definitions = source.pop("$defs", {})
    return _Converter(definitions, embedded).convert(source, "")


class _Converter:
    """Walks a schema, with the definitions it refers to."""

    def __init__(self, definitions: Mapping[str, Schema], embedded: Callable[[str], Schema]) -> None:
        self._definitions = definitions
        self._embedded = embedded
        self._open: list[str] = []  # the references being followed, outermost first: a repeated one never ends

    def convert(self, source: Schema, path: str) -> Schema:
        """The structural schema of one place."""
        if "$ref" in source:
            return self._reference(source, path)
        if "anyOf" in source:
            return self._alternatives(source, path)
        if "x-kubernetes-embedded" in source:
            return _described(source, self._embedded(source["x-kubernetes-embedded"]))
        kind = source.get("type")
        if kind is None:
            return self._anything(source, path)
        if not isinstance(kind, str) or kind not in _BY_TYPE:
            raise UnsupportedSchemaError(path, f"type {kind!r} has no structural form")
        self._refuse_unknown(source, _BY_TYPE[kind] | {"type"}, path)
        match kind:
            case "object":
                target = self._object(source, path)
            case "array":
                target = self._array(source, path)
            case _:
                target = _scalar(source, path)
        return _described(source, target)

    def _reference(self, source: Schema, path: str) -> Schema:
        name = source["$ref"].removeprefix("#/$defs/")
        if name not in self._definitions:
            raise UnsupportedSchemaError(path, f"$ref {source['$ref']!r} leads nowhere")
        if name in self._open:
            raise UnsupportedSchemaError(path, f"{name} contains itself, which a structural schema cannot say")
        beside = {key: value for key, value in source.items() if key != "$ref"}
        self._open.append(name)
        try:
            return self.convert(self._definitions[name] | beside, path)
        finally:
            self._open.pop()

    def _alternatives(self, source: Schema, path: str) -> Schema:
        """``T | None`` takes null for left out, as templates write it; ``int | str`` is Kubernetes' own IntOrString."""
        beside = {key: value for key, value in source.items() if key != "anyOf"}
        members = [member for member in source["anyOf"] if member != {"type": "null"}]
        if len(members) < len(source["anyOf"]):
            inner = members[0] if len(members) == 1 else {"anyOf": members}
            return nullable(self.convert(inner | beside, path))
        kinds = sorted(str(member.get("type")) for member in members)
        bare = all(set(member) <= {"type", "title", "minimum", "maximum", "pattern"} for member in members)
        if kinds == ["integer", "string"] and bare:
            bounds: Schema = {}
            for member in members:
                _copy(member, bounds, "minimum", "pattern")
                if member.get("maximum") not in _INT64_ENDS:
                    _copy(member, bounds, "maximum")
            return _described(source, {"x-kubernetes-int-or-string": True, **bounds})
        raise UnsupportedSchemaError(path, f"a union of {' and '.join(kinds)} has no structural form")

    def _anything(self, source: Schema, path: str) -> Schema:
        self._refuse_unknown(source, set(), path)
        return _described(source, _PRESERVE_UNKNOWN)

    def _object(self, source: Schema, path: str) -> Schema:
        target: Schema = {"type": "object"}
        properties: Mapping[str, Schema] = source.get("properties", {})
        if properties:
            target["properties"] = {name: self.convert(child, _join(path, name)) for name, child in properties.items()}
        _copy(source, target, "required", "minProperties", "maxProperties")
        match source.get("additionalProperties"):
            case None | False:
                pass
            case True:
                target |= _PRESERVE_UNKNOWN
            case values if properties:
                raise UnsupportedSchemaError(
                    path, f"named properties beside typed others ({values}) are not structural"
                )
            case {} as values:
                converted = self.convert(values, f"{path}[*]")
                target |= converted if converted == _PRESERVE_UNKNOWN else {"additionalProperties": converted}
        return target

    def _array(self, source: Schema, path: str) -> Schema:
        if "items" not in source:
            raise UnsupportedSchemaError(path, "a list needs the type of its items")
        target: Schema = {"type": "array", "items": self.convert(source["items"], f"{path}[*]")}
        _copy(source, target, "minItems", "maxItems")
        return target

    def _refuse_unknown(self, source: Schema, known: set[str], path: str) -> None:
        unknown = sorted(source.keys() - known - _ANY_TYPE)
        if unknown:
            raise UnsupportedSchemaError(path, f"{', '.join(unknown)} not understood (known: see this module)")


def nullable(schema: Schema) -> Schema:
    """The schema with null allowed. An enumeration becomes a pattern: the API server finds null in none."""
    kept = {key: value for key, value in schema.items() if key != "enum"}
    if "enum" in schema:
        kept["pattern"] = f"^({'|'.join(map(re.escape, schema['enum']))})$"
    return kept | {"nullable": True}


def _scalar(source: Schema, path: str) -> Schema:
    kind = source["type"]
    target: Schema = {"type": kind}
    form = source.get("format", "int64" if kind == "integer" else None)
    if kind == "string" and form is not None and form not in _STRING_FORMATS:
        raise UnsupportedSchemaError(path, f"format {form!r} of a string is not known to Kubernetes")
    if form is not None:
        target["format"] = form
    if "const" in source:
        target["enum"] = [source["const"]]
    _copy(source, target, "enum", "pattern", "minLength", "maxLength", "multipleOf")
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if bound in source and exclusive in source:
            raise UnsupportedSchemaError(path, f"{bound} beside {exclusive}: one of them says nothing, remove it")
        limit = source.get(bound, source.get(exclusive))
        if limit is None or (form == "int64" and limit in _INT64_ENDS and exclusive not in source):
            continue
        if abs(limit) > _LARGEST_EXACT:
            raise UnsupportedSchemaError(path, f"{bound} {limit}: the API server rounds bounds to floats")
        target[bound] = limit
        if exclusive in source:
            target[exclusive] = True
    return target


def _described(source: Schema, target: Schema) -> Schema:
    """The target with the source's description, default and Kubernetes extensions."""
    result = dict(target)
    description = _description(source)
    if description:
        result = {"description": description} | {key: value for key, value in result.items() if key != "description"}
    if "x-kubernetes-default" in source:
        result["default"] = source["x-kubernetes-default"]
    _copy(source, result, *_PASSED_ON)
    return result


def _description(source: Schema) -> str:
    text = " ".join(source.get("description", "").split())
    if source.get("deprecated") and not text.lower().startswith("deprecated"):
        text = f"Deprecated. {text}".rstrip()
    default = source.get("default")
    if isinstance(default, str | int | float) and default != "" and "default" not in text.lower():
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        text = f"{text} Defaults to {shown}.".lstrip()
    return text


def _copy(source: Schema, target: Schema, *keys: str) -> None:
    target.update({key: source[key] for key in keys if key in source})


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
