"""Changes of a pool under constant load: every request is answered, though no pod has a probe of the user's own."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator

import pytest
from e2ereport import Notes
from e2etogether import together
from e2everdicts import CONFIG
from e2eworld import MANIFESTS, POOL, World, hello, names, url
from test_e2e_rotation import require_creds, secret, use_creds

from support.lattice.jwt import Account, Operator
from testbed import eventually
from testbed.admin import Object, condition, is_true
from testbed.node.operatorimage import operator_image_name

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_LEAST = 1000


@pytest.mark.journey("2 rolling change of two hosts under constant load, without a probe")
@together("side_by_side")
async def test_no_request_is_lost(world: World, place: str, notes: Notes) -> None:
    before = await two_serve(world, place)
    async with load(world, place, notes):
        started = time.monotonic()
        await world.admin.patch(CONFIG, POOL, place, {"spec": {"logLevel": "DEBUG"}})
        await eventually(lambda: none_of(world, place, before), timeout=240, interval=0.5)
        await world.hosts_ready(place)
        notes.add(f"both hosts replaced in {time.monotonic() - started:.1f} s")
        await world.verdicts[place].end(POOL, "Current")
        assert world.verdicts[place].went_well(POOL, changes=1)


@pytest.mark.journey("2 Deployment → DaemonSet → Deployment under constant load")
@together("side_by_side")
async def test_a_toggle_loses_no_request(world: World, place: str, notes: Notes) -> None:
    """The workload of before goes once the hosts of the other kind serve."""
    await two_serve(world, place)
    async with load(world, place, notes):
        for daemonset, kind, gone in ((True, "DaemonSet", "Deployment"), (False, "Deployment", "DaemonSet")):
            await world.admin.patch(CONFIG, POOL, place, {"spec": {"daemonset": daemonset}})
            await world.admin.wait_for(f"apps/v1/{gone}", POOL, place, lambda seen: seen is None, timeout=300)
            await world.hosts_ready(place)
            assert await world.admin.find(f"apps/v1/{kind}", POOL, place) is not None


@pytest.mark.journey("2 a change to refused credentials under constant load: the hosts of before serve on")
@together("side_by_side")
async def test_refused_credentials_take_no_host_away(world: World, place: str, notes: Notes) -> None:
    account, strangers = Account("wasmcloud"), Account("strangers")
    root = Operator(account)
    await world.install_own(place, "nats", lambda nats: require_creds(nats, root))
    for name, creds in (
        ("wadm-creds", account.credentials("wadm")),
        ("right", account.credentials("hosts")),
        ("wrong", strangers.credentials("hosts")),
    ):
        await world.admin.apply(secret(place, name, creds))
    await world.install_own(place, "wadm", use_creds)
    patience = {"timeoutSeconds": 20}
    before = await two_serve(world, place, own=("nats-cluster",), secretName="right", rollout=patience)
    async with load(world, place, notes):
        await world.admin.patch(CONFIG, POOL, place, {"spec": {"secretName": "wrong"}})
        config = await world.admin.wait_for(CONFIG, POOL, place, shows_refusal, timeout=180)
        assert config is not None
        notes.add(f"Reconciling: {condition(config, 'Reconciling')['message'][-160:]}")
        # twice as long as a pod is waited for: nothing may become of it
        refused_at = time.monotonic()
        while time.monotonic() - refused_at < 2 * patience["timeoutSeconds"]:
            assert before <= await world.serving(place, "hello-python")
            await requests(world, place)
        assert shows_refusal(await world.admin.get(CONFIG, POOL, place))
        await world.admin.patch(CONFIG, POOL, place, {"spec": {"secretName": "right"}})
        await world.hosts_ready(place)
        assert names(await world.host_pods(place)) == before


def shows_refusal(config: Object | None) -> bool:
    """Whether the config is on its way, held up by a host that the hub does not let in."""
    if config is None or (config.get("status") or {}).get("observedGeneration") != config["metadata"]["generation"]:
        return False
    reconciling, lattice = condition(config, "Reconciling") or {}, condition(config, "LatticeConnected") or {}
    # a host that gets no answer over NATS ends, and is started anew
    held_up = reconciling.get("reason") in ("HostNotInLattice", "CrashLoopBackOff")
    named = "refuses the credentials" in reconciling.get("message", "")
    return held_up and named and lattice.get("reason") == "CredentialsRejected" and not is_true(config, "Ready")


async def two_serve(world: World, place: str, **options: object) -> set[str]:
    """Two hosts that both serve the application, by the names of their pods. Nothing in the config probes it."""
    await world.apply_hosts(place, hostReplicas=2, **options)
    assert "Probe" not in json.dumps((await world.admin.get(CONFIG, POOL, place))["spec"])
    await eventually(lambda: world.live_hosts(place, 2), timeout=300, interval=0.5)
    await world.admin.apply(hello(place))
    await world.hosts_ready(place)
    await world.application_ready(place)
    await eventually(lambda: world.all_serve(place), timeout=300, interval=0.5)
    return names(await world.host_pods(place))


@contextlib.asynccontextmanager
async def load(world: World, place: str, notes: Notes) -> AsyncIterator[None]:
    """Twenty requests a second from another pod, each on a connection of its own; each must have been answered."""
    await world.admin.apply(load_script(place))
    await world.admin.apply(load_pod(place, operator_image_name()))
    await world.admin.wait_for("v1/Pod", "load", place, running, timeout=180)
    await eventually(lambda: requests(world, place, more_than=60), timeout=180, interval=0.5)
    yield
    at_the_end = await requests(world, place)
    assert at_the_end is not None
    wanted = max(AT_LEAST, at_the_end["sent"] + 60)  # those that are on their way at the end too
    seen = await eventually(lambda: requests(world, place, more_than=wanted), timeout=180, interval=0.5)
    assert seen is not None
    notes.add(f"{seen['ended']} requests, {seen['failed']} failed, slowest {seen['slowest']:.2f} s")
    assert seen["failed"] == 0, seen["failures"]


def running(pod: Object | None) -> bool:
    return pod is not None and pod["status"].get("phase") == "Running"


async def requests(world: World, namespace: str, *, more_than: int = 0) -> Object | None:
    """What the load has counted by now; None before that many requests have ended."""
    log = await world.cluster.kubectl("logs", "-n", namespace, "load", "--tail=1")
    seen: Object = json.loads(log) if log else {"sent": 0, "ended": 0}
    return seen if seen["ended"] > more_than else None


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
        "command": ["/opt/operator/bin/python", "/load/load.py", url(namespace, "/load"), "20"],
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "load", "configMap": {"name": "load"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load", "namespace": namespace}, "spec": spec}
