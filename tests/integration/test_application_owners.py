"""Whose an application in a lattice is: its first owner's, nobody's, or an owner's that is gone."""

from __future__ import annotations

from typing import Any

import pytest

from support.sites.applications import APP, CONFIG, Site, application, conditions
from testbed import Admin, NatsServer, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "k8s.wasmcloud.dev"


async def test_an_application_of_wash_is_adopted(site: Site, admin: Admin) -> None:
    await site.wash_put(image="x/other:1")
    assert (await site.wadm("deploy.hello", {}))["result"] == "acknowledged"
    await admin.wait_for(CONFIG, "pool", site.namespace, _names_hello)
    await site.create()
    app = await site.deployed()
    assert await site.versions() == {"w1": False, app["status"]["deployedVersion"]: True}
    await eventually(lambda: site.has_event("Adopted"))
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_the_first_owner_wins_and_the_next_one_inherits(
    site: Site, admin: Admin, nats_server: NatsServer
) -> None:
    await site.create()
    version = (await site.deployed())["status"]["deployedVersion"]
    async with Site.open(admin, nats_server, lattice=site.lattice) as second:
        await second.create(image="x/web:2")
        app = await second.phase("Failed", reason="Conflict")
        assert f"{site.namespace}/hello" in app["status"]["message"]
        assert conditions(app)["Stalled"] == "True"
        assert "finalizers" not in app["metadata"]
        assert await site.versions() == {version: True}
        await second.admin.delete(APP, "hello", second.namespace)
        await second.gone()
        assert await site.versions() == {version: True}, "who lost leaves it alone"
        await second.create(image="x/web:2")
        await second.phase("Failed", reason="Conflict")
        await site.admin.delete(APP, "hello", site.namespace)
        await second.deployed()


async def test_an_owner_in_another_cluster_is_never_touched(site: Site) -> None:
    manifest = application("", "hello", {"version": "theirs"})
    del manifest["metadata"]["namespace"]
    manifest["metadata"]["annotations"] |= {
        f"{OWN}/owner-cluster": "elsewhere",
        f"{OWN}/owner-namespace": "a",
        f"{OWN}/owner-name": "hello",
    }
    await site.wadm("put", manifest)
    await site.create()
    await site.phase("Failed", reason="Conflict")
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    assert await site.versions() == {"theirs": False}
    await site.create()
    await site.phase("Failed", reason="Conflict")
    assert (await site.wadm("del.hello", {}))["result"] == "deleted", "what its owner does"
    await site.deployed()


async def test_an_orphan_stays_in_wadm(site: Site) -> None:
    await site.create()
    version = (await site.deployed())["status"]["deployedVersion"]
    await site.annotate(**{f"{OWN}/deletion-policy": "Orphan"})
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    assert await site.versions() == {version: True}


@pytest.mark.parametrize("image", ["x/web:1", "x/web:2"], ids=["the same content", "other content"])
async def test_an_orphaned_application_is_taken_over_and_goes_with_its_new_owner(
    site: Site, admin: Admin, nats_server: NatsServer, image: str
) -> None:
    await site.create()
    version = (await site.deployed())["status"]["deployedVersion"]
    await site.annotate(**{f"{OWN}/deletion-policy": "Orphan"})
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    async with Site.open(admin, nats_server, lattice=site.lattice) as second:
        await second.create(image=image)
        app = await second.deployed()
        await eventually(lambda: second.has_event("Adopted"))
        same = image == "x/web:1"
        assert (app["status"]["deployedVersion"] == version) is same
        assert len(await site.versions()) == (1 if same else 2), "the same content is not put again"
        await second.admin.delete(APP, "hello", second.namespace)
        await second.gone()
        assert (await site.wadm("get.hello", {}))["result"] == "notfound"


def _names_hello(config: dict[str, Any] | None) -> bool:
    return config is not None and "hello" in str(config["status"].get("apps"))
