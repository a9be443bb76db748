"""`history` and `rollback` as a user runs them, with a real API server, operator and wadm."""

from __future__ import annotations

import json

import pytest
from test_report_and_diff import run

from support.sites.applications import Site
from testbed import ControlPlane

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_former_version_is_what_runs_again(site: Site, crds: ControlPlane) -> None:
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    await site.create(image="x/web:1")
    first = (await site.deployed())["status"]["deployedVersion"]
    await site.change("x/web:2")
    second = (await site.deployed())["status"]["deployedVersion"]
    status, text = await run(kubeconfig, "history", "app/hello", "-n", site.namespace, "-o", "json")
    assert (status, json.loads(text)) == (
        0,
        [{"version": first, "deployed": False}, {"version": second, "deployed": True}],
    )
    nats = ("-n", site.namespace, "--nats", site.nats.url)
    status, text = await run(kubeconfig, "rollback", "app/hello", "--dry-run", *nats)
    assert (status, "would have the content of version" in text) == (0, True), text
    assert (await site.get())["spec"]["components"][0]["properties"]["image"] == "x/web:2"
    status, text = await run(kubeconfig, "rollback", "app/hello", *nats)
    assert (status, f"has the content of version {first}" in text) == (0, True), text
    assert (await site.deployed())["spec"]["components"][0]["properties"]["image"] == "x/web:1"
    status, text = await run(kubeconfig, "rollback", "app/hello", "--to", "9", *nats)
    assert (status, "wadm keeps no version 9" in text) == (2, True), text
    await site.patch({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}})
    status, text = await run(kubeconfig, "rollback", "app/hello", *nats)
    assert (status, "belongs to Argo CD (application shop)" in text) == (2, True), text
