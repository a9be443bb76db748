"""The README's quickstart: NATS, wadm, the operator, a pool of hosts, an application; then somebody asks it."""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2eworld import APPLICATION, CONFIG, GREETING, MANIFESTS, World

from kstatus import argocd_health, kstatus
from testbed.admin import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
APP = "hello-python"


@pytest.mark.journey("1 quickstart: hosts, application, curl through the Service")
async def test_quickstart(world: World, notes: Notes) -> None:
    # NATS, wadm and the operator are there; the pool of hosts comes first
    started = time.monotonic()
    await world.cluster.kubectl("apply", "-f", str(MANIFESTS / "hosts.yaml"))
    await world.cluster.kubectl(
        "wait", "--for=condition=Ready", "whc/my-wasmcloud-cluster", "--timeout=120s", timeout=130
    )
    notes.add(f"two hosts ready in {time.monotonic() - started:.1f} s")
    pool = await world.admin.get(CONFIG, "my-wasmcloud-cluster", "default")
    assert kstatus(pool) == "Current"
    assert len(await world.host_pods("default")) == 2

    # the application, as `kubectl` applies it
    started = time.monotonic()
    await world.cluster.kubectl("apply", "-f", str(MANIFESTS / "hello.yaml"))
    await world.cluster.kubectl("wait", "--for=condition=Ready", f"app/{APP}", "--timeout=180s", timeout=190)
    notes.add(f"application ready in {time.monotonic() - started:.1f} s")
    application = await world.application_ready("default")
    assert application["status"]["phase"] == "Deployed"
    assert kstatus(application) == "Current"
    assert argocd_health(application)[0] == "Healthy"

    # another pod asks it by the Service's name
    text = await world.answers(f"http://{APP}.default.svc.cluster.local:8000/there")
    assert text == f"{GREETING}/there"
    notes.add(f"answered after {time.monotonic() - started:.1f} s")
    pods = {pod["metadata"]["name"] for pod in await world.host_pods("default")}
    assert await world.serving("default", APP) == pods

    # undeployed by its annotation: still there, suspended for Argo CD
    undeploy = ("annotate", f"app/{APP}", "k8s.wasmcloud.dev/undeploy=true")
    await world.cluster.kubectl(*undeploy)
    suspended = await world.admin.wait_for(APPLICATION, APP, "default", is_undeployed, timeout=60)
    assert suspended is not None
    assert argocd_health(suspended)[0] == "Suspended"
    await world.cluster.kubectl("delete", f"app/{APP}", "whc/my-wasmcloud-cluster", "--timeout=60s", timeout=70)


def is_undeployed(application: Object | None) -> bool:
    return ((application or {}).get("status") or {}).get("phase") == "Undeployed"
