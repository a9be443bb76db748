"""The script that takes Kubernetes' own schemas from an API server."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "types" / "scripts" / "embed_schemas.py"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("embed_schemas", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def test_references_are_put_in_place_and_what_cannot_be_kept_is_dropped(script):
    definitions = {
        "Inner": {"type": "object", "properties": {"n": {"type": "integer", "format": "int32", "default": 0}}},
        "Outer": {
            "type": "object",
            "description": "text",
            "required": ["list"],
            "properties": {
                "list": {
                    "type": "array",
                    "items": {"allOf": [ref("Inner")], "default": {}},
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["n"],
                },
                "map": {"type": "object", "additionalProperties": ref(QUANTITY)},
            },
        },
        QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    }
    inner = {"type": "object", "properties": {"n": {"type": "integer", "format": "int32"}}}
    assert script.flatten(definitions["Outer"], definitions, "Outer") == {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": inner},
            "map": {"type": "object", "additionalProperties": script.QUANTITY},
        },
    }


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"oneOf": []}, r"Outer\.x: oneOf not understood"),
        ({"allOf": [ref("A"), ref("B")]}, r"Outer\.x: allOf of more than one"),
        (ref("Loop"), r"Outer\.x.*contains itself"),
    ],
)
def test_a_schema_that_is_not_understood_is_refused_by_path(script, source, problem):
    definitions = {"Loop": {"type": "object", "properties": {"again": ref("Loop")}}}
    with pytest.raises(ValueError, match=problem):
        script.flatten({"type": "object", "properties": {"x": source}}, definitions, "Outer")


@pytest.mark.parametrize(
    ("texts", "valid"),
    [(["1", "0.5", "500m", "1Gi", "1e3", "-1", ".5"], True), (["", "1 Gi", "much", "1gi"], False)],
)
def test_quantities(script, texts, valid):
    assert [bool(re.search(script.QUANTITY["pattern"], text)) for text in texts] == [valid] * len(texts)
