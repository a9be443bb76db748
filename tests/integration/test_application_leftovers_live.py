"""What wadm still has of an Application that is gone: reported while nobody has it, removed only with the setting."""

from __future__ import annotations

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, EVENT, Site, application
from testbed import ControlPlane, eventually
from testbed.admin import is_true
from wasmcloud_operator.application import orphans

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "k8s.wasmcloud.dev"


async def left(operator: RunningOperator, lattice: str) -> float | None:
    """The gauge; None while it has no value."""
    head = f'wasmcloud_operator_left_in_wadm{{lattice="{lattice}"}} '
    lines = (await operator.metrics()).splitlines()
    return next((float(line.removeprefix(head)) for line in lines if line.startswith(head)), None)


async def notes(site: Site) -> list[str]:
    """The reports on the host config."""
    events = await site.admin.list(EVENT, site.namespace)
    return [event["note"] for event in events if event["reason"] == "LeftInWadm"]


async def remove_by_force(site: Site, name: str = "hello") -> None:
    """Delete an Application without wadm's being asked: nothing is written for it while it is paused."""
    await site.annotate(name, **{f"{OWN}/paused": "true"})
    await site.reaches(lambda app: is_true(app, "Paused"), name)
    await site.patch({"metadata": {"finalizers": None}}, name)
    await site.admin.delete(APP, name, site.namespace)
    await site.gone(name)


async def test_a_leftover_is_reported_until_its_application_is_applied_again(
    site: Site, application_operator: RunningOperator
) -> None:
    await site.wash_put("stranger")
    await site.create()
    await site.create("other")
    version = (await site.deployed())["status"]["deployedVersion"]
    await site.deployed("other")
    await eventually(lambda: _is(application_operator, site, 0))
    await remove_by_force(site)
    await eventually(lambda: _is(application_operator, site, 1), message="counted")
    await eventually(lambda: _noted(site, 1), message="reported on the host config")
    [note] = await notes(site)
    assert f"{site.namespace}/hello" in note
    assert await site.versions() == {version: True}, "nothing is removed"
    await site.create()
    await site.deployed()
    await eventually(lambda: _is(application_operator, site, 0), message="it has an owner again")
    await site.admin.delete(APP, "other", site.namespace)
    await site.gone("other")
    assert await left(application_operator, site.lattice) == 0
    assert await notes(site) == [note]


async def test_a_leftover_of_a_time_without_operator_is_found_by_its_manifest(site: Site, crds: ControlPlane) -> None:
    manifest = application("", "hello", {"version": "v1"})
    del manifest["metadata"]["namespace"]
    cluster = (await site.admin.get("v1/Namespace", "kube-system"))["metadata"]["uid"]
    owner = {"owner-cluster": cluster, "owner-namespace": site.namespace, "owner-name": "hello", "owner-uid": "gone"}
    manifest["metadata"]["annotations"] |= {f"{OWN}/{name}": value for name, value in owner.items()}
    await site.wadm("put", manifest)
    elsewhere = application("", "elsewhere", {"version": "v1", f"{OWN}/owner-cluster": "another"})
    del elsewhere["metadata"]["namespace"]
    elsewhere["metadata"]["annotations"] |= {f"{OWN}/{name}": value for name, value in list(owner.items())[1:]}
    await site.wadm("put", elsewhere)
    async with RunningOperator.start(crds, services=False) as later:
        await eventually(lambda: _is(later, site, 1), message="counted")


async def test_with_the_setting_what_is_gone_is_removed_and_what_was_left_on_purpose_stays(
    site: Site, crds: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "GONE_SECONDS", 3.0)
    async with RunningOperator.start(crds, services=False, orphans="remove", namespace=site.namespace) as operator:
        for name in ("hello", "kept", "one", "two", "three"):
            await site.create(name)
        for name in ("hello", "kept", "one", "two", "three"):
            await site.deployed(name)
        await site.annotate("kept", **{f"{OWN}/deletion-policy": "Orphan"})
        await site.admin.delete(APP, "kept", site.namespace)
        await site.gone("kept")
        await remove_by_force(site)
        await eventually(lambda: _lacks(site, "hello"), message="removed from wadm")
        await eventually(lambda: _is(operator, site, 1), message="only what was left on purpose is counted")
        assert set(await _names(site)) == {"kept", "one", "two", "three"}
        await eventually(lambda: _event(site, "OrphanRemoved"), message="reported")


async def _names(site: Site) -> list[str]:
    return [model["name"] for model in (await site.wadm("get"))["models"]]


async def _event(site: Site, reason: str) -> bool:
    return any(event["reason"] == reason for event in await site.admin.list(EVENT, site.namespace))


async def _lacks(site: Site, name: str) -> bool:
    return name not in await _names(site)


async def _is(operator: RunningOperator, site: Site, count: int) -> bool:
    return await left(operator, site.lattice) == count


async def _noted(site: Site, count: int) -> bool:
    return len(await notes(site)) == count
