"""What the API server lets through, the models parse and give back unchanged: drawn from the CRDs' schemas."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasmcloud_operator_types import (
    Application,
    InvalidObjectError,
    WasmCloudHostConfig,
    custom_resource_definitions,
    dump,
    parse,
)

MODELS = {model.KIND: model for model in (WasmCloudHostConfig, Application)}
SCHEMAS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in custom_resource_definitions()
}
FREE = st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.lists(st.integers(0, 9), max_size=2)


def rules_of(schema):
    """What the CEL rules of a schema and of all in it say: the drawn values know nothing of them."""
    said = {rule["message"] for rule in schema.get("x-kubernetes-validations", ())}
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return said.union(*(rules_of(one) for one in inner if one))


def drawn(schema):
    """Values that a structural schema takes."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        texts = (
            st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else st.sampled_from(["1", "9%"])
        )
        return st.integers(schema.get("minimum", 0), 9) | texts
    match schema.get("type"):
        case "object":
            return drawn_object(schema)
        case "array":
            most = min(schema.get("maxItems", 2), 2)
            return st.lists(drawn(schema["items"]), min_size=schema.get("minItems", 0), max_size=most)
        case "string":
            return drawn_string(schema)
        case "integer":
            return st.integers(schema.get("minimum", -9), schema.get("maximum", 2**40))
        case "boolean":
            return st.booleans()
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case _:
            return FREE


def drawn_object(schema):
    required = set(schema.get("required", ()))
    fields = {
        name: st.deferred(lambda child=child: drawn(child)) for name, child in schema.get("properties", {}).items()
    }
    values = schema.get("additionalProperties")
    if values is not None:
        return st.dictionaries(st.text("abc", min_size=1, max_size=3), drawn(values), max_size=2)
    optional = {name: value for name, value in fields.items() if name not in required}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        optional["x-unknown"] = FREE
    return st.fixed_dictionaries({name: fields[name] for name in fields if name in required}, optional=optional)


def drawn_string(schema):
    if schema.get("format") == "date-time":
        return st.datetimes(datetime(1970, 1, 1)).map(lambda when: when.strftime("%Y-%m-%dT%H:%M:%SZ"))  # noqa: DTZ001
    least, most = schema.get("minLength", 0), min(schema.get("maxLength", 12), 12)
    if "pattern" not in schema:
        return st.text(min_size=least, max_size=most)
    return st.from_regex(schema["pattern"], fullmatch=True).filter(
        lambda text: least <= len(text) <= schema.get("maxLength", 4096)
    )


def drawn_whole(kind):
    properties = {name: schema for name, schema in SCHEMAS[kind]["properties"].items() if name in ("spec", "status")}
    return drawn(SCHEMAS[kind] | {"properties": properties})


OBJECTS = {kind: drawn_whole(kind) for kind in MODELS}


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_the_model_takes_every_object_that_the_crd_takes(kind, data):
    model = MODELS[kind]
    value = data.draw(OBJECTS[kind])
    value |= {"apiVersion": f"{model.GROUP}/{model.VERSION}", "kind": kind, "metadata": {"name": "x"}}
    for component in value["spec"].get("components", ()):
        component.pop("traits", None)  # free in the CRD, checked by validation; the application's own test draws them
    try:
        parsed = parse(model, value)
    except InvalidObjectError as error:
        # Refused by the server as well, in the same words.
        assert {fault.message for fault in error.errors} <= rules_of(SCHEMAS[kind])  # noqa: PT017
    else:
        assert dump(parsed) == value
