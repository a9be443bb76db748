"""The scripted API: objects with a history, and a list of faults that requests run into."""

from __future__ import annotations

import asyncio
import copy
from bisect import bisect_right
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

import msgspec

from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.codec import INITIAL_EVENTS_END
from wasmcloud_operator.kube.resources import Key, Resource
from wasmcloud_operator.kube.testing.faults import (
    Answer,
    ConnectionCut,
    Cut,
    ErrorEvent,
    Fault,
    Garbage,
    InStream,
    NoAnswer,
    On,
    Silent,
)
from wasmcloud_operator.kube.testing.objects import RecordedChange, Refusal, merged, namespaced_path, selected, status
from wasmcloud_operator.kube.timestamps import rfc3339

WatchList = Literal["streamed", "refused", "ignored"]

_SET_BY_SERVER = ("creationTimestamp", "uid", "resourceVersion")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came; `at` is the clock's monotonic time."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Json
    at: float

    @property
    def watch(self) -> bool:
        """Whether it opens a watch."""
        return self.query.get("watch") == "true"

    @property
    def lists(self) -> bool:
        """Whether it lists objects, in pages or as a watch that sends them first."""
        if self.watch:
            return "sendInitialEvents" in self.query
        return self.method == "GET" and "limit" in self.query

    def hits(self, on: On) -> bool:
        """Whether a fault of that kind is meant for it."""
        page = "continue" in self.query
        read = self.method == "GET" and not self.watch
        return {
            "any": True,
            "read": read,
            "list": self.lists and not self.watch and not page,
            "page": page,
            "watch": self.watch,
            "write": self.method != "GET",
        }[on]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with its whole body."""

    code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ScriptedApi:
    """Objects of any kind, their history, and the faults to come.

    `put`, `remove` and `compact` are what others do to the cluster; `fail` adds faults, each for one request, in order;
    `requests` is what was asked. `watch_list` says how the server takes `sendInitialEvents`: streams the list
    (KEP-3157), refuses it with 422, or ignores it as servers did before they knew of it.
    """

    clock: Clock = SYSTEM_CLOCK
    watch_list: WatchList = "streamed"
    bookmark_seconds: float = 60.0
    page_size: int = 0  # the largest page that the server sends; 0: as large as was asked for
    version: int = 100_000
    requests: list[Recorded] = field(default_factory=list)
    _objects: dict[str, JsonObject] = field(default_factory=dict)
    _history: list[RecordedChange] = field(default_factory=list)
    _oldest: int = 0
    _faults: list[Fault] = field(default_factory=list)
    _lists: dict[str, tuple[int, list[JsonObject]]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _epoch: int = 0

    def fail(self, *faults: Fault) -> None:
        """Have the next requests run into these faults."""
        self._faults += faults

    def put(self, resource: Resource, body: JsonObject) -> JsonObject:
        """Creates the object or replaces it. Returns it as stored. A uid in the body makes it another object."""
        metadata = body["metadata"]
        path = resource.path(Key(metadata.get("namespace", ""), metadata["name"]))
        return self._store(path, {"apiVersion": resource.api_version, "kind": resource.kind, **copy.deepcopy(body)})

    def remove(self, resource: Resource, key: Key) -> None:
        """Delete the object at once."""
        self._remove(resource.path(key))

    def get(self, resource: Resource, key: Key) -> JsonObject | None:
        """The object as stored."""
        return self._objects.get(resource.path(key))

    def all(self, resource: Resource) -> dict[Key, JsonObject]:
        """All objects of a kind."""
        found = self._select(resource.collection(), {})
        return {Key(body["metadata"].get("namespace", ""), body["metadata"]["name"]): body for body in found}

    def compact(self) -> None:
        """Forget the history, as etcd does: older resourceVersions and continue tokens are answered with 410.

        Watches that are open go on, as they do on the real server's watch cache.
        """
        self._lists.clear()
        self._oldest = self.version

    def cut_streams(self) -> None:
        """Break the connections of all open watches, as a restart does."""
        self._epoch += 1
        self._wake()

    def rewind(self, steps: int) -> None:
        """Restart with a history that is so many resourceVersions shorter, as after a restored backup of etcd.

        The objects stay as they are, at versions that were before.
        """
        self._history.clear()
        self._lists.clear()
        self.version = self._oldest = self.version - steps
        for number, (path, body) in enumerate(self._objects.items()):
            version = str(self.version - number)
            self._objects[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        self.cut_streams()

    def backup(self) -> tuple[int, dict[str, JsonObject]]:
        """What `restore` takes: the version and the objects as they are now."""
        return self.version, dict(self._objects)

    def restore(self, backup: tuple[int, Mapping[str, JsonObject]]) -> None:
        """Restart with the objects and the version of a backup; the history after it is lost."""
        version, objects = backup
        self.rewind(self.version - version)
        self._objects = dict(objects)

    def record(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Json
    ) -> tuple[Recorded, Fault | None]:
        """Takes note of a request. Returns it with the fault that it runs into."""
        request = Recorded(method, path, dict(query), dict(headers), body, self.clock.monotonic())
        self.requests.append(request)
        fault = next((fault for fault in self._faults if request.hits(fault.on)), None)
        if fault is not None:
            self._faults.remove(fault)
        return request, fault

    async def answer(self, request: Recorded, fault: Fault | None) -> Reply:
        """The answer to anything but a watch, or to a watch that is refused."""
        if isinstance(fault, Answer):
            body = fault.body.encode() if isinstance(fault.body, str) else msgspec.json.encode(fault.body)
            return Reply(fault.code, body, fault.headers)
        if isinstance(fault, NoAnswer) and not fault.late:
            await asyncio.Event().wait()
        try:
            code, document = self._read(request) if request.method == "GET" else self._write(request)
        except Refusal as refusal:
            code, document = refusal.code, status(refusal.code, refusal.reason, str(refusal), refusal.field)
        if isinstance(fault, NoAnswer):
            await asyncio.Event().wait()
        return Reply(code, msgspec.json.encode(document))

    def refused(self, request: Recorded, fault: Fault | None) -> bool:
        """Whether a watch is answered like any other request instead of with a stream."""
        return isinstance(fault, (Answer, NoAnswer)) or (self.watch_list == "refused" and request.lists)

    async def stream(self, request: Recorded, fault: Fault | None) -> AsyncGenerator[bytes, None]:
        """The chunks of a watch. Raises ConnectionCut where the connection is to break."""
        plan = fault if isinstance(fault, InStream) else None
        half = isinstance(plan, Cut) and plan.half_line
        left = float("inf") if plan is None else plan.after
        async with aclosing(self._lines(request, silent=isinstance(plan, Silent))) as lines:
            while left > 0 or half:
                line = await anext(lines, None)
                if line is None:
                    return
                if left <= 0:
                    yield line[: len(line) // 2]
                    break
                yield line + b"\n"
                left -= 1
        if isinstance(plan, Silent):
            await asyncio.Event().wait()
        if isinstance(plan, Cut):
            raise ConnectionCut
        if isinstance(plan, ErrorEvent):
            error = status(plan.code, plan.reason, plan.message)
            yield msgspec.json.encode({"type": "ERROR", "object": error}) + b"\n"
        if isinstance(plan, Garbage):
            yield b"<html>not an event</html>\n"

    async def _lines(self, request: Recorded, *, silent: bool) -> AsyncGenerator[bytes, None]:
        """The events as they come, without end unless the watch's time is over."""
        lifetime = float(request.query.get("timeoutSeconds", 1800))
        ends = self.clock.monotonic() + lifetime
        version = int(request.query.get("resourceVersion") or 0)
        if version and (refusal := self._refusal(version)) is not None:
            yield _line("ERROR", refusal)
            return
        if not version:
            version = self.version
            for line in self._initial(request):
                yield line
        epoch = self._epoch
        while True:
            if epoch != self._epoch:
                raise ConnectionCut
            changed = self._changed  # before the history is read: what comes while it is sent must wake this stream
            for change in self._history[bisect_right(self._history, version, key=lambda change: change.version) :]:
                version = change.version
                if (event := change.seen_by(request.path, request.query)) is not None:
                    yield _line(*event)
            left = ends - self.clock.monotonic()
            if left <= 0:
                return
            try:
                async with self.clock.timeout(left if silent else min(left, self.bookmark_seconds)):
                    await changed.wait()
            except TimeoutError:
                if self.clock.monotonic() < ends and not silent:
                    yield _bookmark(self.version, {})

    def _refusal(self, version: int) -> JsonObject | None:
        if version < self._oldest:
            return status(410, "Expired", f"too old resource version: {version} ({self._oldest})")
        if version > self.version:
            return status(504, "Timeout", f"Too large resource version: {version}, current: {self.version}")
        return None

    def _initial(self, request: Recorded) -> list[bytes]:
        lines = [_line("ADDED", body) for body in self._select(request.path, request.query)]
        if request.lists and self.watch_list == "streamed":
            lines.append(_bookmark(self.version, {INITIAL_EVENTS_END: "true"}))
        return lines

    def _read(self, request: Recorded) -> tuple[int, JsonObject]:
        if request.watch:
            raise Refusal(422, "Invalid", "sendInitialEvents is forbidden for watch unless WatchList is enabled")
        if (body := self._objects.get(request.path)) is not None:
            return 200, body
        if not request.lists and not self._select(request.path, {}):
            raise Refusal(404, "NotFound", f"{request.path} not found")
        return 200, self._page(request)

    def _page(self, request: Recorded) -> JsonObject:
        limit = int(request.query.get("limit", 0)) or 10**9
        limit = min(limit, self.page_size or limit)
        token = request.query.get("continue", "")
        if token:
            if token not in self._lists:
                raise Refusal(410, "Expired", "The provided continue parameter is too old")
            version, items = self._lists.pop(token)
        else:
            version, items = self.version, self._select(request.path, request.query)
        page, rest = items[:limit], items[limit:]
        following = uuid4().hex if rest else ""
        if rest:
            self._lists[following] = (version, rest)
        return {"kind": "List", "metadata": {"resourceVersion": str(version), "continue": following}, "items": page}

    def _write(self, request: Recorded) -> tuple[int, JsonObject]:
        path, body = request.path, request.body or {}
        if request.method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self._objects:
                raise Refusal(409, "AlreadyExists", f"{path} already exists")
            return 201, self._store(path, body)
        path = path.removesuffix("/status")
        live = self._objects.get(path)
        wanted = (body.get("preconditions") or body.get("metadata") or {}) if isinstance(body, dict) else {}
        apply = request.headers.get("Content-Type", "").startswith("application/apply-patch+yaml")
        if live is None:
            if apply and not wanted.get("uid"):
                return 201, self._store(path, body)
            code, reason = (409, "Conflict") if apply else (404, "NotFound")
            raise Refusal(code, reason, f"{path} not found")
        for name in ("uid", "resourceVersion"):
            if wanted.get(name) not in (None, live["metadata"][name]):
                if apply and name == "uid":
                    raise Refusal(422, "Invalid", "metadata.uid: field is immutable", field="metadata.uid")
                raise Refusal(409, "Conflict", f"Precondition failed: {name} in precondition: {wanted[name]}")
        if request.method == "DELETE":
            if live["metadata"].get("finalizers"):
                going = {"deletionTimestamp": rfc3339(self.clock.now()), **live["metadata"]}
                return 200, self._store(path, {**live, "metadata": going})
            self._remove(path)
            return 200, status(200, "", "")
        if isinstance(body, list):
            raise Refusal(415, "UnsupportedMediaType", "JSON patches are not scripted")
        return 200, self._store(path, body if request.method == "PUT" else merged(live, body))

    def _store(self, path: str, body: JsonObject) -> JsonObject:
        old = self._objects.get(path)
        before = (old or {}).get("metadata", {})
        metadata = body["metadata"]
        held = {name: before[name] for name in _SET_BY_SERVER if name in before}
        if old is not None and {**body, "metadata": {**held, **metadata}} == old:
            return old  # nothing changed, so no new version, as on the real server
        uid = metadata.get("uid") or before.get("uid") or str(uuid4())
        if old is not None and before["uid"] != uid:
            self._remove(path)
            old, before = None, {}
        self.version += 1
        stored = {
            **body,
            "metadata": {
                "creationTimestamp": before.get("creationTimestamp") or rfc3339(self.clock.now()),
                **metadata,
                "uid": uid,
                "resourceVersion": str(self.version),
            },
        }
        self._objects[path] = stored
        self._note(RecordedChange(self.version, path, old, stored))
        return stored

    def _remove(self, path: str) -> None:
        old = self._objects.pop(path)
        self.version += 1
        self._note(RecordedChange(self.version, path, old, None))

    def _note(self, change: RecordedChange) -> None:
        self._history.append(change)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _select(self, path: str, query: Mapping[str, str]) -> list[JsonObject]:
        return [
            body for at, body in sorted(self._objects.items()) if namespaced_path(at, path) and selected(body, query)
        ]


def _line(kind: str, body: JsonObject) -> bytes:
    return msgspec.json.encode({"type": kind, "object": body})


def _bookmark(version: int, annotations: dict[str, str]) -> bytes:
    # `null` is what servers before 1.35 write here.
    metadata = {"resourceVersion": str(version), "creationTimestamp": None, "annotations": annotations}
    return _line("BOOKMARK", {"metadata": metadata})
