"""A change of the pool under constant load: every request is answered."""

from __future__ import annotations

import json
import time

import pytest
from e2ereport import Notes
from e2eworld import CONFIG, MANIFESTS, World, documents, hello, names

from testbed import eventually
from testbed.admin import Object
from testbed.node.operatorimage import operator_image_name

pytestmark = pytest.mark.asyncio(loop_scope="session")
POOL = "my-wasmcloud-cluster"


@pytest.mark.journey("2 rolling change of two hosts under constant load")
async def test_no_request_is_lost(world: World, place: str, notes: Notes) -> None:
    # a pod of this pool counts as ready once the application answers on it, so that none is replaced before that
    options = documents("hosts.yaml")[0]["spec"]["schedulingOptions"]
    options["containerTemplateAdditions"]["wasmcloud"]["readinessProbe"] = {"httpGet": {"path": "/", "port": 8000}}
    await world.apply_hosts(place, hostReplicas=2, schedulingOptions=options)
    await world.apply_application(hello(place))
    await world.hosts_ready(place)
    await world.application_ready(place)
    await world.answers(f"http://hello-python.{place}.svc:8000/")
    await eventually(lambda: both_serve(world, place), timeout=90, interval=0.5)
    before = names(await world.host_pods(place))

    # ten requests a second from another pod, each on a connection of its own
    load = (MANIFESTS / "load.py").read_text()
    await world.admin.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "load", "namespace": place},
            "data": {"load.py": load},
        }
    )
    await world.admin.apply(load_pod(place, operator_image_name()))
    await world.admin.wait_for("v1/Pod", "load", place, running, timeout=60)
    await eventually(lambda: requests(world, place, more_than=30), timeout=60, interval=0.5)

    started = time.monotonic()
    await world.admin.patch(CONFIG, POOL, place, {"spec": {"logLevel": "DEBUG"}})
    await eventually(lambda: none_of(world, place, before), timeout=240, interval=0.5)
    await world.hosts_ready(place)
    notes.add(f"both hosts replaced in {time.monotonic() - started:.1f} s")
    at_the_end = await requests(world, place)
    seen = await eventually(lambda: requests(world, place, more_than=at_the_end["sent"] + 30), timeout=60, interval=0.5)
    notes.add(f"{seen['sent']} requests, {seen['failed']} failed, slowest {seen['slowest']:.2f} s")
    assert seen["failed"] == 0, seen["failures"]


def running(pod: Object | None) -> bool:
    return pod is not None and pod["status"].get("phase") == "Running"


async def requests(world: World, namespace: str, *, more_than: int = 0) -> Object | None:
    """What the load has counted by now; None before it has sent that many."""
    log = await world.cluster.kubectl("logs", "-n", namespace, "load", "--tail=1")
    seen = json.loads(log) if log else {"sent": 0}
    return seen if seen["sent"] > more_than else None


async def none_of(world: World, namespace: str, before: set[str]) -> bool:
    pods = await world.admin.list("v1/Pod", namespace, labels="app.kubernetes.io/name=wasmcloud")
    return len(pods) == 2 and not names(pods) & before


async def both_serve(world: World, namespace: str) -> bool:
    pods = names(await world.host_pods(namespace))
    return len(pods) == 2 and await world.serving(namespace, "hello-python") == pods


def load_pod(namespace: str, image: str) -> Object:
    """The operator's image has Python and aiohttp."""
    url = f"http://hello-python.{namespace}.svc.cluster.local:8000/load"
    container = {
        "name": "load",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["/opt/operator/bin/python", "/load/load.py", url, "10"],
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "load", "configMap": {"name": "load"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load", "namespace": namespace}, "spec": spec}
