"""A new host pod is ready once its host serves; the operator's ignorance is never held against it."""

from __future__ import annotations

import asyncio
import contextlib

import nats
import pytest

from support.sites.hostpools import (
    CONFIG,
    DAEMON_SET,
    DEPLOYMENT,
    at_rest,
    events,
    exists,
    gone,
    have_been_ready,
    host_config,
    shown,
    writes,
)
from support.sites.services import ServiceSite, http_components
from testbed import NatsServer, eventually
from testbed.admin import condition, is_true
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice

GATE = "k8s.wasmcloud.dev/serving"


async def pods(admin, namespace, *, gone=()):
    found = await admin.list("v1/Pod", namespace, labels="app.kubernetes.io/instance=pool")
    return [
        pod for pod in found if not pod["metadata"].get("deletionTimestamp") and pod["metadata"]["name"] not in gone
    ]


async def some_pods(admin, namespace, number, *, beside=()):
    async def found():
        there = await pods(admin, namespace, gone=beside)
        ready = [pod for pod in there if is_true(pod, "ContainersReady")]
        return ready if len(ready) == number else None

    return await eventually(found)


@contextlib.asynccontextmanager
async def host_in(pod, server, lattice, **options):
    labels = {"kubernetes": "true", "kubernetes_pod_uid": pod["metadata"]["uid"]}
    async with LatticeHost.running(server.url, lattice, labels=labels, **options) as host:
        yield host


async def gate_of(admin, namespace, pod, **wanted):
    """The pod's gate, once status or reason are as wanted."""
    name = pod["metadata"]["name"]

    def as_wanted(found):
        gate = condition(found, GATE)
        return gate is not None and all(gate[key] == value for key, value in wanted.items())

    return condition(await admin.wait_for("v1/Pod", name, namespace, as_wanted), GATE)


async def test_a_pod_is_ready_once_its_host_is_in_the_lattice(operator, crds, admin, kwok, nats_server, namespace):
    await admin.create(host_config(namespace, lattice=namespace, natsAddress=nats_server.url))
    (pod,) = await some_pods(admin, namespace, 1)
    assert not is_true(pod, "Ready")
    with crds.audit.counting(user_agent="wasmcloud-operator/") as counter:
        async with host_in(pod, nats_server, SharedLattice(namespace)):
            gate = await gate_of(admin, namespace, pod, status="True")
            # This lattice has no wadm that lists anything else than nothing.
            assert gate["reason"] in ("Serving", "HostInLattice")
            await have_been_ready(admin, namespace)
            status = await shown(admin, namespace, Ready="True")
            assert condition({"status": status}, "Ready")["message"] == f"1 of 1 hosts in lattice {namespace}"
            since = await at_rest(crds, namespace)
            assert writes(crds, since, namespace) == []
    patches = [event for event in counter.writes if event.resource == "pods" and event.namespace == namespace]
    assert len(patches) <= 2  # that it waits, where the machine is slow, and that it serves


async def test_where_the_operator_reaches_no_lattice_no_pod_is_held_up_and_the_pool_says_so(
    operator, admin, kwok, namespace
):
    await admin.create(host_config(namespace))
    (pod,) = await some_pods(admin, namespace, 1)
    assert (await gate_of(admin, namespace, pod, status="True"))["reason"] == "LatticeNotConnected"
    await admin.wait_for("v1/Pod", pod["metadata"]["name"], namespace, lambda found: is_true(found, "Ready"))
    await have_been_ready(admin, namespace)
    status = await shown(admin, namespace, Ready="HostsNotKnown")
    assert condition({"status": status}, "Reconciling")["status"] == "True"
    assert "connection refused" in condition({"status": status}, "Ready")["message"]


async def test_a_host_that_never_comes_is_waited_for_so_long_and_no_longer(
    operator, admin, kwok, nats_server, namespace
):
    await admin.create(host_config(namespace, lattice=namespace, natsAddress=nats_server.url))
    (pod,) = await some_pods(admin, namespace, 1)
    await gate_of(admin, namespace, pod, status="False", reason="HostNotInLattice")
    status = await shown(admin, namespace, Reconciling="HostNotInLattice")
    assert pod["metadata"]["name"] in condition({"status": status}, "Reconciling")["message"]
    assert len(await eventually(lambda: events(admin, namespace, "HostNotInLattice"))) == 1
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"rollout": {"timeoutSeconds": 7}}})
    await gate_of(admin, namespace, pod, status="True", reason="TimedOut")
    await have_been_ready(admin, namespace)
    status = await shown(admin, namespace, Ready="HostsMissing")
    assert condition({"status": status}, "Ready")["message"] == f"0 of 1 hosts in lattice {namespace}"


async def test_a_change_that_cuts_the_hosts_off_leaves_those_that_serve(operator, admin, kwok, nats_server, namespace):
    await admin.create(host_config(namespace, lattice=namespace, natsAddress=nats_server.url))
    (before,) = await some_pods(admin, namespace, 1)
    async with host_in(before, nats_server, SharedLattice(namespace)):
        await gate_of(admin, namespace, before, status="True")
        await have_been_ready(admin, namespace)
        await shown(admin, namespace, Ready="True")
        wrong = {"natsAddress": "nats://127.0.0.2:9", "rollout": {"timeoutSeconds": 1}}
        await admin.patch(CONFIG, "pool", namespace, {"spec": wrong})
        (after,) = await some_pods(admin, namespace, 1, beside=[before["metadata"]["name"]])
        await gate_of(admin, namespace, after, status="False", reason="HostNotInLattice")
        status = await shown(admin, namespace, Reconciling="HostNotInLattice")
        assert "connection refused" in condition({"status": status}, "Reconciling")["message"]
        await asyncio.sleep(3)  # longer than the timeout: nothing may happen in it
        names = {pod["metadata"]["name"] for pod in await pods(admin, namespace)}
        assert before["metadata"]["name"] in names
        # Back to where it was: the pool needs no help.
        await admin.patch(CONFIG, "pool", namespace, {"spec": {"natsAddress": nats_server.url}})
        await have_been_ready(admin, namespace)
        await shown(admin, namespace, Ready="True")


async def test_a_pod_waits_for_the_providers_that_a_daemonscaler_places_on_its_host(
    operator, admin, kwok, wadm, nats_server, namespace
):
    client = await nats.connect(nats_server.url)
    site = ServiceSite(admin, namespace, SharedLattice(namespace), nats_server, client)
    await admin.create(host_config(namespace, lattice=namespace, natsAddress=nats_server.url))
    await shown(admin, namespace, WadmConnected="True")
    await site.wash_run("hello", http_components(8080, scaler="daemonscaler"))
    await eventually(lambda: _lists(admin, namespace, 1))
    (pod,) = await some_pods(admin, namespace, 1)
    async with host_in(pod, nats_server, site.lattice, start_delay=7) as host:
        gate = await gate_of(admin, namespace, pod, status="False", reason="ApplicationsMissing")
        assert "hello/hello-httpserver" in gate["message"]
        assert not host.providers
        await gate_of(admin, namespace, pod, status="True", reason="Serving")
        assert host.providers
    await client.close()


async def _lists(admin, namespace, number):
    return (await admin.get(CONFIG, "pool", namespace))["status"].get("appCount") == number


async def test_a_lattice_that_is_lost_and_found_makes_events(operator, admin, kwok, namespace, tmp_path):
    async with NatsServer.start(tmp_path) as hub:
        await admin.create(host_config(namespace, lattice=namespace, natsAddress=hub.url))
        (pod,) = await some_pods(admin, namespace, 1)
        async with host_in(pod, hub, SharedLattice(namespace)):
            await gate_of(admin, namespace, pod, status="True")
            await have_been_ready(admin, namespace)
            await shown(admin, namespace, Ready="True", LatticeConnected="True")
            await hub.kill()
            await shown(admin, namespace, LatticeConnected="False", Ready="True", WadmConnected="Unknown")
            await eventually(lambda: events(admin, namespace, "LatticeLost"))
            await hub.server.start()
            await shown(admin, namespace, LatticeConnected="True")
            await eventually(lambda: events(admin, namespace, "LatticeFound"))


@pytest.mark.parametrize(("first", "second"), [(False, True), (True, False)])
async def test_a_workload_goes_when_that_of_the_other_kind_has_rolled_out(
    operator, admin, kwok, nats_server, namespace, first, second
):
    kinds = {True: DAEMON_SET, False: DEPLOYMENT}
    await admin.create(
        host_config(namespace, lattice=namespace, natsAddress=nats_server.url, daemonset=first, hostReplicas=3)
    )
    before = await some_pods(admin, namespace, 3)
    lattice = SharedLattice(namespace)
    async with contextlib.AsyncExitStack() as hosts:
        for pod in before:
            await hosts.enter_async_context(host_in(pod, nats_server, lattice))
        for pod in before:
            await gate_of(admin, namespace, pod, status="True")
        await admin.patch(CONFIG, "pool", namespace, {"spec": {"daemonset": second}})
        names = [pod["metadata"]["name"] for pod in before]
        after = await some_pods(admin, namespace, 3, beside=names)
        await shown(admin, namespace, Ready="Unknown")
        assert {pod["metadata"]["name"] for pod in await pods(admin, namespace)} >= set(names)
        await exists(admin, kinds[first], namespace)
        for pod in after:
            await hosts.enter_async_context(host_in(pod, nats_server, lattice))
        for pod in after:
            await gate_of(admin, namespace, pod, status="True")
        await have_been_ready(admin, namespace)
        await gone(admin, kinds[first], namespace)
        await shown(admin, namespace, Ready="True")


async def test_the_schedulers_words_reach_the_status_and_one_event(operator, admin, kwok, namespace):
    nowhere = {"podTemplateAdditions": {"nodeSelector": {"no": "node"}}}
    await admin.create(host_config(namespace, schedulingOptions=nowhere))
    status = await shown(admin, namespace, Reconciling="Unschedulable")
    assert "didn't match Pod's node affinity/selector" in condition({"status": status}, "Ready")["message"]
    assert len(await eventually(lambda: events(admin, namespace, "Unschedulable"))) == 1
