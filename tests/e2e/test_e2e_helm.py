"""Helm: the chart over an install by kustomize, its whole life under traffic, then the platform by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from e2ereport import Notes
from e2everdicts import APPLICATION, CONFIG
from e2eworld import GREETING, OPERATOR, World, documents, hello, namespace_of, url
from test_e2e_change import load

from support.kube.helm import OPERATOR_CHART, PLATFORM_CHART, Helm
from testbed.cache import ensure
from testbed.node.images import NATS, WADM
from testbed.node.operatorimage import operator_image_name

pytestmark = pytest.mark.asyncio(loop_scope="session")
PLACE, PLATFORM = "journey-helm", "journey-platform"
CRD = "apiextensions.k8s.io/v1/CustomResourceDefinition"
WAIT = ("--wait", "--timeout", "110s")


def image(name: str) -> dict[str, str]:
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}


async def definitions(world: World) -> set[str]:
    """The uids of our CRDs: one that was made anew would have taken every object with it."""
    found = await world.admin.list(CRD)
    groups = ("k8s.wasmcloud.dev", "core.oam.dev")
    return {crd["metadata"]["uid"] for crd in found if crd["spec"]["group"] in groups}


def platform_values() -> dict[str, Any]:
    """The platform on small nodes without volumes, with the images and the registry of the journeys."""
    _, pool = documents("hosts.yaml", PLATFORM)
    spec = {name: pool["spec"][name] for name in ("version", "allowedInsecure", "registryCredentialsSecret")}
    additions = {"containerTemplateAdditions": pool["spec"]["schedulingOptions"]["containerTemplateAdditions"]}
    return {
        "operator": {"image": image(operator_image_name()), "replicas": 1},
        "nats": {
            "image": image(NATS),
            "config": {"cluster": {"enabled": False}, "jetstream": {"fileStore": {"pvc": {"enabled": False}}}},
        },
        "wadm": {"wadm": {"image": image(WADM)}},
        "hostConfig": {"lattice": PLATFORM, "hostReplicas": 1, "schedulingOptions": additions, **spec},
    }


@pytest.mark.journey("8 Helm: over kustomize, upgrade, rollback, uninstall under traffic; then the platform alone")
async def test_charts_live_under_traffic(world: World, tmp_path: Path) -> None:
    notes = Notes([])
    helm = Helm(await ensure("helm"), tmp_path, world.cluster.kubeconfig)
    release = (OPERATOR, str(OPERATOR_CHART), "--namespace", OPERATOR, *WAIT)
    values: dict[str, Any] = {"image": image(operator_image_name())}
    crds = await definitions(world)
    async with namespace_of(world, PLACE):
        await world.apply_hosts(PLACE)
        await world.hosts_ready(PLACE)
        await world.admin.apply(hello(PLACE))
        await world.application_ready(PLACE)
        assert await world.answers(url(PLACE)) == GREETING
        async with load(world, PLACE, notes):
            await helm.run("install", *release, "--take-ownership", "--force-conflicts", values=values)
            await helm.run("upgrade", *release, values=values | {"settings": {"workers": 8}})
            await helm.run("rollback", OPERATOR, "1", "--namespace", OPERATOR, *WAIT)
            await world.available(OPERATOR, OPERATOR)
            await helm.run("uninstall", OPERATOR, "--namespace", OPERATOR, "--wait", "--timeout", "110s")
        assert await world.answers(url(PLACE)) == GREETING, "hosts run on without the operator"
        assert await definitions(world) == crds
        assert await world.admin.find(CONFIG, "my-wasmcloud-cluster", PLACE) is not None

        started = time.monotonic()
        await world.admin.create_namespace(PLATFORM)
        login, _ = documents("hosts.yaml", PLATFORM)
        await world.admin.apply(login)
        await helm.run("install", "wasmcloud", str(PLATFORM_CHART), "--namespace", PLATFORM, values=platform_values())
        await world.admin.apply(hello(PLATFORM))
        await world.application_ready(PLATFORM)
        assert await world.answers(url(PLATFORM)) == GREETING
        notes.add(f"one command and one application: answered after {time.monotonic() - started:.1f} s")
        await world.admin.delete_all(APPLICATION, PLATFORM)
    print("; ".join(notes.lines))
