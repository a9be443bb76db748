"""The JSON Schemas: they take what the CRDs take, and find what people mistype."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from wasmcloud_operator.cli import main
from wasmcloud_operator_types import Application, WasmCloudHostConfig, json_schema

EXAMPLES = Path(__file__).parents[3] / "manifests/examples"
SCHEMAS = {model.KIND: json_schema(model) for model in (WasmCloudHostConfig, Application)}
KINDS: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": int | float, "boolean": bool,
    "null": type(None),
}  # fmt: skip
KNOWN = {
    "$schema", "title", "description", "type", "properties", "required", "additionalProperties", "items", "anyOf",
    "const", "enum", "pattern", "format", "default", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "minProperties", "maxProperties",
}  # fmt: skip
POOL = {
    "apiVersion": "k8s.wasmcloud.dev/v1alpha1", "kind": "WasmCloudHostConfig", "metadata": {"name": "a"},
    "spec": {"lattice": "l", "version": "1.0.4"},
}  # fmt: skip


def faults(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """What of draft 7 these schemas use, as a validator reads it."""
    if "anyOf" in schema and all(list(faults(one, value)) for one in schema["anyOf"]):
        yield path
    wanted = schema.get("type", [])
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if kinds and not any(isinstance(value, KINDS[kind]) and (value is not True or kind == "boolean") for kind in kinds):
        yield path
        return
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        yield path
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value) or len(value) > schema.get("maxLength", len(value)):
            yield path
    elif isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(schema.get("items", {}), item, f"{path}[{index}]")
    elif isinstance(value, dict):
        yield from (f"{path}.{name}" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if inner is False:
                yield f"{path}.{name}"
            else:
                yield from faults(inner, item, f"{path}.{name}")


def examples() -> list[Any]:
    documents = [
        document for file in sorted(EXAMPLES.rglob("*.yaml")) for document in yaml.safe_load_all(file.read_text())
    ]
    return [document for document in documents if document and document.get("kind") in SCHEMAS]


@pytest.mark.parametrize("document", examples(), ids=lambda document: document["metadata"]["name"])
def test_every_example_fits(document: Any) -> None:
    assert list(faults(SCHEMAS[document["kind"]], document)) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostReplica": 2}, ".spec.hostReplica"),
        ({"hostReplicas": "2"}, ".spec.hostReplicas"),
        ({"logLevel": "loud"}, ".spec.logLevel"),
        ({"lattice": "a.b"}, ".spec.lattice"),
        ({"podDisruptionBudget": {"minAvailable": []}}, ".spec.podDisruptionBudget.minAvailable"),
        ({"schedulingOptions": {"podTemplateAdditions": {"nodeSelektor": {}}}},
         ".spec.schedulingOptions.podTemplateAdditions.nodeSelektor"),
        ({"schedulingOptions": {"resources": {"nats": {"limits": {"memory": "1GB"}}}}},
         ".spec.schedulingOptions.resources.nats.limits.memory"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_where_it_is(spec: Any, expected: str) -> None:
    assert set(faults(SCHEMAS["WasmCloudHostConfig"], {**POOL, "spec": {**POOL["spec"], **spec}})) == {expected}


@pytest.mark.parametrize(
    "spec",
    [
        {"hostLabels": None, "image": None, "hostReplicas": None},
        {"podDisruptionBudget": {"minAvailable": "50%"}},
        {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": None}},
        {"schedulingOptions": {"resources": {"wasmcloud": {"limits": {"cpu": 1, "memory": "1Gi"}}}}},
    ],
)
def test_nulls_numbers_and_texts_are_taken_where_the_crd_takes_them(spec: Any) -> None:
    assert list(faults(SCHEMAS["WasmCloudHostConfig"], {**POOL, "spec": {**POOL["spec"], **spec}})) == []


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_nothing_of_the_crds_own_language_is_left(kind: str) -> None:
    def keywords(schema: Any) -> Iterator[str]:
        yield from schema
        inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
        for one in (*inner, schema.get("items"), schema.get("additionalProperties")):
            if isinstance(one, dict):
                yield from keywords(one)

    assert set(keywords(SCHEMAS[kind])) <= KNOWN


def test_the_command_prints_a_schema() -> None:
    printed = CliRunner().invoke(main, ["schema", "application"])
    assert printed.exit_code == 0
    assert yaml.safe_load(printed.output) == SCHEMAS["Application"]
