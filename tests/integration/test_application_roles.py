"""An operator with Roles alone in the namespaces that it watches, and what it needs when such a namespace goes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, EVENT, Site, impatient
from testbed import Admin, ControlPlane, NatsServer, Server
from wasmcloud_operator.commands import rbac
from wasmcloud_operator.kube import namespaces

USER = "carol"
CLUSTER_KINDS = ("ClusterRole", "ClusterRoleBinding")


def granted(objects: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """Manifests of rights, for the user instead of the operator's service account."""
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    return [
        obj
        | {"metadata": obj["metadata"] | ({} if obj["kind"] in CLUSTER_KINDS else {"namespace": namespace})}
        | ({"subjects": [subject]} if "subjects" in obj else {})
        for obj in objects
    ]


@pytest.fixture
async def site(admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server) -> AsyncIterator[Site]:
    """A namespace with the overlay's Role and binding, and an operator that may do nothing else."""
    with impatient():
        async with Site.open(admin, nats_server) as opened:
            for obj in granted(rbac.in_one_namespace(), opened.namespace):
                await admin.create(obj)
            kubeconfig = crds.kubeconfig_for(crds.user(USER))
            settings = {"watch_namespaces": opened.namespace, "cluster_id": secrets.token_hex(4)}
            async with RunningOperator.start(crds, kubeconfig=kubeconfig, **settings):
                yield opened


def is_warning(event: dict[str, Any]) -> bool:
    """Whether the operator warns; that the pods of a cluster without nodes find no place is no judgement of its own."""
    ours = event.get("reportingController", "").startswith("wasmcloud-operator")
    return event["type"] == "Warning" and ours and event.get("reason") != "Unschedulable"


async def test_a_watched_namespace_without_a_role_keeps_no_other_waiting(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "_LOOK_AGAIN_SECONDS", 0.2)
    with impatient():
        async with Site.open(admin, nats_server) as one, Site.open(admin, nats_server) as two:
            for obj in granted(rbac.in_one_namespace(), one.namespace):
                await admin.create(obj)
            kubeconfig = crds.kubeconfig_for(crds.user(USER))
            gone = f"gone-{secrets.token_hex(3)}"
            settings = {"watch_namespaces": f"{one.namespace},{two.namespace},{gone}", "cluster_id": gone}
            async with RunningOperator.start(crds, kubeconfig=kubeconfig, **settings) as operator:
                await one.create()
                await one.deployed()
                await two.create()
                problems = await operator.problems()
                assert f"namespace {two.namespace} is left out: the operator may not list " in problems
                assert f"namespace {gone} is left out" in problems
                assert (await two.get())["status"].get("observedGeneration", -1) == -1  # nobody has looked at it

                for obj in granted(rbac.in_one_namespace(), two.namespace):
                    await admin.create(obj)
                await two.deployed()
                our_warnings = [event for event in await admin.list(EVENT, two.namespace) if is_warning(event)]
                assert our_warnings == []  # nothing was judged by half of what is there
                assert two.namespace not in await operator.problems()
                for site in (one, two):
                    await admin.delete(APP, "hello", site.namespace)
                    await site.gone()


async def test_a_role_without_routes_is_enough_for_all_else(
    admin: Admin, crds: ControlPlane, nats_server: NatsServer, wadm: Server
) -> None:
    async with Site.open(admin, nats_server) as site:
        for obj in granted(rbac.in_one_namespace(), site.namespace):
            rules = [rule for rule in obj.get("rules", ()) if "httproutes" not in rule["resources"]]
            await admin.create(obj | ({"rules": rules} if "rules" in obj else {}))
        kubeconfig = crds.kubeconfig_for(crds.user(USER))
        settings = {"watch_namespaces": site.namespace, "cluster_id": secrets.token_hex(4)}
        async with RunningOperator.start(crds, kubeconfig=kubeconfig, **settings):
            await site.create()
            await site.deployed()
            await admin.delete(APP, "hello", site.namespace)
            await site.gone()


async def test_an_application_runs_and_ends_with_the_rights_of_a_role(site: Site) -> None:
    await site.create()
    await site.deployed()
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_a_namespace_goes_with_its_applications_where_their_end_is_allowed(site: Site, admin: Admin) -> None:
    extra = granted(rbac.for_namespaces_that_go(), "")
    for obj in extra:
        await admin.create(obj)
    try:
        for number in range(5):
            await site.create(f"app-{number}")
            await site.deployed(f"app-{number}")
        await admin.delete("v1/Namespace", site.namespace)
        await admin.wait_for("v1/Namespace", site.namespace, None, lambda obj: obj is None)
        assert (await site.wadm("get"))["models"] == []
    finally:
        for obj in extra:
            await admin.delete(f"{obj['apiVersion']}/{obj['kind']}", obj["metadata"]["name"])
