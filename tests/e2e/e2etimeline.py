"""What happened in a journey's namespace, and when: printed where the journey fails, as by then most of it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

from testbed import Admin
from testbed.admin import ApiError, Object

SERVES = "serves.k8s.wasmcloud.dev/"
GATE = "k8s.wasmcloud.dev/serving"

# Receives each state of an object; whether it is the last.
Take = Callable[[Object, bool], None]


async def follow(admin: Admin, kind: str, namespace: str, take: Take) -> None:
    """List and watch, again and again: a server may end a watch whenever it likes."""
    while True:
        with contextlib.suppress(ApiError):
            listed = await admin.request("GET", await admin.path(kind, namespace))
            for obj in listed["items"]:
                take({"kind": kind.rpartition("/")[2], **obj}, False)
            events = admin.watch(kind, namespace, version=listed["metadata"]["resourceVersion"])
            async with contextlib.aclosing(events):
                async for what, obj in events:
                    take(obj, what == "DELETED")
        await asyncio.sleep(0.1)


@dataclass
class Timeline:
    """The lines, oldest first; an object has a new one when what its line shows has changed."""

    lines: list[str] = field(default_factory=list)
    _last: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, describe: Callable[[Object], str], obj: Object, gone: bool) -> None:
        line = "gone" if gone else describe(obj)
        key = (obj["kind"], obj["metadata"]["name"])
        if self._last.get(key) != line:
            self._last[key] = line
            self.lines.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {' '.join(key)}: {line}")


@contextlib.asynccontextmanager
async def recording(admin: Admin, namespace: str) -> AsyncIterator[Timeline]:
    """The timeline of a namespace's pods, endpoints and Events from now on."""
    timeline = Timeline()
    kinds = {"v1/Pod": _pod, "discovery.k8s.io/v1/EndpointSlice": _endpoints, "events.k8s.io/v1/Event": _event}
    tasks = [
        asyncio.create_task(follow(admin, kind, namespace, partial(timeline.take, describe)))
        for kind, describe in kinds.items()
    ]
    try:
        yield timeline
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _pod(pod: Object) -> str:
    metadata, status = pod["metadata"], pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    serves = [key.removeprefix(SERVES) for key in metadata.get("labels") or {} if key.startswith(SERVES)]
    shown = [f"on {pod['spec'].get('nodeName', 'no node')}", str(status.get("podIP", "no address"))]
    shown += [f"{name} {conditions[name]['status']}" for name in ("ContainersReady", "Ready") if name in conditions]
    if gate := conditions.get(GATE):
        shown.append(f"serving {gate['status']} ({gate.get('reason')}: {gate.get('message')})")
    shown += [f"serves {', '.join(serves)}"] if serves else []
    restarts = sum(each["restartCount"] for each in status.get("containerStatuses") or [])
    shown += [f"{restarts} restarts"] if restarts else []
    shown += [
        f"{each['name']} ended with {ended['exitCode']} ({ended.get('reason')})"
        for field in ("initContainerStatuses", "containerStatuses")
        for each in status.get(field) or []
        if (ended := each["state"].get("terminated"))
    ]
    shown += ["is going"] if "deletionTimestamp" in metadata else []
    return ", ".join(shown)


def _endpoints(found: Object) -> str:
    each = (
        f"{','.join(one['addresses'])} {' '.join(name for name, true in one['conditions'].items() if true)}"
        for one in found.get("endpoints") or []
    )
    return "; ".join(sorted(each)) or "none"


def _event(event: Object) -> str:
    regarding = event.get("regarding") or {}
    return f"{regarding.get('kind')} {regarding.get('name')}: {event.get('reason')}: {event.get('note')}"
