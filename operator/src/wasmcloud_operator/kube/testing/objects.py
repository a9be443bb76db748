"""The scripted API's objects: selection, merging, and how a change looks to a watch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import Json, JsonObject


class Refusal(Exception):
    """A request that the scripted API refuses."""

    def __init__(self, code: int, reason: str, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One step of the history: the object at `path` before and after it."""

    version: int
    path: str
    old: JsonObject | None
    new: JsonObject | None

    def seen_by(self, collection: str, query: Mapping[str, str]) -> tuple[str, JsonObject] | None:
        """The watch event for it (type and object); None if the watch does not select the object."""
        if not namespaced_path(self.path, collection):
            return None
        old = self.old if self.old is not None and selected(self.old, query) else None
        new = self.new if self.new is not None and selected(self.new, query) else None
        if new is not None:
            return ("ADDED" if old is None else "MODIFIED"), new
        if old is None:
            return None
        return "DELETED", {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}


def namespaced_path(path: str, collection: str) -> bool:
    """Whether the object at `path` belongs to the collection, which may be of all namespaces."""
    parent, _, _ = path.rpartition("/")
    if parent == collection:
        return True
    prefix, _, plural = collection.rpartition("/")
    return parent.startswith(f"{prefix}/namespaces/") and parent.endswith(f"/{plural}")


def selected(body: JsonObject, query: Mapping[str, str]) -> bool:
    """Whether the object has the labels and the fields of the selectors (`k=v` pairs)."""
    labels = body["metadata"].get("labels") or {}
    labelled = all(labels.get(name) == value for name, value in _pairs(query.get("labelSelector", "")))
    return labelled and all(_field(body, path) == value for path, value in _pairs(query.get("fieldSelector", "")))


def _pairs(selector: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, selector.split(",")):
        name, _, value = pair.partition("=")
        yield name, value


def _field(body: JsonObject, path: str) -> str:
    found: Json = body
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return str(found or "")


def merged(live: JsonObject, patch: JsonObject) -> JsonObject:
    """RFC 7386: the object with the patch merged in."""
    result = dict(live)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def status(code: int, reason: str, message: str, field: str = "") -> JsonObject:
    """A metav1.Status; `field` is the JSON path that it complains of."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure" if code >= 400 else "Success",
        "code": code,
        "reason": reason,
        "message": message,
        "details": {"causes": [{"field": field, "message": message}] if field else []},
    }
