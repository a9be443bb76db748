"""How the API server merges and keeps a field: looked up in the generated table, by type.

Of a kind that is not in the table only `metadata` and the conditions of the status are known. A fragment of an object,
of which nobody knows the type, is looked up by the names of its fields.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.field_shapes import Items, Map, Quantity, Shape, Struct, Type
from wasmcloud_operator.kube.field_table import ROOTS, TYPES

# A fragment of any type.
FRAGMENT = Struct("")
_UNKNOWN_KIND = Struct("an object of a kind that is not in the table")
_STATUS = Struct("the status of an object of a kind that is not in the table")
_TYPES = {
    **TYPES,
    _UNKNOWN_KIND.of: Type({"metadata": Struct("ObjectMeta"), "status": _STATUS}),
    _STATUS.of: Type({"conditions": Items(keys=("type",))}),  # by the API conventions
}
_NOTHING = Type({})


def root(body: Json) -> Shape | None:
    """Returns the shape of a whole object, by its kind; of a fragment of one."""
    if not isinstance(body, dict):
        return None
    if "kind" not in body or "apiVersion" not in body:
        return FRAGMENT
    name = ROOTS.get((body["apiVersion"], body["kind"]))
    return Struct(name) if name else _UNKNOWN_KIND


def field(shape: Shape | None, name: str, value: Json) -> Shape | None:
    """Returns the shape of a field of an object of that shape; None for plain scalars and what is not known."""
    if isinstance(shape, Struct):
        return _type(shape).fields.get(name) if shape.of else _anywhere(name, value)
    return shape.values if isinstance(shape, Map) else None


def is_omitted(shape: Shape | None, name: str, value: Json) -> bool:
    """Whether the API server leaves a field of this value out of its answers, as if it were not set."""
    if value:
        return False
    if value is None or value in ([], ()):
        return True
    if value == {}:
        return isinstance(field(shape, name, value), Map)
    if not isinstance(shape, Struct):
        return False
    return name in (_type(shape).omitted if shape.of else _omitted_anywhere())


def key_of(items: Items, item: JsonObject) -> tuple[Json, ...]:
    """Returns what distinguishes an item of a list that is merged by keys."""
    if not items.defaults:
        return tuple(map(item.get, items.keys))
    defaults = dict(items.defaults)
    return tuple(item.get(key, defaults.get(key)) for key in items.keys)


def _type(shape: Struct) -> Type:
    return _TYPES.get(shape.of, _NOTHING)


def _anywhere(name: str, value: Json) -> Shape | None:
    """Returns the shape that fields of that name have in every type, as far as it fits the value."""
    found = [shape for shape in _by_name().get(name, ()) if _fits(shape, value)]
    if len(found) == 1:
        return found[0]
    if found and all(isinstance(shape, (Struct, Map)) and shape.closed for shape in found):
        return Map(closed=True)
    return FRAGMENT if isinstance(value, dict) else None


def _fits(shape: Shape, value: Json) -> bool:
    match shape:
        case Items():
            return isinstance(value, (list, tuple)) and all(
                isinstance(item, dict) and shape.keys[0] in item for item in value if shape.keys
            )
        case Quantity():
            return isinstance(value, (str, int, float))
    return isinstance(value, dict)


@cache
def _by_name() -> dict[str, list[Shape]]:
    found: dict[str, list[Shape]] = defaultdict(list)
    for type_ in TYPES.values():
        for name, shape in type_.fields.items():
            if shape not in found[name]:
                found[name].append(shape)
    return dict(found)


@cache
def _omitted_anywhere() -> frozenset[str]:
    return frozenset(name for type_ in TYPES.values() for name in type_.omitted)
