"""An API server whose Applications are not ours: KubeVela's CRD, or what an earlier operator left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from support.objects.crds import CRD, CRD_NAME, kubevelas, ours
from support.operators.in_process import USER_AGENT, RunningOperator
from support.sites.applications import APP, CONFIG, EVENT, Site, application, host_config
from testbed import Admin, ApiError, ControlPlane, NatsServer, RequestCounter, Server, eventually
from wasmcloud_operator.application import coexistence, naming
from wasmcloud_operator.commands import rbac

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
API_SERVICE = "apiregistration.k8s.io/v1/APIService"

# Far below the minute after which the operator looks anyway, and above what a busy machine needs.
_AT_ONCE_SECONDS = 20.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    async with ControlPlane.start(tmp_path_factory.mktemp("coexistence"), audit=True) as started:
        await started.admin().apply_files(CRDS / "k8s.wasmcloud.dev_wasmcloudhostconfigs.yaml")
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def admin(cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Admin]:
    """Of a cluster that has no Applications, of whomever, when the test begins."""
    monkeypatch.setattr(coexistence, "_CHECK_SECONDS_OTHERWISE", 0.5)
    async with cluster.admin() as client:
        yield client
        await client.delete(CRD, CRD_NAME)
        await client.wait_for(CRD, CRD_NAME, None, lambda obj: obj is None)
        # The API server takes what it made of the CRD away later.
        await client.wait_for(API_SERVICE, "v1beta1.core.oam.dev", None, lambda obj: obj is None)
        await eventually(lambda: _not_served(client))


async def test_kubevelas_crd_is_left_alone_and_host_pools_go_on(
    cluster: ControlPlane, admin: Admin, nats_server: NatsServer, wadm: Server
) -> None:
    await admin.create(kubevelas())
    async with Site.open(admin, nats_server) as site:
        await eventually(lambda: admin.apply(application(site.namespace)))
        before = await admin.get(CRD, CRD_NAME)
        assert cluster.audit is not None
        with cluster.audit.counting(user_agent=USER_AGENT) as counter:
            async with RunningOperator.start(cluster) as operator:
                await admin.wait_for("apps/v1/Deployment", "pool", site.namespace, lambda obj: obj is not None)
                answer = await operator.problems()
                assert answer.startswith("ok\n")
                assert "KubeVela" in answer
                await eventually(lambda: _is_foreign(operator))
                assert (await site.wadm("get.hello", {}))["result"] == "notfound"
        assert not [event for event in counter.writes if "oam.dev" in event.resource or "customres" in event.resource]
        assert (await admin.get(CRD, CRD_NAME))["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        assert not [event for event in await admin.list(EVENT, site.namespace) if event["regarding"]["name"] == "hello"]


async def test_our_crd_is_not_applied_over_kubevelas_unless_forced(admin: Admin) -> None:
    """What the README promises of `wasmcloud-operator crds | kubectl apply --server-side -f -`."""
    await admin.create(kubevelas())
    with pytest.raises(ApiError, match="conflict") as refused:
        await admin.apply(ours(), manager="kubectl", force=False)
    assert refused.value.status == 409


async def test_a_stale_api_service_is_reported_and_applications_run_when_it_is_gone(
    cluster: ControlPlane, admin: Admin, nats_server: NatsServer, wadm: Server
) -> None:
    stale = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.core.oam.dev"},
        "spec": {
            "group": "core.oam.dev",
            "version": "v1beta1",
            "groupPriorityMinimum": 2000,
            "versionPriority": 10,
            "insecureSkipTLSVerify": True,
            "service": {"name": "wasmcloud-operator", "namespace": "wasmcloud-system", "port": 443},
        },
    }
    await admin.create(stale)
    await admin.create(ours())
    namespace = "team"
    await admin.create_namespace(namespace)
    await admin.create(host_config(namespace, "stale", nats_server.url))
    async with RunningOperator.start(cluster) as operator:
        await admin.wait_for(CONFIG, "pool", namespace, lambda obj: obj is not None and "conditions" in obj["status"])
        assert "kubectl delete apiservice v1beta1.core.oam.dev" in await operator.problems()
        await admin.delete(API_SERVICE, "v1beta1.core.oam.dev")
        await eventually(lambda: _says_ok(operator))
        await eventually(lambda: admin.apply(application(namespace)))
        await admin.wait_for(APP, "hello", namespace, _runs)
        await _remove(admin, namespace)


async def test_a_crd_that_comes_later_is_taken_up(
    cluster: ControlPlane, admin: Admin, nats_server: NatsServer, wadm: Server
) -> None:
    await admin.create_namespace("later")
    await admin.create(host_config("later", "later", nats_server.url))
    async with contextlib.AsyncExitStack() as stack:
        starting = asyncio.create_task(stack.enter_async_context(RunningOperator.start(cluster)))
        await admin.wait_for("apps/v1/Deployment", "pool", "later", lambda obj: obj is not None)
        assert not starting.done(), "not ready while the CRD is missing, though host pools are served"
        await admin.create(ours())
        await starting
        await eventually(lambda: admin.apply(application("later")))
        await admin.wait_for(APP, "hello", "later", _runs)
        await _remove(admin, "later")


async def test_objects_of_a_crd_that_becomes_another_projects_are_let_go_at_once(
    cluster: ControlPlane, admin: Admin, nats_server: NatsServer, wadm: Server
) -> None:
    """As an install of KubeVela does with our CRD in its way: the objects stay, and are its own from then on."""
    await admin.create(ours())
    async with Site.open(admin, nats_server) as site, RunningOperator.start(cluster) as operator:
        await eventually(lambda: admin.apply(application(site.namespace)))
        await admin.wait_for(APP, "hello", site.namespace, _runs)

        await _put_in_its_place(admin, kubevelas())
        await admin.wait_for(APP, "hello", site.namespace, _has_no_finalizer_of_ours, timeout=_AT_ONCE_SECONDS)
        await eventually(lambda: _is_foreign(operator))

        assert cluster.audit is not None
        with cluster.audit.counting(user_agent=USER_AGENT) as counter:
            await admin.create(application(site.namespace, "theirs"))
            await admin.patch(APP, "hello", site.namespace, {"metadata": {"labels": {"changed": "by-them"}}})
            await _looked_at_again(counter)
        assert [event for event in counter.writes if "oam.dev" in event.resource] == []
        assert (await site.wadm("get.theirs", {}))["result"] == "notfound"
        await admin.delete(APP, "hello", site.namespace)
        await admin.wait_for(APP, "hello", site.namespace, lambda obj: obj is None)


async def test_objects_of_a_foreign_crd_in_place_of_ours_are_never_touched(
    cluster: ControlPlane, admin: Admin, nats_server: NatsServer, wadm: Server
) -> None:
    assert cluster.audit is not None
    async with Site.open(admin, nats_server) as site:
        async with _replaced_while_it_runs(cluster, admin, site, may_watch_crds=True):
            with cluster.audit.counting(user_agent=USER_AGENT) as counter:
                await eventually(lambda: admin.apply(application(site.namespace, "theirs")))
                await _looked_at_again(counter)
        assert [event for event in counter.writes if "oam.dev" in event.resource] == []
        assert (await site.wadm("get.theirs", {}))["result"] == "notfound"


async def test_without_the_right_to_watch_crds_the_end_of_the_watch_of_applications_is_the_sign(
    cluster: ControlPlane, admin: Admin, nats_server: NatsServer, wadm: Server
) -> None:
    """The API server ends it a moment after the change: what was written until then is taken off."""
    async with (
        Site.open(admin, nats_server) as site,
        _replaced_while_it_runs(cluster, admin, site, may_watch_crds=False) as operator,
    ):
        await eventually(lambda: admin.apply(application(site.namespace, "theirs")))
        await eventually(lambda: _is_foreign(operator), timeout=_AT_ONCE_SECONDS)
        await admin.wait_for(APP, "theirs", site.namespace, _has_no_finalizer_of_ours)
        assert cluster.audit is not None
        with cluster.audit.counting(user_agent=USER_AGENT) as counter:
            await admin.create(application(site.namespace, "later"))
            await _looked_at_again(counter)
        assert [event for event in counter.writes if "later" in event.name] == []


@contextlib.asynccontextmanager
async def _replaced_while_it_runs(
    cluster: ControlPlane, admin: Admin, site: Site, *, may_watch_crds: bool
) -> AsyncIterator[RunningOperator]:
    """An operator that has run an Application, and whose CRD was deleted and is a foreign one now."""
    await admin.create(ours())
    rights = await _granted(admin, "carol", may_watch_crds)
    kubeconfig = cluster.kubeconfig_for(cluster.user("carol"))
    async with RunningOperator.start(cluster, kubeconfig=kubeconfig, cluster_id="replaced") as operator:
        await eventually(lambda: admin.apply(application(site.namespace)))
        await admin.wait_for(APP, "hello", site.namespace, _runs)
        await _remove(admin, site.namespace)
        await admin.delete(CRD, CRD_NAME)
        await admin.wait_for(CRD, CRD_NAME, None, lambda obj: obj is None)
        await admin.create(kubevelas())
        yield operator
    for kind, name in rights:
        await admin.delete(kind, name)


async def _put_in_its_place(admin: Admin, crd: dict[str, Any]) -> None:
    live = await admin.get(CRD, CRD_NAME)
    version = live["metadata"]["resourceVersion"]
    await admin.replace({**crd, "metadata": {**crd["metadata"], "resourceVersion": version}})


async def _looked_at_again(counter: RequestCounter) -> None:
    """The operator has asked twice more who serves Applications: whatever it does about what it saw, it has begun."""

    def looks() -> int:
        return sum(event.uri == "/apis/core.oam.dev/v1beta1" for event in counter.requests)

    before = looks()
    await eventually(lambda: looks() >= before + 2)


async def _granted(admin: Admin, user: str, may_watch_crds: bool) -> list[tuple[str, str]]:
    """Rights as of the manifests, for the user, under its name; with what is granted, to take it away."""
    role, binding = (obj for obj in rbac.cluster_wide() if obj["kind"].startswith("ClusterRole"))
    rules = [rule for rule in role["rules"] if may_watch_crds or "customresourcedefinitions" not in rule["resources"]]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    reference = {**binding["roleRef"], "name": user}
    await admin.create({**role, "metadata": {"name": user}, "rules": rules})
    await admin.create({**binding, "metadata": {"name": user}, "roleRef": reference, "subjects": [subject]})
    return [(f"rbac.authorization.k8s.io/v1/{kind}", user) for kind in ("ClusterRole", "ClusterRoleBinding")]


def _has_no_finalizer_of_ours(obj: dict[str, Any] | None) -> bool:
    return obj is not None and naming.FINALIZER not in obj["metadata"].get("finalizers", ())


async def _is_foreign(operator: RunningOperator) -> bool:
    return 'wasmcloud_operator_applications_crd{state="foreign"} 1.0' in await operator.metrics()


async def _not_served(admin: Admin) -> bool:
    try:
        await admin.request("GET", "/apis/core.oam.dev/v1beta1")
    except ApiError as error:
        return error.status == 404
    return False


async def _remove(admin: Admin, namespace: str) -> None:
    await admin.delete(APP, "hello", namespace)
    await admin.wait_for(APP, "hello", namespace, lambda obj: obj is None)


def _runs(obj: dict[str, Any] | None) -> bool:
    return obj is not None and "deployedVersion" in obj["status"]


async def _says_ok(operator: RunningOperator) -> bool:
    return await operator.problems() == "ok\n"
