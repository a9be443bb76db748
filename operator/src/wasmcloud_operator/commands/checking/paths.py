"""JSON paths as in Kubernetes' messages (`spec.components[0].name`): a value without what is at some of them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator_types.parsing import child_path, path_around


def without_paths(item: JsonObject, paths: AbstractSet[str]) -> JsonObject:
    """Returns an object without the fields at the paths, and without the lists that items at the paths are in.

    (The rest of such a list would get other paths.)
    """
    fields = {_field(path) for path in paths}
    return {key: _without(value, fields, key) for key, value in item.items() if key not in fields}


def _without(value: Json, fields: AbstractSet[str], at: str) -> Json:
    if isinstance(value, dict):
        inner = {key: child_path(at, key) for key in value}
        return {key: _without(value[key], fields, path) for key, path in inner.items() if path not in fields}
    if isinstance(value, list):
        return [_without(item, fields, child_path(at, index)) for index, item in enumerate(value)]
    return value


def _field(path: str) -> str:
    while path.endswith("]") and not path.endswith('"]'):
        path = path_around(path)
    return path
