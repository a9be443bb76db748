"""The scripted API with what whole lives need: generations, finalizers, field managers, owners, patches."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.testing import ScriptedApi
from wasmcloud_operator.kube.testing.api import Recorded
from wasmcloud_operator.kube.testing.objects import Refusal
from wasmcloud_operator.kube.timestamps import rfc3339

_JSON_PATCH = "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"
_GC_SECONDS = 0.5
_KINDS = (APPLICATION, HOST_CONFIG)

# Called with each change of an object: what it was and what it is.
Watcher = Callable[[JsonObject | None, JsonObject | None], None]


@dataclass(slots=True)
class Cluster(ScriptedApi):
    """A `ScriptedApi` that keeps the rules by which objects live and die."""

    watchers: list[Watcher] = field(default_factory=list)
    _uids: int = 0
    _applied: dict[tuple[str, str, str], JsonObject] = field(default_factory=dict)

    def delete(self, resource: Any, key: Any) -> None:
        """What `kubectl delete` does; harmless when it is gone."""
        path = resource.path(key)
        if path in self._objects:
            self._end(path)

    def change(self, resource: Any, key: Any, edit: Callable[[JsonObject], None]) -> None:
        """What `kubectl edit` does."""
        path = resource.path(key)
        body = copy.deepcopy(self._objects[path])
        edit(body)
        self._put_back(path, body)

    def _read(self, request: Recorded) -> tuple[int, JsonObject]:
        for resource in _KINDS:
            if request.path == resource.group_path:
                found = [one for one in _KINDS if one.group_path == request.path]
                entries = [{"name": one.plural, "kind": one.kind, "categories": ["wasmcloud"]} for one in found]
                return 200, {"kind": "APIResourceList", "resources": entries}
        return ScriptedApi._read(self, request)

    def _write(self, request: Recorded) -> tuple[int, JsonObject]:
        kind = request.headers.get("Content-Type")
        path = request.path.removesuffix("/status")
        if request.method == "PATCH" and kind == _JSON_PATCH:
            return 200, self._patched(path, request.body)
        if request.method == "DELETE":
            ScriptedApi._write(self, _only_checked(request))
            left = self._end(path)
            return 200, left if left is not None else {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if request.method == "PATCH" and kind == _APPLY:
            return self._apply(request, path)
        return ScriptedApi._write(self, request)

    def _apply(self, request: Recorded, path: str) -> tuple[int, JsonObject]:
        body = dict(request.body)
        whole = not request.path.endswith("/status")
        body.pop("status" if whole else "spec", None)
        place = (path, request.query["fieldManager"], "" if whole else "status")
        live = self._objects.get(path)
        if live is None:
            answer = ScriptedApi._write(self, request)
            self._applied[place] = body
            return answer
        _check(request, live, path)
        before = self._applied.get(place, {})
        others = [one for at, one in self._applied.items() if at[0] == path and at != place]
        self._applied[place] = body
        wanted = {name: value for name, value in body.items() if name not in ("apiVersion", "kind")}
        wanted["metadata"] = {k: v for k, v in body["metadata"].items() if k not in ("uid", "resourceVersion")}
        return 200, self._put_back(path, _applied(live, before, wanted, others))

    def _patched(self, path: str, patch: Json) -> JsonObject:
        live = self._objects.get(path)
        if live is None:
            raise Refusal(404, "NotFound", f"{path} not found")
        body = copy.deepcopy(live)
        for step in patch:
            *parents, last = step["path"].strip("/").split("/")
            holder: Any = body
            for part in parents:
                holder = holder[int(part)] if isinstance(holder, list) else holder.get(part, {})
            if step["op"] == "test":
                if _at(holder, last) != step["value"]:
                    raise Refusal(422, "Invalid", f"the test operation for {step['path']} failed")
            elif step["op"] == "remove":
                del holder[int(last) if isinstance(holder, list) else last]
            elif isinstance(holder, list):
                holder.insert(len(holder) if last == "-" else int(last), step["value"])
            else:
                holder[last] = step["value"]
        return self._put_back(path, body)

    def _put_back(self, path: str, body: JsonObject) -> JsonObject:
        """Store a changed object; one that is being deleted goes with its last finalizer."""
        metadata = body["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._remove(path)
            return body
        return self._store(path, body)

    def _end(self, path: str) -> JsonObject | None:
        live = self._objects[path]
        if not live["metadata"].get("finalizers"):
            self._remove(path)
            return None
        if live["metadata"].get("deletionTimestamp"):
            return live
        metadata = {**live["metadata"], "deletionTimestamp": rfc3339(self.clock.now())}
        return self._store(path, {**live, "metadata": metadata})

    def _store(self, path: str, body: JsonObject) -> JsonObject:
        old = self._objects.get(path)
        before = old["metadata"].get("generation", 1) if old is not None else 0
        changed = old is None or old.get("spec") != body.get("spec")
        metadata = {**body["metadata"], "generation": before + 1 if changed else before}
        if old is None:  # counted, so that the same sequence makes the same uids
            self._uids += 1
            metadata.setdefault("uid", f"{self._uids:08x}-0000-4000-8000-{self._uids * 0x9E3779B1 % 2**48:012x}")
        if old is not None and metadata.get("uid") in (None, old["metadata"]["uid"]) and not changed:
            metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        stored = ScriptedApi._store(self, path, {**body, "metadata": metadata})
        if stored is not old:
            self._notify(old, stored)
        return stored

    def _remove(self, path: str) -> None:
        old = self._objects[path]
        ScriptedApi._remove(self, path)
        for place in [place for place in self._applied if place[0] == path]:
            del self._applied[place]
        self._notify(old, None)
        asyncio.get_running_loop().call_later(_GC_SECONDS, self._collect, old["metadata"]["uid"])

    def _collect(self, uid: str) -> None:
        """The garbage collector: what has no owner any more goes."""
        living = {body["metadata"]["uid"] for body in self._objects.values()}
        for path, body in list(self._objects.items()):
            owners = {one["uid"] for one in body["metadata"].get("ownerReferences") or ()}
            if uid in owners and not owners & living and path in self._objects:
                self._end(path)

    def _notify(self, old: JsonObject | None, new: JsonObject | None) -> None:
        for watcher in self.watchers:
            watcher(old, new)


def _only_checked(request: Recorded) -> Recorded:
    """The request as a patch of nothing: it fails where the delete would."""
    wanted = (request.body or {}).get("preconditions") or {}
    headers = {"Content-Type": "application/merge-patch+json"}
    return Recorded("PATCH", request.path, request.query, headers, {"metadata": wanted}, request.at)


def _check(request: Recorded, live: JsonObject, path: str) -> None:
    wanted = request.body["metadata"]
    if wanted.get("uid") not in (None, live["metadata"]["uid"]):
        raise Refusal(409, "Conflict", f"Precondition failed: UID in precondition: {wanted['uid']}")
    if wanted.get("resourceVersion") not in (None, live["metadata"]["resourceVersion"]):
        raise Refusal(409, "Conflict", f"{path}: the object has been modified")


def _applied(live: JsonObject, before: JsonObject, wanted: JsonObject, others: list[JsonObject]) -> JsonObject:
    """The object after one manager's apply: what it had applied before and applies no more goes, unless others do."""
    result = dict(live)
    for name in before.keys() - wanted.keys() - {"apiVersion", "kind"}:
        if not any(name in one for one in others):
            result.pop(name, None)
    for name, value in wanted.items():
        held, former = live.get(name), before.get(name)
        theirs = [one[name] for one in others if name in one]
        if isinstance(value, dict):
            was = former if isinstance(former, dict) else {}
            there = held if isinstance(held, dict) else {}
            result[name] = _applied(there, was, value, [one for one in theirs if isinstance(one, dict)])
        elif name == "conditions":
            lists = [_by_type(one) for one in theirs]
            merged_list = _applied(_by_type(held or []), _by_type(former or []), _by_type(value), lists)
            result[name] = list(merged_list.values())
        else:
            result[name] = value
    return result


def _by_type(entries: Any) -> JsonObject:
    return {entry["type"]: entry for entry in entries}


def _at(holder: Any, last: str) -> Any:
    if isinstance(holder, list):
        return holder[int(last)] if int(last) < len(holder) else None
    return holder.get(last)
