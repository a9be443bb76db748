"""Namespaces that must not be read: when they are asked about, and how often. On a real API server: integration."""

from __future__ import annotations

import itertools

import pytest

from support.kube.bench import KubeBench
from support.kube.objects import WIDGET
from wasmcloud_operator.kube.namespaces import Scope
from wasmcloud_operator.kube.testing import Answer

NOTHING = Answer("write", 201, {"status": {"resourceRules": [], "incomplete": False}})
NOBODY_KNOWS = Answer("write", 201, {"status": {"resourceRules": [], "incomplete": True}})
REFUSED = Answer("write", 201, {"status": {"allowed": False}})
ALL = Answer("write", 201, {"status": {"resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}})


@pytest.fixture
def scope(bench: KubeBench) -> Scope:
    made = Scope(bench.client, ("ns", "other"), bench.clock, bench.metrics)
    made.need(WIDGET)
    bench.start(made.run())
    return made


async def test_a_refusal_is_looked_into_only_when_it_lasts(bench: KubeBench, scope: Scope):
    """An API server that has just started refuses everybody until it knows its roles."""
    scope.doubt("ns")
    bench.api.fail(NOTHING)
    await bench.clock.advance(29)
    assert bench.api.requests == []
    await bench.clock.advance(5)
    assert len(bench.api.requests) == 1
    assert scope.narrow(("ns", "other")) == {"other"}


async def test_a_namespace_where_an_informer_is_refused_is_looked_into(bench: KubeBench, scope: Scope):
    informer = bench.informer(namespaces=("ns", "other"), scope=scope)
    bench.api.fail(Answer("watch", 403, {"kind": "Status", "code": 403, "reason": "Forbidden"}), NOTHING)
    await bench.clock.until(lambda: bool(scope.notes), within=60)
    assert len(informer.namespaces) == 1
    await bench.clock.until(lambda: informer.synced)


async def test_a_namespace_left_out_costs_one_request_a_look(bench: KubeBench, scope: Scope):
    """Also where the rules are incomplete, so that each permission has to be reviewed by itself."""
    scope.doubt("ns")
    bench.api.fail(NOBODY_KNOWS, REFUSED, REFUSED)
    await bench.clock.until(lambda: bool(scope.notes))
    bench.api.requests.clear()
    bench.api.fail(*[NOBODY_KNOWS, REFUSED] * 6)
    await bench.clock.advance(60)
    asked = [request.path.rsplit("/", 1)[1] for request in bench.api.requests]
    assert asked == ["selfsubjectrulesreviews", "selfsubjectaccessreviews"] * 6
    assert scope.narrow(("ns",)) == set()


async def test_a_namespace_is_taken_up_again_and_nothing_is_asked_at_rest(bench: KubeBench, scope: Scope):
    scope.doubt("ns")
    bench.api.fail(NOTHING, ALL, ALL)
    await bench.clock.until(lambda: bool(scope.notes))
    await bench.clock.until(lambda: not scope.notes)
    assert scope.narrow(("ns",)) == {"ns"}
    bench.api.requests.clear()
    await bench.clock.advance(600)
    assert bench.api.requests == []


async def test_a_server_that_asks_to_wait_is_asked_about_no_namespace_before(bench: KubeBench, scope: Scope):
    scope.doubt("ns")
    scope.doubt("other")
    bench.api.fail(*[Answer("write", 429, headers={"Retry-After": "30"})] * 9)
    await bench.clock.advance(120)
    asked = [request.at for request in bench.api.requests]
    assert len(asked) >= 3
    assert all(later - earlier >= 30 for earlier, later in itertools.pairwise(asked))
