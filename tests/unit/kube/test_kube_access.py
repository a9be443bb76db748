"""What we may do, as the API server answers: our rules in each namespace, and reviews where the rules leave it open."""

from __future__ import annotations

import pytest

from support.kube.bench import KubeBench
from support.kube.objects import WIDGET
from wasmcloud_operator.kube.access import Permission, missing_permissions
from wasmcloud_operator.kube.testing import Answer

GROUP = WIDGET.group


def rules(*granted: dict, incomplete: bool = False) -> Answer:
    return Answer("write", 201, {"status": {"resourceRules": list(granted), "incomplete": incomplete}})


def rule(verb: str, resource: str, group: str = GROUP, **more: object) -> dict:
    return {"verbs": [verb], "apiGroups": [group], "resources": [resource], **more}


def reviewed(*, allowed: bool) -> Answer:
    return Answer("write", 201, {"status": {"allowed": allowed}})


@pytest.mark.parametrize(
    ("granted", "subresource", "allowed"),
    [
        (rule("list", "widgets"), "", True),
        (rule("*", "widgets"), "", True),
        (rule("list", "*", "*"), "", True),
        (rule("list", "widgets/status"), "status", True),
        (rule("list", "*/status"), "status", True),
        (rule("list", "*"), "status", True),
        (rule("watch", "widgets"), "", False),
        (rule("list", "gadgets"), "", False),
        (rule("list", "widgets", ""), "", False),
        (rule("list", "widgets"), "status", False),
        (rule("list", "widgets/status"), "", False),
        (rule("list", "widgets", resourceNames=["one"]), "", False),
    ],
)
async def test_a_rule_grants_what_it_says(bench: KubeBench, granted: dict, subresource: str, allowed: bool):
    bench.api.fail(rules(rule("get", "pods", ""), granted))
    permission = Permission("list", WIDGET, subresource, "ns")
    assert await missing_permissions(bench.client, [permission]) == ([] if allowed else [permission])
    assert len(bench.api.requests) == 1


async def test_a_namespace_is_asked_about_once_however_much_is_needed_in_it(bench: KubeBench):
    bench.api.fail(*[rules(rule("list", "widgets"))] * 100)
    needed = [Permission(verb, WIDGET, "", f"ns-{n}") for n in range(100) for verb in ("list", "watch", "get", "patch")]
    missing = await missing_permissions(bench.client, needed)
    assert missing == [permission for permission in needed if permission.verb != "list"]
    assert len(bench.api.requests) == 100


@pytest.mark.parametrize("allowed", [True, False])
async def test_permissions_that_incomplete_rules_lack_are_reviewed(bench: KubeBench, allowed: bool):
    """An authorizer such as a webhook cannot list what it allows."""
    bench.api.fail(rules(rule("list", "widgets"), incomplete=True), reviewed(allowed=allowed))
    needed = [Permission("list", WIDGET, "", "ns"), Permission("watch", WIDGET, "", "ns")]
    assert await missing_permissions(bench.client, needed) == ([] if allowed else needed[1:])
    assert len(bench.api.requests) == 2


async def test_permissions_needed_in_all_namespaces_are_reviewed(bench: KubeBench):
    bench.api.fail(reviewed(allowed=False))
    needed = [Permission("list", WIDGET)]
    assert await missing_permissions(bench.client, needed) == needed
    assert "namespace" not in str(needed[0])
