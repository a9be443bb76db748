"""A pool of hosts and an application in Python, step by step; then somebody asks it."""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2everdicts import APPLICATION
from e2eworld import MANIFESTS, POOL, World, url

from testbed import eventually
from testbed.admin import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
APP = "hello-python"
# On a busy machine wadm has a provider started twice, is refused, and says for a moment that the application failed.
WADM_RETRIES = "Failed, Degraded"


@pytest.mark.journey("1 quickstart: hosts, application, curl through the Service")
@together("ahead")
async def test_quickstart(world: World, place: str, notes: Notes) -> None:
    async def kubectl(*args: str, stdin: str | None = None) -> None:
        await world.cluster.kubectl(*args, "-n", place, stdin=stdin, timeout=310)

    async def apply(file: str) -> None:
        text = (MANIFESTS / file).read_text().replace("namespace: default", f"namespace: {place}")
        await kubectl("apply", "-f", "-", stdin=text)

    # NATS, wadm and the operator are there; the pool of hosts comes first
    verdicts = world.verdicts[place]
    started = time.monotonic()
    await apply("hosts.yaml")
    await kubectl("wait", "--for=condition=Ready", f"whc/{POOL}", "--timeout=300s")
    notes.add(f"two hosts ready in {time.monotonic() - started:.1f} s")
    assert len(await world.host_pods(place)) == 2
    await verdicts.end(POOL, "Current")
    assert verdicts.went_well(POOL)

    # the application, as `kubectl` applies it
    started = time.monotonic()
    await apply("hello.yaml")
    await kubectl("wait", "--for=condition=Ready", f"app/{APP}", "--timeout=180s")
    notes.add(f"application ready in {time.monotonic() - started:.1f} s")
    application = await world.application_ready(place)
    assert application["status"]["phase"] == "Deployed"
    await verdicts.end(APP, "Current, Healthy")
    assert verdicts.of(APP)[0] == "InProgress, Progressing"
    assert set(verdicts.of(APP)) <= {"InProgress, Progressing", WADM_RETRIES, "Current, Healthy"}

    # another pod asks it by the Service's name
    assert await world.answers(url(place, "/there")) == "Hello from Python, you asked for /there"
    notes.add(f"answered after {time.monotonic() - started:.1f} s")
    await eventually(lambda: world.all_serve(place), timeout=300, interval=0.5)

    # undeployed by its annotation: still there, suspended for Argo CD
    await kubectl("annotate", f"app/{APP}", "k8s.wasmcloud.dev/undeploy=true")
    await world.admin.wait_for(APPLICATION, APP, place, is_undeployed, timeout=180)
    await verdicts.end(APP, "Current, Suspended")
    await kubectl("delete", f"app/{APP}", f"whc/{POOL}", "--timeout=180s")
    await verdicts.end(APP, "Terminating, Progressing")


def is_undeployed(application: Object | None) -> bool:
    return ((application or {}).get("status") or {}).get("phase") == "Undeployed"
