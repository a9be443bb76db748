"""JSON Schemas of both kinds, for editors and for tools that look at files before they reach a cluster.

They come from the schemas of the CRDs, so they take what the API server takes; only the rules in CEL are not in them.
"""

from __future__ import annotations

from wasmcloud_operator_types.application import Application
from wasmcloud_operator_types.crd import APPLICATION, HOST_CONFIG, custom_resource_definition
from wasmcloud_operator_types.hostconfig import WasmCloudHostConfig
from wasmcloud_operator_types.schema import Schema

DRAFT = "http://json-schema.org/draft-07/schema#"

_KINDS = {WasmCloudHostConfig: HOST_CONFIG, Application: APPLICATION}
_KEPT = (
    "description",
    "enum",
    "pattern",
    "format",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
)


def json_schema(model: type[WasmCloudHostConfig | Application]) -> Schema:
    """Returns the JSON Schema (draft 7) of files that hold one object of the kind; unknown fields are faults."""
    crd = custom_resource_definition(_KINDS[model])
    root = _converted(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    root["properties"] |= {
        "apiVersion": {"const": f"{model.GROUP}/{model.VERSION}"},
        "kind": {"const": model.KIND},
        "metadata": {"type": "object"},
    }
    root["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return {"$schema": DRAFT, "title": model.KIND, **root}


def _converted(source: Schema) -> Schema:
    """A structural schema as JSON Schema has it. The API server puts a default in the place of null, too."""
    nullable = source.get("nullable") or "default" in source
    target: Schema = {name: source[name] for name in _KEPT if name in source}
    if source.get("x-kubernetes-int-or-string"):
        number: Schema = {name: target.pop(name) for name in ("minimum", "maximum") if name in target}
        text: Schema = {name: target.pop(name) for name in ("pattern", "maxLength") if name in target}
        kinds = [number | {"type": "integer"}, text | {"type": "string"}]
        return {**target, "anyOf": [*kinds, {"type": "null"}] if nullable else kinds}
    if "type" in source:
        target["type"] = [source["type"], "null"] if nullable else source["type"]
    if "items" in source:
        target["items"] = _converted(source["items"])
    if "properties" in source:
        target["properties"] = {name: _converted(each) for name, each in source["properties"].items()}
    if "additionalProperties" in source:
        target["additionalProperties"] = _converted(source["additionalProperties"])
    elif "properties" in source and not source.get("x-kubernetes-preserve-unknown-fields"):
        target["additionalProperties"] = False
    return target
