"""What kstatus (Flux, `kubectl wait`, Helm 4) and Argo CD make of an object: judges every status that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lupa
import yaml

Verdict = Literal["Terminating", "InProgress", "Failed", "Current"]

_ARGOCD_CM = Path(__file__).parents[1] / "manifests" / "argocd" / "argocd-cm.yaml"


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
    runtime = lupa.LuaRuntime(unpack_returned_tuples=True)
    check = runtime.eval(f"function(obj)\n{lua or health_lua(obj.get('kind', 'Application'))}\nend")
    answer = check(_to_lua(runtime, obj))
    return answer["status"], answer["message"]


def health_lua(kind: str = "Application") -> str:
    """The health check of a kind as it stands in manifests/argocd."""
    data = yaml.safe_load(_ARGOCD_CM.read_text(encoding="utf-8"))["data"]
    (check,) = (lua for name, lua in data.items() if name.endswith(f"_{kind}"))
    return str(check)


def _to_lua(runtime: lupa.LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from({key: _to_lua(runtime, entry) for key, entry in value.items()})
    if isinstance(value, list):
        return runtime.table_from([_to_lua(runtime, entry) for entry in value])
    return value
