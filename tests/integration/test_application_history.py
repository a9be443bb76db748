"""The versions that wadm keeps of an application: their names, and how many of them stay."""

from __future__ import annotations

import pytest

from support.sites.applications import Site, components
from testbed import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "k8s.wasmcloud.dev"


async def test_a_version_that_is_used_again_is_deployed_under_another_name(site: Site) -> None:
    await site.create(annotations={"version": "1.0.0"})
    await site.reaches(lambda obj: obj["status"].get("deployedVersion") == "1.0.0")
    await site.change("x/web:2")
    app = await site.reaches(lambda obj: obj["status"]["deployedVersion"].startswith("1.0.0+"))
    assert await site.versions() == {"1.0.0": False, app["status"]["deployedVersion"]: True}
    await eventually(lambda: site.has_event("VersionReused"))


async def test_old_versions_are_pruned(site: Site) -> None:
    await site.create(annotations={f"{OWN}/revision-history-limit": "2"})
    seen = []
    for number in range(1, 6):
        await site.change(f"x/web:{number}")
        app = await site.reaches(
            lambda obj: (
                obj["status"].get("observedGeneration") == obj["metadata"]["generation"]
                and obj["status"].get("deployedVersion") not in (None, *seen)
            )
        )
        seen.append(app["status"]["deployedVersion"])
    assert list(await site.versions()) == seen[-3:]
    assert app["status"]["versions"] == seen[-3:]


@pytest.mark.parametrize("limit", ["-1", "many", "9" * 5000])
async def test_a_limit_that_is_no_number_is_none(site: Site, limit: str) -> None:
    await site.create(annotations={f"{OWN}/revision-history-limit": limit})
    first = (await site.deployed())["status"]["deployedVersion"]
    await site.change("x/web:2")
    await site.reaches(lambda obj: obj["status"]["deployedVersion"] != first)
    assert first in await site.versions()


async def test_the_only_version_is_replaced_while_nothing_is_deployed(site: Site) -> None:
    await site.create(annotations={f"{OWN}/revision-history-limit": "0"})
    await site.deployed()
    await site.annotate(**{f"{OWN}/undeploy": "true"})
    await site.phase("Undeployed")
    await site.change("x/web:2")
    await site.annotate(**{f"{OWN}/undeploy": None})
    app = await site.deployed()
    assert await site.versions() == {app["status"]["deployedVersion"]: True}


async def test_large_old_versions_give_way_when_only_wadm_knows_that_there_is_no_room(site: Site) -> None:
    """wadm keeps all versions in one message, and shows the size of none: the newest one is small here."""
    await site.create()
    for number, size in enumerate([*[150_000] * 5, 10, 350_000]):
        before = (await site.deployed())["status"]["deployedVersion"]
        text = [{"name": "c", "properties": {"text": "x" * size}}]
        await site.patch({"spec": {"components": components(f"x/web:{number}", config=text)}})
        app = await site.reaches(lambda obj, before=before: obj["status"]["deployedVersion"] != before)
    versions = await site.versions()
    assert versions[app["status"]["deployedVersion"]]
    assert before in versions
    assert 3 <= len(versions) <= 5
