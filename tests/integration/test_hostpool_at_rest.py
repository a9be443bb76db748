"""What a host pool's reconciler leaves alone: paused, settled, in other namespaces, or with a config it cannot read."""

from __future__ import annotations

import asyncio

from support.kube.live import patch_nested
from support.operators.in_process import RunningOperator
from support.sites.hostpools import (
    BUDGET,
    CONFIG,
    DEPLOYMENT,
    at_rest,
    exists,
    have_been_ready,
    host_config,
    shown,
    writes,
)
from testbed import eventually
from testbed.admin import condition, is_true

KINDS = ("v1/ServiceAccount", "v1/ConfigMap", "v1/Service", DEPLOYMENT)


async def test_paused_means_no_writes_and_going_on_after_it(operator, crds, admin, namespace):
    await admin.create(host_config(namespace))
    await exists(admin, "v1/Service", namespace)
    annotation = "k8s.wasmcloud.dev/paused"
    await admin.patch(CONFIG, "pool", namespace, {"metadata": {"annotations": {annotation: "true"}}})
    await shown(admin, namespace, Paused="True")
    since = await at_rest(crds, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"logLevel": "DEBUG"}})
    await admin.delete("v1/Service", "pool", namespace)
    await eventually(lambda: _paused_at(admin, namespace, 2))
    status = (await admin.get(CONFIG, "pool", namespace))["status"]
    assert status["observedGeneration"] == 1  # the new spec is not followed, and does not look as if it were
    await at_rest(crds, namespace)
    assert {event.resource for event in writes(crds, since, namespace)} == {
        "wasmcloudhostconfigs.k8s.wasmcloud.dev/status"
    }
    assert await admin.find("v1/Service", "pool", namespace) is None
    await admin.patch(CONFIG, "pool", namespace, {"metadata": {"annotations": {annotation: None}}})
    await exists(admin, "v1/Service", namespace)
    status = await shown(admin, namespace, Stalled="False")
    await eventually(lambda: _has_no_condition(admin, namespace, "Paused"))
    assert status["observedGeneration"] == 2


async def _paused_at(admin, namespace, generation):
    paused = condition(await admin.get(CONFIG, "pool", namespace), "Paused")
    return paused is not None and (paused["status"], paused["observedGeneration"]) == ("True", generation)


async def _has_no_condition(admin, namespace, type_):
    return condition(await admin.get(CONFIG, "pool", namespace), type_) is None


SETTLED = {  # nobody listens where their lattice should be
    "Ready": "HostsNotKnown", "Stalled": "False", "WorkloadAvailable": "True", "SecretsValid": "True",
    "LatticeConnected": "Unreachable",
}  # fmt: skip


async def test_a_settled_cluster_is_left_alone_at_rest_and_by_a_restart(crds, admin, kwok, namespace):
    follows = {"watch_namespaces": namespace}
    async with RunningOperator.start(crds, **follows) as first:
        for number in range(5):
            await admin.create(host_config(namespace, f"pool-{number}", daemonset=number == 4, hostReplicas=2))
        wanted = [3 if number == 4 else 2 for number in range(5)]
        await eventually(lambda: _ready_pods(admin, namespace, sum(wanted)))
        await have_been_ready(admin, namespace)
        for number, pods in enumerate(wanted):
            status = await shown(admin, namespace, f"pool-{number}", **SETTLED)
            assert (status["replicas"], status["readyReplicas"]) == (pods, pods)
        since = await at_rest(crds, namespace, quiet=3)
        assert writes(crds, since, namespace) == []
        await eventually(lambda: _nothing_waits(first))
    assert first.exit_code == 0
    since = crds.audit.end
    async with RunningOperator.start(crds, **follows) as second:
        await eventually(lambda: _reconciled(second, 5))
        await asyncio.sleep(1.5)  # the measured stretch itself
    assert writes(crds, since, namespace) == []


async def _ready_pods(admin, namespace, number):
    pods = await admin.list("v1/Pod", namespace)
    return len(pods) == number and all(is_true(pod, "Ready") for pod in pods)


async def _nothing_waits(operator):
    return 'workqueue_depth{name="wasmcloudhostconfig"} 0' in await operator.metrics()


async def _reconciled(operator, number):
    for line in (await operator.metrics()).splitlines():
        if line.startswith('controller_runtime_reconcile_total{controller="wasmcloudhostconfig",result="success"}'):
            return float(line.split()[-1]) >= number
    return False


async def test_other_namespaces_are_not_touched(operator, admin, namespace):
    other = f"{namespace}-other"
    await admin.create_namespace(other)
    try:
        await admin.create(host_config(other))
        await admin.create(host_config(namespace))
        await exists(admin, DEPLOYMENT, namespace)
        assert await admin.find(DEPLOYMENT, "pool", other) is None
        assert (await admin.get(CONFIG, "pool", other))["status"] == {"observedGeneration": -1}
    finally:
        await admin.delete("v1/Namespace", other)


async def test_a_config_that_cannot_be_read_any_more_keeps_what_it_has_until_it_is_deleted(
    operator, crds, admin, namespace
):
    await admin.create(host_config(namespace, podDisruptionBudget={}))
    await shown(admin, namespace, Stalled="False")
    await exists(admin, BUDGET, namespace)
    since = await at_rest(crds, namespace)
    before = {kind: await admin.get(kind, "pool", namespace) for kind in (*KINDS, BUDGET)}
    claim = '{"name":"deep","ephemeral":{"volumeClaimTemplate":{"metadata":NESTED,"spec":{}}}}'
    spec = f'{{"spec":{{"hostReplicas":3,"schedulingOptions":{{"podTemplateAdditions":{{"volumes":[{claim}]}}}}}}}}'
    await patch_nested(admin, await admin.path(CONFIG, namespace, "pool"), spec, levels=1500)

    async def left_out() -> bool:
        shown_metrics = await operator.metrics()
        name = 'wasmcloud_operator_informer_unreadable_objects{resource="wasmcloudhostconfigs.k8s.wasmcloud.dev"}'
        return f"{name} 1.0" in shown_metrics

    await eventually(left_out)
    await admin.delete("v1/ConfigMap", "pool", namespace)  # whatever wakes its key
    await asyncio.sleep(3)  # the stretch that is measured
    assert not writes(crds, since, namespace), "nothing is done on a state that is out of date"
    for kind, item in before.items():
        if kind != "v1/ConfigMap":
            assert (await admin.get(kind, "pool", namespace))["metadata"]["uid"] == item["metadata"]["uid"]
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"schedulingOptions": None}})
    await admin.wait_for(DEPLOYMENT, "pool", namespace, lambda found: found["spec"]["replicas"] == 3)
    await exists(admin, "v1/ConfigMap", namespace)
