"""Two replicas of the operator: one works, the other stands by; who leads may stop, or be killed."""

from __future__ import annotations

from collections import Counter

import pytest_asyncio

from support.operators.in_process import RunningOperator
from support.operators.process import OperatorProcess
from support.sites.hostpools import CONFIG, DEPLOYMENT, at_rest, exists, host_config, shown, writes
from testbed import eventually
from wasmcloud_operator.kube import lease as kube_lease

LEASE = "coordination.k8s.io/v1/Lease"
STATUS = "wasmcloudhostconfigs.k8s.wasmcloud.dev/status"
INSTANCE = "app.kubernetes.io/instance"


@pytest_asyncio.fixture
async def lease(admin, namespace):
    """A Lease that its last holder gave back: it may be taken at once, which a new one may not."""
    moment = "2026-01-01T00:00:00.000000Z"
    spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": moment, "leaseTransitions": 3}
    await admin.create(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "ours", "namespace": namespace},
            "spec": spec,
        }
    )

    async def held_by(identity):
        def is_held(found):
            return found is not None and found["spec"]["holderIdentity"] == identity

        return await admin.wait_for(LEASE, "ours", namespace, is_held)

    return held_by


async def test_a_replica_that_stops_hands_over_at_once(crds, admin, namespace, lease, monkeypatch):
    monkeypatch.setattr(kube_lease, "_RELEASE_SECONDS", 60.0)
    follows = {"leader_election": True, "namespace": namespace, "lease_name": "ours", "watch_namespaces": namespace}
    async with RunningOperator.start(crds, identity="one", **follows) as one:
        await lease("one")
        async with RunningOperator.start(crds, identity="two", **follows) as two:
            await admin.create(host_config(namespace, "first"))
            await exists(admin, DEPLOYMENT, namespace, "first")
            assert "leader_election_master_status" in await two.metrics()
            await one.stop()
            assert (await admin.get(LEASE, "ours", namespace))["spec"].get("holderIdentity") != "one"
            await admin.create(host_config(namespace, "second"))
            await exists(admin, DEPLOYMENT, namespace, "second")
            await lease("two")


async def test_a_killed_replica_is_replaced_and_only_what_it_missed_is_done(
    crds, admin, kwok, namespace, lease, tmp_path
):
    def start(identity):
        flags = ("--namespace", namespace, "--watch-namespaces", namespace, "--lease-name", "ours")
        return OperatorProcess.start(crds.kubeconfig, tmp_path, "--identity", identity, *flags, name=identity)

    async with start("one") as one:
        await lease("one")
        async with start("two") as two:
            for name in ("still", "edited", "robbed"):
                await admin.create(host_config(namespace, name, hostReplicas=2))
            before = {name: await running_pods(admin, namespace, name) for name in ("still", "edited", "robbed")}
            await at_rest(crds, namespace)
            since = crds.audit.end
            one.process.kill()
            await one.process.wait()
            await admin.create(host_config(namespace, "made"))
            await admin.patch(CONFIG, "edited", namespace, {"spec": {"hostReplicas": 3}})
            await admin.delete("v1/Service", "robbed", namespace)
            await exists(admin, DEPLOYMENT, namespace, "made")
            assert (await lease("two"))["spec"]["leaseTransitions"] == 5
            await exists(admin, "v1/Service", namespace, "robbed")
            await eventually(lambda: running_pods(admin, namespace, "edited", 3))
            # Meanwhile the pods have been ready for minReadySeconds: news that nobody has reported yet.
            await shown(admin, namespace, "still", Ready="HostsNotKnown")
            await shown(admin, namespace, "robbed", Ready="HostsNotKnown")
            await at_rest(crds, namespace)
            done = Counter((event.name, event.resource) for event in writes(crds, since, namespace))
            assert two.process.returncode is None
    for name, pods in before.items():
        assert pods <= await running_pods(admin, namespace, name, len(pods) + (name == "edited"))
    # The first replica may have reported that all is ready, or part of it is reported before the rest.
    assert {resource for name, resource in done if name == "still"} <= {STATUS}
    assert {resource for name, resource in done if name == "robbed"} - {STATUS} == {"services"}
    assert done[("robbed", "services")] == 1
    assert {key[1] for key in done if key[0] == "edited"} == {"deployments.apps", STATUS}
    assert done[("edited", "deployments.apps")] == 1


async def running_pods(admin, namespace, name, number=2):
    """The uids of the pool's pods, when there are so many and all are ready."""

    async def found():
        deployment = await admin.get(DEPLOYMENT, name, namespace)
        pods = await admin.list("v1/Pod", namespace, labels=f"{INSTANCE}={name}")
        ready = deployment.get("status", {}).get("readyReplicas", 0)
        return {pod["metadata"]["uid"] for pod in pods} if ready == number == len(pods) else None

    await exists(admin, DEPLOYMENT, namespace, name)
    return await eventually(found)
