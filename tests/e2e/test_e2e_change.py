"""A change of the pool under constant load: every request is answered."""

from __future__ import annotations

import json
import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2everdicts import CONFIG
from e2eworld import MANIFESTS, POOL, World, documents, hello, names, url

from testbed import eventually
from testbed.admin import Object
from testbed.node.operatorimage import operator_image_name

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.journey("2 rolling change of two hosts under constant load")
@together("side_by_side")
async def test_no_request_is_lost(world: World, place: str, notes: Notes) -> None:
    await change_under_load(world, place, notes)


async def change_under_load(world: World, place: str, notes: Notes) -> None:
    # a pod of this pool counts as ready once the application answers on it, so that none is replaced before that
    options = documents("hosts.yaml")[1]["spec"]["schedulingOptions"]
    options["containerTemplateAdditions"]["wasmcloud"]["readinessProbe"] = {"httpGet": {"path": "/", "port": 8000}}
    await world.apply_hosts(place, hostReplicas=2, schedulingOptions=options)
    await eventually(lambda: world.live_hosts(place, 2), timeout=300, interval=0.5)
    await world.admin.apply(hello(place))
    await world.hosts_ready(place)
    await world.application_ready(place)
    await eventually(lambda: world.all_serve(place), timeout=300, interval=0.5)
    before = names(await world.host_pods(place))

    # ten requests a second from another pod, each on a connection of its own
    await world.admin.apply(load_script(place))
    await world.admin.apply(load_pod(place, operator_image_name()))
    await world.admin.wait_for("v1/Pod", "load", place, running, timeout=180)
    await eventually(lambda: requests(world, place, more_than=30), timeout=180, interval=0.5)

    started = time.monotonic()
    await world.admin.patch(CONFIG, POOL, place, {"spec": {"logLevel": "DEBUG"}})
    await eventually(lambda: none_of(world, place, before), timeout=240, interval=0.5)
    await world.hosts_ready(place)
    notes.add(f"both hosts replaced in {time.monotonic() - started:.1f} s")
    await world.verdicts[place].end(POOL, "Current")
    assert world.verdicts[place].went_well(POOL, changes=1)
    at_the_end = await requests(world, place)
    assert at_the_end is not None
    seen = await eventually(
        lambda: requests(world, place, more_than=at_the_end["sent"] + 30), timeout=180, interval=0.5
    )
    assert seen is not None
    notes.add(f"{seen['sent']} requests, {seen['failed']} failed, slowest {seen['slowest']:.2f} s")
    assert seen["failed"] == 0, seen["failures"]


def running(pod: Object | None) -> bool:
    return pod is not None and pod["status"].get("phase") == "Running"


async def requests(world: World, namespace: str, *, more_than: int = 0) -> Object | None:
    """What the load has counted by now; None before it has sent that many."""
    log = await world.cluster.kubectl("logs", "-n", namespace, "load", "--tail=1")
    seen: Object = json.loads(log) if log else {"sent": 0}
    return seen if seen["sent"] > more_than else None


async def none_of(world: World, namespace: str, before: set[str]) -> bool:
    pods = await world.admin.list("v1/Pod", namespace, labels="app.kubernetes.io/name=wasmcloud")
    return len(pods) == 2 and not names(pods) & before


def load_script(namespace: str) -> Object:
    metadata = {"name": "load", "namespace": namespace}
    data = {"load.py": (MANIFESTS / "load.py").read_text()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def load_pod(namespace: str, image: str) -> Object:
    """The operator's image has Python and aiohttp."""
    container = {
        "name": "load",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["/opt/operator/bin/python", "/load/load.py", url(namespace, "/load"), "10"],
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "load", "configMap": {"name": "load"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load", "namespace": namespace}, "spec": spec}
