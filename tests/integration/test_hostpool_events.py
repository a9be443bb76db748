"""An Event goes with what is new: looking again at a host pool that stands as it stood writes nothing."""

from __future__ import annotations

import wasmcloud_operator.kube.events
from support.operators.in_process import RunningOperator
from support.sites.hostpools import CONFIG, at_rest, events, host_config, shown, writes
from testbed import eventually

NOWHERE = {"podTemplateAdditions": {"nodeSelector": {"no": "node"}}}
POOLS = ("one", "two", "three")


async def test_pods_that_wait_are_no_news_at_a_second_look_nor_after_a_restart(
    crds, admin, kwok, namespace, monkeypatch
):
    monkeypatch.setattr(wasmcloud_operator.kube.events, "_SERIES_WRITE_SECONDS", 0.0)  # repeats show at once
    follows = {"watch_namespaces": namespace}
    async with RunningOperator.start(crds, **follows) as first:
        for name in POOLS:
            await admin.create(host_config(namespace, name, schedulingOptions=NOWHERE))
        for name in POOLS:
            await shown(admin, namespace, name, Reconciling="Unschedulable")
        assert len(await eventually(lambda: all_reported(admin, namespace))) == len(POOLS)
        await nothing_is_written_however_often_it_is_looked_at(crds, admin, namespace, first)
    await nothing_is_written_by_another_start(crds, admin, namespace)


async def test_waiting_pods_are_reported_only_with_the_status_that_shows_them(
    crds, admin, kwok, namespace, monkeypatch
):
    monkeypatch.setattr(wasmcloud_operator.kube.events, "_SERIES_WRITE_SECONDS", 0.0)
    async with RunningOperator.start(crds, watch_namespaces=namespace) as first:
        for name in POOLS:
            await admin.create(host_config(namespace, name, schedulingOptions=NOWHERE))
        for name in POOLS:
            await shown(admin, namespace, name, Reconciling="Unschedulable")
        crds.controller_manager.pause()
        try:
            for name in POOLS:
                await admin.patch(CONFIG, name, namespace, {"spec": {"logLevel": "DEBUG"}})
            for name in POOLS:
                await shown(admin, namespace, name, Reconciling="RollingOut")
            await nothing_is_written_however_often_it_is_looked_at(crds, admin, namespace, first)
            await first.stop()
            await nothing_is_written_by_another_start(crds, admin, namespace)
        finally:
            crds.controller_manager.resume()


async def nothing_is_written_by_another_start(crds, admin, namespace):
    since = crds.audit.end
    async with RunningOperator.start(crds, watch_namespaces=namespace) as second:
        await eventually(lambda: looked(second, len(POOLS)))
        await nothing_is_written_however_often_it_is_looked_at(crds, admin, namespace, second)
    assert writes(crds, since, namespace) == []


async def all_reported(admin, namespace):
    found = await events(admin, namespace, "Unschedulable")
    return found if len(found) >= len(POOLS) else None


async def nothing_is_written_however_often_it_is_looked_at(crds, admin, namespace, operator):
    since = await at_rest(crds, namespace)
    for number in range(4):
        before = await looks(operator)
        for name in POOLS:
            await admin.patch(CONFIG, name, namespace, {"metadata": {"labels": {"look": str(number)}}})
        await eventually(lambda before=before: looked(operator, before + len(POOLS)))
    await at_rest(crds, namespace)
    assert writes(crds, since, namespace) == []


async def looked(operator, number):
    return await looks(operator) >= number


async def looks(operator):
    """How many reconciles of host configs have ended."""
    prefix = 'controller_runtime_reconcile_total{controller="wasmcloudhostconfig",result="success"} '
    lines = (await operator.metrics()).splitlines()
    return next(float(line.removeprefix(prefix)) for line in lines if line.startswith(prefix))
