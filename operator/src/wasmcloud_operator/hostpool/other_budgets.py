"""PodDisruptionBudgets of others for a pool's pods: pure. Kubernetes evicts no pod that has two: ours stands back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator_types import WasmCloudHostConfigSpec
from wasmcloud_operator_types.defaults import wants_budget


def has_budget(spec: WasmCloudHostConfigSpec, facts: Facts) -> bool:
    """Whether the pool gets a budget of ours: the default only where there is no other."""
    return wants_budget(spec) and (spec.pod_disruption_budget is not None or not facts.other_budget)


def budget_warnings(spec: WasmCloudHostConfigSpec, facts: Facts) -> Iterator[Problem]:
    """What keeps the pods from being evicted."""
    if facts.other_budget and has_budget(spec, facts):
        yield Problem(
            Reason.SECOND_BUDGET,
            ".spec.podDisruptionBudget",
            f"the PodDisruptionBudget {facts.other_budget} is for the host pods, too, and Kubernetes evicts no pod that"
            " has two: delete one, or set enabled to false",
        )


def selects(budget: JsonObject, labels: Mapping[str, str]) -> bool:
    """Whether a budget is for pods with these labels. One with an empty selector is for all, one without for none."""
    selector = (budget.get("spec") or {}).get("selector")
    if not isinstance(selector, dict):
        return False
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or ()
    return wanted.items() <= labels.items() and all(_holds(expression, labels) for expression in expressions)


def _holds(expression: JsonObject, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
