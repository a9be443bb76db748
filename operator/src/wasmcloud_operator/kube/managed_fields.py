"""Takes over an object from a field manager that is gone: its fields become ours, so that we can remove them.

A field is removed by server-side apply only when its manager stops sending it. What an earlier program applied under
another manager's name would stay for ever beside what we apply (KEP-555; client-go's csaupgrade does the same for
client-side apply).
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.client import JSON_PATCH, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Invalid
from wasmcloud_operator.kube.resources import Key, Resource

log = structlog.get_logger()

_ATTEMPTS = 3


async def take_over(client: Writer, resource: Resource, key: Key, managers: Collection[str]) -> bool:
    """Make the fields that those managers own ours; whether there were any.

    Raises the errors of `kube.errors`; Invalid when somebody else changes the object again and again meanwhile.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        metadata = (await client.get_whole(resource, key))["metadata"]
        held: list[JsonObject] = metadata.get("managedFields") or []
        wanted = taken_over(held, managers, client.field_manager)
        if wanted == held:
            return False
        patch: list[JsonObject] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": wanted},
        ]
        try:
            await client.patch(resource, key, patch, JSON_PATCH, UNSTRUCTURED)
        except Invalid:  # the test failed: somebody was faster
            if attempt == _ATTEMPTS:
                raise
        else:
            log.info("taken over from another field manager", kind=resource.kind, object=str(key))
            return True
    return False


def taken_over(entries: list[JsonObject], managers: Collection[str], ours: str) -> list[JsonObject]:
    """The `managedFields` with those managers' entries turned into one applied by `ours`, for each subresource."""
    result: list[JsonObject] = []
    mine: dict[tuple[str, str], JsonObject] = {}
    for entry in entries:
        former = entry.get("manager") in managers
        if not former and (entry.get("manager"), entry.get("operation")) != (ours, "Apply"):
            result.append(entry)
            continue
        place = (entry.get("apiVersion", ""), entry.get("subresource", ""))
        if place in mine:
            mine[place]["fieldsV1"] = _union(mine[place].get("fieldsV1") or {}, entry.get("fieldsV1") or {})
        else:
            mine[place] = {**entry, "manager": ours, "operation": "Apply"}
            result.append(mine[place])
    return result


def _union(one: JsonObject, other: JsonObject) -> JsonObject:
    merged = dict(one)
    for name, value in other.items():
        held = merged.get(name)
        merged[name] = _union(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged
