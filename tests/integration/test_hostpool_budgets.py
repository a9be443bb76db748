"""Disruption budgets and leaf Services of host pools on a real control plane: when they come and when they go."""

from __future__ import annotations

from support.sites.hostpools import (
    BUDGET,
    CONFIG,
    DEPLOYMENT,
    at_rest,
    exists,
    gone,
    host_config,
    shown,
)
from testbed.admin import condition


async def test_a_child_that_is_switched_off_goes_and_comes_back(operator, admin, namespace):
    await admin.create(host_config(namespace, podDisruptionBudget={"minAvailable": 1}))
    budget = await exists(admin, BUDGET, namespace)
    assert budget["spec"]["minAvailable"] == 1
    await admin.patch(
        CONFIG, "pool", namespace, {"spec": {"podDisruptionBudget": {"minAvailable": None, "maxUnavailable": 2}}}
    )
    found = await admin.wait_for(BUDGET, "pool", namespace, lambda found: found["spec"].get("maxUnavailable") == 2)
    assert "minAvailable" not in found["spec"]  # the API server takes only one of them
    off = {"podDisruptionBudget": None, "leafService": {"enabled": False}}
    await admin.patch(CONFIG, "pool", namespace, {"spec": off})
    await gone(admin, BUDGET, namespace)
    await gone(admin, "v1/Service", namespace)
    conf = (await admin.get("v1/ConfigMap", "pool", namespace))["data"]["nats.conf"]
    assert 'listen: "127.0.0.1:4222"' in conf
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"leafService": None}})
    await exists(admin, "v1/Service", namespace)


async def test_a_pool_of_several_has_a_budget_and_one_host_alone_has_none(operator, crds, admin, namespace):
    await admin.create(host_config(namespace))
    await exists(admin, "v1/Service", namespace)
    await at_rest(crds, namespace)
    assert await admin.find(BUDGET, "pool", namespace) is None
    await admin.scale(CONFIG, "pool", namespace, 2)
    budget = await exists(admin, BUDGET, namespace)
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["metadata"]["ownerReferences"][0]["kind"] == "WasmCloudHostConfig"
    deployment = await admin.get(DEPLOYMENT, "pool", namespace)
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"podDisruptionBudget": {"enabled": False}}})
    await gone(admin, BUDGET, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"podDisruptionBudget": None}})
    await exists(admin, BUDGET, namespace)
    await admin.scale(CONFIG, "pool", namespace, 1)
    await gone(admin, BUDGET, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"hostReplicas": 3}})
    await exists(admin, BUDGET, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"daemonset": True}})
    await gone(admin, BUDGET, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"daemonset": None}})
    await exists(admin, BUDGET, namespace)
    await admin.delete(CONFIG, "pool", namespace)
    await gone(admin, BUDGET, namespace)


async def test_no_budget_stands_beside_one_of_somebody_else(operator, crds, admin, namespace):
    theirs = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "pool", "namespace": namespace},  # a name that ours would have, too
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/instance": "pool"}}},
    }
    await admin.create(theirs)
    await admin.create(host_config(namespace, hostReplicas=2))
    await exists(admin, "v1/Service", namespace)
    await shown(admin, namespace, Stalled="False")
    await at_rest(crds, namespace)
    assert (await admin.get(BUDGET, "pool", namespace))["spec"]["minAvailable"] == 1
    await admin.delete(BUDGET, "pool", namespace)
    await admin.wait_for(BUDGET, "pool", namespace, lambda found: found and found["spec"].get("maxUnavailable") == 1)
    await admin.create({**theirs, "metadata": {"name": "theirs", "namespace": namespace}})
    await gone(admin, BUDGET, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"podDisruptionBudget": {}}})
    status = await shown(admin, namespace, Warnings="SecondBudget")
    assert "PodDisruptionBudget theirs" in condition({"status": status}, "Warnings")["message"]
