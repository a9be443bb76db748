"""Pods that a quota or an admission policy refuses: the host config shows why, of either kind of workload."""

from __future__ import annotations

import pytest

from support.sites.hostpools import CONFIG, DAEMON_SET, DEPLOYMENT, host_config, shown
from testbed import eventually
from testbed.admin import condition


@pytest.mark.parametrize(("daemonset", "kind"), [(True, DAEMON_SET), (False, DEPLOYMENT)])
async def test_a_quota_that_refuses_the_pods_is_in_the_status(operator, admin, kwok, namespace, daemonset, kind):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    await admin.create(quota)
    await admin.wait_for("v1/ResourceQuota", "none", namespace, lambda found: (found.get("status") or {}).get("hard"))
    await admin.create(host_config(namespace, daemonset=daemonset))

    async def is_named():
        config = await admin.get(CONFIG, "pool", namespace)
        ready = condition(config, "Ready") or {}
        return ready if "exceeded quota: none" in ready.get("message", "") else None

    ready = await eventually(is_named, timeout=120)
    assert (ready["status"], ready["reason"]) in {("False", "FailedCreate"), ("Unknown", "FailedCreate")}
    await admin.delete("v1/ResourceQuota", "none", namespace)

    async def made():
        workload = await admin.get(kind, "pool", namespace)
        status = workload.get("status") or {}
        return status.get("currentNumberScheduled") or status.get("replicas")

    await eventually(made, timeout=240)
    await shown(admin, namespace, Stalled="False", timeout=120)
