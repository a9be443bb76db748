"""The generator of structural schemas: what it makes of each construct, and that it refuses the rest by path."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema, create_model

from wasmcloud_operator_types.schema import UnsupportedSchemaError, structural_schema


def embedded(name):
    return {"type": "object", "properties": {"of": {"type": "string"}}, "description": f"{name} of Kubernetes"}


def schema_of(annotation, field=...):
    model = create_model("M", field=(annotation, field))
    return structural_schema(model, embedded=embedded)["properties"]["field"]


class Inner(BaseModel):
    """What an inner one is."""

    model_config = ConfigDict(extra="forbid")

    a: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    a: str


PRESERVED = {"x-kubernetes-preserve-unknown-fields": True}


@pytest.mark.parametrize(
    ("annotation", "field", "expected"),
    [
        (str, ..., {"type": "string"}),
        (bool, ..., {"type": "boolean"}),
        (int, ..., {"type": "integer", "format": "int64"}),
        (float, ..., {"type": "number"}),
        (Annotated[int, Field(json_schema_extra={"format": "int32"})], ..., {"type": "integer", "format": "int32"}),
        (Annotated[int, Field(ge=1, le=5)], ..., {"type": "integer", "format": "int64", "minimum": 1, "maximum": 5}),
        (
            Annotated[int, Field(gt=1, lt=5)],
            ...,
            {
                "type": "integer",
                "format": "int64",
                "minimum": 1,
                "exclusiveMinimum": True,
                "maximum": 5,
                "exclusiveMaximum": True,
            },
        ),
        (
            Annotated[str, Field(min_length=1, max_length=3, pattern="^a")],
            ...,
            {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"},
        ),
        (Annotated[int, Field(ge=1, le=2**63 - 1)], ..., {"type": "integer", "format": "int64", "minimum": 1}),
        (AwareDatetime, ..., {"type": "string", "format": "date-time"}),
        (Literal["a"], ..., {"type": "string", "enum": ["a"]}),
        (Literal["a", "b"], ..., {"type": "string", "enum": ["a", "b"]}),
        (str | None, None, {"type": "string", "nullable": True}),
        (
            Annotated[int, Field(ge=1)] | None,
            None,
            {"type": "integer", "format": "int64", "minimum": 1, "nullable": True},
        ),
        (Literal["a.b", "c"] | None, None, {"type": "string", "pattern": r"^(a\.b|c)$", "nullable": True}),
        (int | str, ..., {"x-kubernetes-int-or-string": True}),
        (int | str | None, None, {"x-kubernetes-int-or-string": True, "nullable": True}),
        (tuple[str, ...], ..., {"type": "array", "items": {"type": "string"}}),
        (
            Annotated[list[str], Field(min_length=1, max_length=2)],
            ...,
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        ),
        (dict[str, str], ..., {"type": "object", "additionalProperties": {"type": "string"}}),
        (
            Annotated[dict[str, int], Field(max_length=2)],
            ...,
            {"type": "object", "additionalProperties": {"type": "integer", "format": "int64"}, "maxProperties": 2},
        ),
        (dict[str, JsonValue], ..., {"type": "object", **PRESERVED}),
        (JsonValue, ..., PRESERVED),
        (list, ..., {"type": "array", "items": PRESERVED}),
        (
            Inner,
            ...,
            {
                "description": "What an inner one is.",
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
            },
        ),
        (
            Annotated[Inner | None, Field(description="This one.")],
            None,
            {
                "description": "This one.",
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
                "nullable": True,
            },
        ),
        (Open, ..., {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], **PRESERVED}),
        (
            Annotated[
                dict[str, JsonValue] | None,
                Field(description="Mine.", json_schema_extra={"x-kubernetes-embedded": "Pod"}),
            ],
            None,
            {"description": "Mine.", "type": "object", "properties": {"of": {"type": "string"}}, "nullable": True},
        ),
        (
            Annotated[
                tuple[Inner, ...],
                Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}),
            ],
            ...,
            {
                "type": "array",
                "items": {
                    "description": "What an inner one is.",
                    "type": "object",
                    "properties": {"a": {"type": "string"}},
                    "required": ["a"],
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"],
            },
        ),
        # defaults stay in memory and are said, unless the field asks for one
        (int, 5, {"description": "Defaults to 5.", "type": "integer", "format": "int64"}),
        (bool, False, {"description": "Defaults to false.", "type": "boolean"}),
        (Annotated[str, Field(description="Who.")], "me", {"description": "Who. Defaults to me.", "type": "string"}),
        (
            Annotated[str, Field(description="By default, me.")],
            "me",
            {"description": "By default, me.", "type": "string"},
        ),
        (
            Annotated[str, Field(deprecated=True, description="Old.")],
            ...,
            {"description": "Deprecated. Old.", "type": "string"},
        ),
        (
            Annotated[int, Field(description="N.", json_schema_extra={"x-kubernetes-default": 1})],
            1,
            {"description": "N. Defaults to 1.", "type": "integer", "format": "int64", "default": 1},
        ),
        (
            Annotated[str, Field(json_schema_extra={"x-kubernetes-validations": [{"rule": "self != ''"}]})],
            ...,
            {"type": "string", "x-kubernetes-validations": [{"rule": "self != ''"}]},
        ),
    ],
)
def test_each_construct_has_its_structural_form(annotation, field, expected):
    assert schema_of(annotation, field) == expected


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (str | bool, "a union of boolean and string"),
        (Inner | Open, "a union of"),
        (Annotated[int, Field(gt=1)] | str, "a union of integer and string"),
        (tuple[str, int], "prefixItems"),
        (set[str], "uniqueItems"),
        (bytes, "format 'binary'"),
        (dict[Annotated[str, Field(pattern="^a$")], str], "patternProperties"),
        (Annotated[str, Field(json_schema_extra={"contentEncoding": "x"})], "contentEncoding"),
        (Annotated[str, Field(json_schema_extra={"x-kubernetes-embeded": "Pod"})], "x-kubernetes-embeded"),
        (Annotated[int, Field(le=2**60)], "rounds bounds to floats"),
        (Annotated[int, Field(ge=0, gt=1)], "one of them says nothing"),
        (Annotated[str, WithJsonSchema({"type": "array"})], "items"),
        (None, "type 'null'"),
    ],
)
def test_a_type_without_a_structural_schema_is_refused_by_path(annotation, problem):
    middle = create_model("Middle", inner=(dict[str, annotation], ...))
    outer = create_model("Outer", spec=(middle, ...))
    with pytest.raises(UnsupportedSchemaError, match=problem) as raised:
        structural_schema(outer, embedded=embedded)
    assert raised.value.path == "spec.inner[*]"
    assert str(raised.value).startswith("spec.inner[*]: ")


class Node(BaseModel):
    children: list[Node]


def test_a_model_that_contains_itself_is_refused():
    with pytest.raises(UnsupportedSchemaError, match="contains itself"):
        structural_schema(Node, embedded=embedded)


class OpenAndTyped(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]

    a: str


def test_named_properties_beside_typed_others_are_refused():
    with pytest.raises(UnsupportedSchemaError, match="not structural"):
        structural_schema(OpenAndTyped, embedded=embedded)


def test_the_same_model_in_two_places_is_no_recursion():
    model = create_model("M", one=(Inner, ...), two=(Inner, ...))
    assert set(structural_schema(model, embedded=embedded)["properties"]) == {"one", "two"}
