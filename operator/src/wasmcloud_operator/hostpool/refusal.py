"""What the API server refused, in terms of the host config's own fields."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.hostpool.naming import LEAF_CONTAINER
from wasmcloud_operator.kube.errors import ApiError
from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator.names import HOST_CONTAINER
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator_types import WasmCloudHostConfig, dump

_SCHEDULING = ".spec.schedulingOptions"
_POD = "spec.template.spec"
_STEP = re.compile(r"([^.\[\]]+)|\[([^\]]*)\]")
_ADDITIONS = {HOST_CONTAINER: "wasmcloud", LEAF_CONTAINER: "nats"}
# Fields of their own for what many set without additions.
_HOST_FIELDS = {"image": ".spec.image"}
_LEAF_FIELDS = {"image": ".spec.natsLeafImage"}
_FIELDS = {
    "spec.minAvailable": ".spec.podDisruptionBudget.minAvailable",
    "spec.maxUnavailable": ".spec.podDisruptionBudget.maxUnavailable",
    "spec.strategy.rollingUpdate": f"{_SCHEDULING}.rollingUpdate",
    "spec.updateStrategy.rollingUpdate": f"{_SCHEDULING}.rollingUpdate",
    "spec.template.metadata.labels": ".spec.hostLabels",
}


def refusal(resource: Resource, body: JsonObject, config: WasmCloudHostConfig, error: ApiError) -> Problem:
    """The problem behind a refused apply of `body`, with the paths of the fields that the author wrote."""
    spec = dump(config.spec)
    causes = [(origin(path, body, spec), message) for path, message in error.causes if path]
    named = [path for path, _ in causes if path.startswith(".spec")]
    text = "; ".join(f"{path}: {message}" for path, message in causes) or error.message
    return Problem(
        Reason(f"{resource.kind}Refused"),
        named[0] if named else "",
        f"{resource.kind} refused by the API server: {text}",
    )


def origin(path: str, body: JsonObject, spec: JsonObject) -> str:
    """Where in the config a field of a child comes from; the child's own path if its author did not write it."""
    for prefix, field in _FIELDS.items():
        if path.startswith(prefix):
            return f"{field}{path.removeprefix(prefix)}"
    if not path.startswith(f"{_POD}."):
        return path
    steps = list(_named(path.removeprefix(f"{_POD}."), body["spec"]["template"]["spec"]))
    field, _, name = steps[0].rstrip("]").partition("[")
    if field in ("containers", "initContainers") and name in _ADDITIONS:
        return _in_container(name, steps[1:], spec)
    if _has(spec, ("schedulingOptions", "podTemplateAdditions", field)):
        return f"{_SCHEDULING}.podTemplateAdditions.{'.'.join(steps)}"
    return ".spec.registryCredentialsSecret" if field == "imagePullSecrets" else path


def _in_container(name: str, steps: list[str], spec: JsonObject) -> str:
    which = _ADDITIONS[name]
    field = steps[0].partition("[")[0] if steps else ""
    own = (_HOST_FIELDS if name == HOST_CONTAINER else _LEAF_FIELDS).get(field)
    if _has(spec, ("schedulingOptions", "containerTemplateAdditions", which, field)):
        return f"{_SCHEDULING}.containerTemplateAdditions.{which}.{'.'.join(steps)}"
    if own is not None:
        return own
    if field == "resources":
        return f"{_SCHEDULING}.resources.{which}{''.join(f'.{step}' for step in steps[1:])}"
    return f"{_SCHEDULING}.containerTemplateAdditions.{which}.{'.'.join(steps)}"


def _named(path: str, value: Json) -> Iterator[str]:
    """The path's steps below `value`, an index replaced by the name of the entry where it has one."""
    step = ""
    for field, index in _STEP.findall(path):
        if field:
            if step:
                yield step
            step = field
            value = value.get(field) if isinstance(value, dict) else None
        else:
            entry = _entry(value, index)
            name = entry.get("name") if isinstance(entry, dict) else None
            step += f"[{name or index}]"
            value = entry
    if step:
        yield step


def _entry(value: Json, index: str) -> Json:
    if isinstance(value, list) and index.isdecimal() and int(index) < len(value):
        return value[int(index)]
    return value.get(index) if isinstance(value, dict) else None


def _has(spec: JsonObject, path: tuple[str, ...]) -> bool:
    value: Json = spec
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True
