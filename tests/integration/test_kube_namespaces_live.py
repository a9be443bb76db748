"""Namespaces that must not be read are left out and keep nobody waiting: a real API server, real roles."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.kube.live import KubeLive, allow, config_map, live_now, names
from testbed import Admin, ControlPlane, eventually
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.kube import namespaces
from wasmcloud_operator.kube.access import Permission, missing_permissions
from wasmcloud_operator.kube.namespaces import Scope
from wasmcloud_operator.kube.resources import CONFIG_MAP

USER = "alice"
BINDING = "rbac.authorization.k8s.io/v1/RoleBinding"


@pytest.fixture
async def other(admin: Admin) -> str:
    name = f"other-{secrets.token_hex(3)}"
    await admin.create_namespace(name)
    return name


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "_LOOK_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(namespaces, "_GRACE_SECONDS", 1.0)


@asynccontextmanager
async def scope_of(live: KubeLive, *namespaces: str) -> AsyncIterator[Scope]:
    """A scope that runs, as it is when the operator has started."""
    made = Scope(live.client, namespaces, SYSTEM_CLOCK, live.metrics)
    made.need(CONFIG_MAP)
    needed = [Permission(verb, CONFIG_MAP, "", name) for name in namespaces for verb in ("list", "watch")]
    made.begin(await missing_permissions(live.client, needed))
    live.start(made.run())
    yield made


async def test_a_namespace_without_a_role_is_left_out_until_it_has_one(
    control_plane: ControlPlane, admin: Admin, namespace: str, other: str
):
    await allow(admin, USER, namespace)
    await admin.create(config_map("here", namespace))
    await admin.create(config_map("there", other))
    async with (
        KubeLive.open(control_plane.kubeconfig_for(control_plane.user(USER))) as live,
        scope_of(live, namespace, other) as made,
    ):
        informer = live.informer(namespaces=made.wanted, scope=made)
        await live_now(informer)
        assert (names(informer, namespace), names(informer, other)) == ({"here"}, set())
        assert informer.synced_in(namespace)
        assert not informer.synced_in(other)
        (note,) = made.notes
        assert note == (
            f"namespace {other} is left out: the operator may not list configmaps in namespace {other}, nor 1 more"
        )
        assert made.problems == []
        assert live.value("kube_namespaces_left_out") == 1

        await allow(admin, USER, other)
        await eventually(lambda: names(informer, other) == {"there"})
        await eventually(lambda: made.notes == [])
        asked = live.requests()
        await admin.create(config_map("more", other))
        await eventually(lambda: names(informer, other) == {"there", "more"})
        assert live.requests() == asked, "at rest nothing is asked"


async def test_a_namespace_that_loses_its_role_is_left_out_after_a_while(
    control_plane: ControlPlane, admin: Admin, namespace: str, other: str
):
    for name in (namespace, other):
        await allow(admin, USER, name)
        await admin.create(config_map("one", name))
    async with (
        KubeLive.open(control_plane.kubeconfig_for(control_plane.user(USER))) as live,
        scope_of(live, namespace, other) as made,
    ):
        informer = live.informer(namespaces=made.wanted, scope=made, idle=0.5)
        await eventually(lambda: informer.synced)
        known_at_the_end: list[bool] = []
        informer.on_change(
            lambda change, _: known_at_the_end.append(informer.synced_in(other)) if change.new is None else None
        )
        await admin.delete(BINDING, USER, other)
        await eventually(lambda: "403" in informer.problem)
        assert names(informer, other) == {"one"}  # it may be the API server that is not well
        await eventually(lambda: made.notes != [])
        await eventually(lambda: not names(informer, other))
        assert set(known_at_the_end) == {False}, "what is left out would be taken for gone"
        assert names(informer, namespace) == {"one"}

        await allow(admin, USER, other)
        await eventually(lambda: names(informer, other) == {"one"})


async def test_with_none_left_there_is_a_problem(control_plane: ControlPlane, admin: Admin, namespace: str):
    async with (
        KubeLive.open(control_plane.kubeconfig_for(control_plane.user(USER))) as live,
        scope_of(live, namespace) as made,
    ):
        informer = live.informer(namespaces=made.wanted, scope=made)
        assert made.notes == []
        assert [namespace in problem for problem in made.problems] == [True]
        await allow(admin, USER, namespace)
        await live_now(informer)
        await eventually(lambda: informer.synced_in(namespace))
        await eventually(lambda: made.problems == [])


async def test_all_namespaces_are_followed_as_one_or_not_at_all(control_plane: ControlPlane):
    async with (
        KubeLive.open(control_plane.kubeconfig_for(control_plane.user(USER))) as live,
        scope_of(live) as made,
    ):
        made.begin([Permission("list", CONFIG_MAP)])
        informer = live.informer(namespaces=made.wanted, scope=made, idle=0.5)
        await eventually(lambda: "403" in informer.problem)
        assert informer.namespaces == {""}
        assert (made.problems, made.notes) == ([], [])  # the informer says it
