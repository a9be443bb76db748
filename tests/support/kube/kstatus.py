"""What kstatus (Flux, `kubectl wait`, Helm 4) and Argo CD make of an object: judges every status that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lupa
import yaml

Verdict = Literal["Terminating", "InProgress", "Failed", "Current"]

_ARGOCD_CM = Path(__file__).parents[3] / "manifests" / "gitops" / "argocd" / "argocd-cm.yaml"


def kstatus(obj: dict[str, Any]) -> Verdict:
    """cli-utils `pkg/kstatus`, the rules for custom resources in their order."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata.get("generation"):
        return "InProgress"
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    if "Ready" in conditions:
        return "Current" if conditions["Ready"] == "True" else "InProgress"
    return "Current"


def argocd_health(obj: dict[str, Any], lua: str = "") -> tuple[str, str]:
    """Status and message that Argo CD shows, by running the health check in a Lua interpreter."""
    answer = _run(lua or health_lua(obj.get("kind", "Application")), obj)
    return answer["status"], answer["message"]


def health_lua(kind: str = "Application") -> str:
    """The health check of a kind as it stands in manifests/gitops/argocd."""
    return _customization("health", kind)


def argocd_actions(obj: dict[str, Any]) -> dict[str, bool]:
    """The actions that Argo CD offers for an object; False for one that is greyed out."""
    lua = yaml.safe_load(_customization("actions", obj["kind"]))["discovery.lua"]
    return {name: not action["disabled"] for name, action in _run(lua, obj).items()}


def argocd_act(obj: dict[str, Any], action: str) -> dict[str, Any]:
    """The object as an action of Argo CD returns it, to be patched into the cluster."""
    definitions = yaml.safe_load(_customization("actions", obj["kind"]))["definitions"]
    (lua,) = (each["action.lua"] for each in definitions if each["name"] == action)
    acted = _from_lua(_run(lua, obj))
    assert isinstance(acted, dict)
    return acted


def _customization(what: str, kind: str) -> str:
    data = yaml.safe_load(_ARGOCD_CM.read_text(encoding="utf-8"))["data"]
    start = f"resource.customizations.{what}."
    (found,) = (lua for name, lua in data.items() if name.startswith(start) and name.endswith(f"_{kind}"))
    return str(found)


def _run(lua: str, obj: dict[str, Any]) -> Any:
    runtime = lupa.LuaRuntime(unpack_returned_tuples=True)
    # Argo CD opens no more than base, package, table and a part of os for scripts of its users.
    runtime.execute("getmetatable('').__index = nil; string, math, io, debug, coroutine, utf8 = nil")
    return runtime.eval(f"function(obj)\n{lua}\nend")(_to_lua(runtime, obj))


def _from_lua(value: Any) -> Any:
    if lupa.lua_type(value) != "table":
        return value
    entries = dict(value.items())
    if entries and set(entries) == set(range(1, len(entries) + 1)):
        return [_from_lua(entries[at]) for at in sorted(entries)]
    return {key: _from_lua(entry) for key, entry in entries.items()}


def _to_lua(runtime: lupa.LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from({key: _to_lua(runtime, entry) for key, entry in value.items()})
    if isinstance(value, list):
        return runtime.table_from([_to_lua(runtime, entry) for entry in value])
    return value
