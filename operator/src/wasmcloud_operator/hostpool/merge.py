"""Users' additions to the pod and its containers, merged as a strategic merge patch does; the user's values win."""

from __future__ import annotations

from collections.abc import Iterator

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.field_shapes import Items, Shape, Struct
from wasmcloud_operator.kube.fields import FRAGMENT, field, is_omitted, key_of

# Entries that hold one of several alternatives: ours must not stay beside the user's.
_WHOLE_ENTRIES = frozenset({"env", "volumes", "resourceClaims"})
_HANDLERS = frozenset({"httpGet", "exec", "tcpSocket", "grpc", "sleep"})
# Lists of which the user's takes the place of ours: who spreads pods by zones need not want them spread by nodes.
_REPLACED = frozenset({"topologySpreadConstraints"})
# Lists that a pod can be without: null takes them out.
_SPARED = _REPLACED | {"sysctls", "preferredDuringSchedulingIgnoredDuringExecution"}
# Lists in which a name may stand twice: of two variables the last counts, as for the kubelet; a pull secret is but one.
_LAST_COUNTS = frozenset({"env", "imagePullSecrets"})
# Without restartPolicy the leaf would be an init container that never ends.
_INDISPENSABLE = frozenset({"name", "image", "restartPolicy"})


POD_SPEC = Struct("PodSpec")
CONTAINER = Struct("Container")


def merged(base: JsonObject, additions: JsonObject, shape: Shape | None = FRAGMENT) -> JsonObject:
    """`base` with the additions over it: objects merge field by field, lists that have merge keys by those.

    Null takes out what `base` has, but nothing that a pod cannot be without: of lists, which a template's bare field
    would empty, only some.
    """
    result = dict(base)
    if any(name in _HANDLERS and value is not None for name, value in additions.items()):
        result = {name: value for name, value in result.items() if name not in _HANDLERS}
    for name, value in additions.items():
        if value is not None:
            result[name] = _merged_value(name, result.get(name), value, field(shape, name, value))
        elif name in _SPARED or not (name in _INDISPENSABLE or isinstance(result.get(name), list)):
            result.pop(name, None)
    return result


def _merged_value(name: str, base: Json, addition: Json, shape: Shape | None) -> Json:
    if isinstance(base, dict) and isinstance(addition, dict):
        return merged(base, addition, shape)
    lists = isinstance(base, list | None) and isinstance(addition, list) and name not in _REPLACED
    if lists and isinstance(shape, Items) and shape.keys:
        return _merged_list(base or [], addition, shape, whole=name in _WHOLE_ENTRIES)
    return addition


def _merged_list(base: list[JsonObject], additions: list[JsonObject], items: Items, *, whole: bool) -> list[JsonObject]:
    result = {key_of(items, item): item for item in base}
    for item in additions:
        key = key_of(items, item)
        held = result.get(key)
        result[key] = item if whole else merged(held or {}, item, items.of)
    return list(result.values())


def repeated(value: Json, shape: Shape | None, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields the path of each entry of a list that has the keys of an earlier one, and the names of these keys.

    The API server takes no such list, and answers with an error as if it were its own.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in _LAST_COUNTS:
                yield from repeated(item, field(shape, name, item), f"{path}.{name}")
    elif isinstance(value, list) and isinstance(shape, Items):
        held: set[tuple[Json, ...]] = set()
        for index, item in enumerate(value):
            key = key_of(shape, item) if shape.keys else (index,)
            if key in held:
                yield f"{path}[{index}]", " and ".join(shape.keys)
            held.add(key)
            yield from repeated(item, shape.of, f"{path}[{index}]")


def normal(value: Json, shape: Shape | None = FRAGMENT) -> Json:
    """The value without what the API server would leave out: it would look missing for ever."""
    if isinstance(value, list):
        return [normal(item, shape.of if isinstance(shape, Items) else None) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        # Most values are plain: no need to look up what they are.
        name: normal(item, field(shape, name, item)) if isinstance(item, (dict, list)) else item
        for name, item in value.items()
        if not is_omitted(shape, name, item)
    }
