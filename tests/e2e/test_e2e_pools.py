"""Pools of hosts under change: scaling, the kind of workload, rotated secrets, and an operator that is away."""

from __future__ import annotations

import asyncio
import time

import pytest
from e2ereport import Notes
from e2eworld import CONFIG, DEPLOYMENT, GREETING, MANIFESTS, OPERATOR, World, documents, hello, names, restarts

from testbed import eventually
from testbed.admin import Objects

pytestmark = pytest.mark.asyncio(loop_scope="session")
POOL = "my-wasmcloud-cluster"
OPERATOR_AWAY = 60.0  # seconds
SECOND_PASSWORD = "puller:$2b$05$abcdefghijklmnopqrstuuQQ3svipWaDLu5Kgwa3hvLrUP0FshBnK"


@pytest.mark.journey("4 scale 1 → 3 → 1, Deployment → DaemonSet → Deployment")
async def test_scale_and_toggle(world: World, place: str, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=1)
    await world.hosts_ready(place)
    (first,) = await world.host_pods(place)

    for replicas in (3, 1):
        started = time.monotonic()
        await world.cluster.kubectl("scale", "-n", place, f"whc/{POOL}", f"--replicas={replicas}")
        await eventually(lambda n=replicas: live_hosts(world, place, n), timeout=120, interval=0.5)
        notes.add(f"{replicas} live hosts after {time.monotonic() - started:.1f} s")
    assert restarts(await world.host_pods(place)) == 0

    # the other kind of workload, and back: never both, never none for long
    for daemonset, kind, gone in ((True, "DaemonSet", "Deployment"), (False, "Deployment", "DaemonSet")):
        await world.admin.patch(CONFIG, POOL, place, {"spec": {"daemonset": daemonset}})
        await world.admin.wait_for(f"apps/v1/{gone}", POOL, place, lambda seen: seen is None, timeout=120)
        await world.hosts_ready(place)
        assert await world.admin.find(f"apps/v1/{kind}", POOL, place) is not None
    assert first["metadata"]["name"] not in names(await world.host_pods(place))


@pytest.mark.journey("4 rotated registry password: pods roll once, pulls go on")
async def test_registry_password_is_rotated(world: World, place: str, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=1)
    await world.hosts_ready(place)
    before = await world.host_pods(place)

    try:
        # the registry has a new password, then the pool gets it
        await world.admin.patch("v1/Secret", "registry-users", "default", {"stringData": {"htpasswd": SECOND_PASSWORD}})
        await world.cluster.kubectl("rollout", "restart", "-n", "default", "deployment/registry")
        await world.cluster.kubectl("rollout", "status", "-n", "default", "deployment/registry", "--timeout=60s")
        started = time.monotonic()
        _, login = documents("hosts.yaml")
        text = login["stringData"][".dockerconfigjson"].replace("first-password", "second-password")
        await world.admin.patch("v1/Secret", "registry-login", place, {"stringData": {".dockerconfigjson": text}})
        await eventually(lambda: replaced(world, place, before), timeout=120, interval=0.5)
        await world.hosts_ready(place)
        notes.add(f"rolled after {time.monotonic() - started:.1f} s")

        # only the new password opens the registry now
        await world.apply_application(hello(place))
        await world.application_ready(place)
        assert (await world.answers(f"http://hello-python.{place}.svc:8000/new")) == f"{GREETING}/new"
        revision = await world.admin.get(DEPLOYMENT, POOL, place)
        assert revision["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    finally:
        users = (MANIFESTS / "registry.yaml").read_text()
        await world.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=users)
        await world.cluster.kubectl("rollout", "restart", "-n", "default", "deployment/registry")
        await world.cluster.kubectl("rollout", "status", "-n", "default", "deployment/registry", "--timeout=60s")


@pytest.mark.journey("5 operator away for a minute while pods come and go")
async def test_operator_is_killed(world: World, place: str, notes: Notes) -> None:
    await world.apply_hosts(place, hostReplicas=2)
    await world.apply_application(hello(place))
    await world.hosts_ready(place)
    await world.application_ready(place)
    url = f"http://hello-python.{place}.svc:8000/"
    await world.answers(url)
    kept, victim = await world.host_pods(place)

    # all replicas die at once, and none comes back for a minute
    await world.cluster.kubectl("scale", "-n", OPERATOR, f"deployment/{OPERATOR}", "--replicas=0")
    await world.cluster.kubectl(
        "delete", "pods", "-n", OPERATOR, "-l", "app.kubernetes.io/component=operator", "--grace-period=0", "--force"
    )
    away = time.monotonic()
    await world.admin.delete("v1/Pod", victim["metadata"]["name"], place)
    await world.admin.patch(CONFIG, POOL, place, {"spec": {"hostReplicas": 3}})
    while time.monotonic() - away < OPERATOR_AWAY:
        assert (await world.get(url)).startswith(GREETING)  # what serves goes on serving
        await asyncio.sleep(2)

    started = time.monotonic()
    await world.cluster.kubectl("scale", "-n", OPERATOR, f"deployment/{OPERATOR}", "--replicas=2")
    await world.available(OPERATOR, OPERATOR, timeout=120)
    await eventually(lambda: live_hosts(world, place, 3), timeout=120, interval=0.5)
    await world.application_ready(place)
    await eventually(lambda: all_serve(world, place), timeout=120, interval=0.5)
    notes.add(f"all right {time.monotonic() - started:.1f} s after its return")
    pods = await world.host_pods(place)
    assert kept["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in pods}, "a pod that served was replaced"
    assert restarts(pods) == 0


async def live_hosts(world: World, namespace: str, number: int) -> bool:
    """Whether the pool has that many pods and the lattice knows as many hosts."""
    pool = await world.admin.get(CONFIG, POOL, namespace)
    pods = await world.host_pods(namespace)
    return len(pods) == number and (pool.get("status") or {}).get("hostCount") == number


async def replaced(world: World, namespace: str, before: Objects) -> bool:
    """Whether none of the pods of before is there any more."""
    now = names(await world.host_pods(namespace))
    return bool(now) and not now & names(before)


async def all_serve(world: World, namespace: str) -> bool:
    """Whether the application's Service leads to every host pod."""
    pods = names(await world.host_pods(namespace))
    return bool(pods) and await world.serving(namespace, "hello-python") == pods
