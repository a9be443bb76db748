"""What becomes of a pod that the Rust operator rendered, a line for each difference: pure. No value is in a line that
may be a secret: of the environment it has names only.
"""

from __future__ import annotations

from collections.abc import Iterator

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.difference import difference

_CONTAINERS = ("containers", "initContainers")
# Distinguished by name where they are listed; of mounts the place in the container counts.
_NAMED = {"env": "name", "volumeMounts": "mountPath", "volumes": "name", "ports": "containerPort"}
_LONGEST = 200


def pod_differences(live: JsonObject, rendered: JsonObject) -> list[str]:
    """The differences between two pod specs; what the API server fills in is none."""
    lines = list(_fields("", _without(live, *_CONTAINERS), _without(rendered, *_CONTAINERS)))
    before, after = _containers(live), _containers(rendered)
    for name in before.keys() | after.keys():
        if name not in after:
            lines.append(f"container {name} is removed")
        elif name not in before:
            lines.append(f"container {name} is added")
        else:
            (was, old), (becomes, new) = before[name], after[name]
            if was != becomes:
                lines.append(f"{name}: runs among {becomes}, not among {was}")
            lines += _fields(f"{name}: ", old, new)
    return sorted(lines)


def _fields(where: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
    for name in sorted(old.keys() & _NAMED.keys() | new.keys()):
        if name in _NAMED:
            yield from _entries(f"{where}{name}", _NAMED[name], old.get(name) or (), new.get(name) or ())
        elif isinstance(new[name], dict):
            yield from _fields(f"{where}{name}.", old.get(name) or {}, new[name])
        elif difference(new[name], old.get(name)) is not None:
            was = _shown(old[name]) if name in old else "not set"
            yield f"{where}{name} becomes {_shown(new[name])} (was {was})"


def _entries(where: str, key: str, old: Json, new: Json) -> Iterator[str]:
    before = {entry[key]: entry for entry in old}
    after = {entry[key]: entry for entry in new}
    for name in before.keys() | after.keys():
        if name not in after:
            yield f"{where}: {name} is removed"
        elif name not in before:
            yield f"{where}: {name} is added"
        elif difference(after[name], before[name]) is not None:
            yield f"{where}: {name} changes"


def _containers(pod: JsonObject) -> dict[str, tuple[str, JsonObject]]:
    return {
        container["name"]: (kind, _without(container, "name"))
        for kind in _CONTAINERS
        for container in pod.get(kind) or ()
    }


def _without(value: JsonObject, *names: str) -> JsonObject:
    return {name: item for name, item in value.items() if name not in names}


def _shown(value: Json) -> str:
    text = " ".join(str(part) for part in value) if isinstance(value, list) else str(value)
    text = text or "nothing"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
