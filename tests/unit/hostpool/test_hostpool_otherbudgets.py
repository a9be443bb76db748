"""Budgets of others for the pool's pods: which those are, and what becomes of ours."""

from __future__ import annotations

import pytest

from support.objects.hostpools import config, rendered
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.other_budgets import budget_warnings, selects

LABELS = {"app": "a", "tier": "edge"}


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "a"}}, True),
        ({"matchLabels": {"app": "b"}}, False),
        ({"matchLabels": {"app": "a", "other": "x"}}, False),
        (expression("app", "In", "a", "b"), True),
        (expression("none", "In", "a"), False),
        (expression("app", "NotIn", "a"), False),
        (expression("none", "NotIn", "a"), True),
        (expression("app", "Exists"), True),
        (expression("none", "Exists"), False),
        (expression("app", "DoesNotExist"), False),
        (expression("none", "DoesNotExist"), True),
        ({"matchLabels": {"app": "a"}, **expression("tier", "NotIn", "edge")}, False),
    ],
)
def test_a_budget_is_for_the_pods_that_its_selector_selects(selector, selected):
    assert selects({"spec": {"selector": selector}}, LABELS) is selected
    assert not selects({}, LABELS)


def test_the_default_budget_stands_back_for_another_and_one_that_is_asked_for_does_not():
    facts = Facts(other_budget="theirs")
    assert "PodDisruptionBudget" not in rendered({"hostReplicas": 3}, facts).kinds
    assert "PodDisruptionBudget" in rendered({"hostReplicas": 3, "podDisruptionBudget": {}}, facts).kinds


@pytest.mark.parametrize(
    ("spec", "warned"),
    [
        ({"hostReplicas": 3}, []),
        ({"podDisruptionBudget": {"enabled": False}}, []),
        ({"podDisruptionBudget": {"minAvailable": 1}}, ["SecondBudget"]),
    ],
)
def test_two_budgets_are_warned_of(spec, warned):
    found = list(budget_warnings(config(spec).spec, Facts(other_budget="theirs")))
    assert [problem.reason for problem in found] == warned
    assert list(budget_warnings(config(spec).spec, Facts())) == []
