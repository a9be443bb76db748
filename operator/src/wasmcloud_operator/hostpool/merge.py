"""Users' additions to the pod and its containers, merged as a strategic merge patch does; the user's values win."""

from __future__ import annotations

from wasmcloud_operator.kube.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.strategic_merge import FREE_MAPS, KEY_DEFAULTS, is_dropped

# The merge keys of a pod's lists, from the API types' `patchMergeKey`. Lists that are not here are replaced whole.
_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
}
# Entries that hold one of several alternatives: ours must not stay beside the user's.
_WHOLE_ENTRIES = frozenset({"env", "volumes", "resourceClaims"})
_HANDLERS = frozenset({"httpGet", "exec", "tcpSocket", "grpc", "sleep"})
# Without restartPolicy the leaf would be an init container that never ends.
_INDISPENSABLE = frozenset({"name", "image", "restartPolicy"})


def merged(base: JsonObject, additions: JsonObject) -> JsonObject:
    """`base` with the additions over it: objects merge field by field, known lists by their merge keys.

    Null takes out what `base` has, but no list, which a template's bare field would empty, and nothing that a container
    cannot be without.
    """
    result = dict(base)
    if any(name in _HANDLERS and value is not None for name, value in additions.items()):
        result = {name: value for name, value in result.items() if name not in _HANDLERS}
    for name, value in additions.items():
        if value is not None:
            result[name] = _merged_value(name, result.get(name), value)
        elif name not in _INDISPENSABLE and not isinstance(result.get(name), list):
            result.pop(name, None)
    return result


def _merged_value(name: str, base: Json, addition: Json) -> Json:
    if isinstance(base, dict) and isinstance(addition, dict):
        return merged(base, addition)
    if isinstance(base, list) and isinstance(addition, list) and name in _MERGE_KEYS:
        return _merged_list(name, base, addition)
    return addition


def _merged_list(name: str, base: list[JsonObject], additions: list[JsonObject]) -> list[JsonObject]:
    keys = _MERGE_KEYS[name]
    result = {_key(item, keys): item for item in base}
    for item in additions:
        key = _key(item, keys)
        held = result.get(key)
        result[key] = item if held is None or name in _WHOLE_ENTRIES else merged(held, item)
    return list(result.values())


def _key(item: JsonObject, keys: tuple[str, ...]) -> tuple[Json, ...]:
    return tuple(item.get(key, KEY_DEFAULTS.get(key)) for key in keys)


def normal(value: Json) -> Json:
    """The value without what the API server would leave out: it would look missing for ever."""
    if isinstance(value, list):
        return [normal(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: item if name in FREE_MAPS else normal(item) for name, item in value.items() if not is_dropped(name, item)
    }
