"""100 host configs in 10 namespaces, beside their own control plane and NATS: create, change, rest, restart.

"By hand" is what the machine does without an operator, in the same run on a cluster of its own: the clients that write
the configs also apply the same ServiceAccount, ConfigMap and Deployment of each. The last column is the Rust operator,
measured in the same way on another machine of the same size. The processor time "by hand" is that of the operator's own
requests, sent by aiohttp alone: what an operator in Python cannot go below.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from atrest import at_rest
from bare_requests import Request, applied, cpu_of, created
from parallel import in_parallel
from support.operators.process import USER_AGENT, OperatorProcess
from tables import MEASURED, print_table
from testbed import Admin, ControlPlane, NatsServer
from testbed.admin import Object
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.render_workload import KINDS, render
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.resources import EVENT, Key
from wasmcloud_operator_types import WasmCloudHostConfig, parse

CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
CRDS = Path(__file__).parents[2] / "manifests" / "crds"
NAMESPACES = [f"bench-{number}" for number in range(10)]
KEYS = [(namespace, f"pool-{number}") for number in range(10) for namespace in NAMESPACES]
CHILDREN = ("apps/v1/Deployment", "v1/ConfigMap", "v1/Service", "v1/ServiceAccount")
RESOURCES = {resource.kind: resource for resource in KINDS}
WRITERS = 16
REST_SECONDS = 60


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder)) as (cluster, nats, admin):
            by_hand = await measure_by_hand(cluster, nats, admin)
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder)) as (cluster, nats, admin):
            rows = await measure(cluster, nats, admin, Path(folder), by_hand)
            print_table("100 host configs in 10 namespaces", (*MEASURED, "by hand", "Rust operator"), rows)


@contextlib.asynccontextmanager
async def site(folder: Path) -> AsyncIterator[tuple[ControlPlane, NatsServer, Admin]]:
    async with (
        ControlPlane.start(folder, audit=True) as cluster,
        NatsServer.start(folder) as nats,
        cluster.admin() as admin,
    ):
        await admin.apply_files(*sorted(CRDS.glob("*.yaml")))
        for namespace in NAMESPACES:
            await admin.create_namespace(namespace)
        await at_rest(cluster)
        yield cluster, nats, admin


@dataclass(frozen=True)
class ByHand:
    """Seconds for the creation and for the change, and of processor time for the requests that an operator sends."""

    create: float
    change: float
    create_cpu: float
    change_cpu: float


async def measure_by_hand(cluster: ControlPlane, nats: NatsServer, admin: Admin) -> ByHand:

    async def create_all(key: tuple[str, str]) -> None:
        children = render(parse(WasmCloudHostConfig, await create(admin, nats, key)), Facts())
        for child in (*children.before, children.workload):
            await admin.apply(child.body)

    async def change_both(key: tuple[str, str]) -> None:
        children = render(parse(WasmCloudHostConfig, await change(admin, key)), Facts())
        await admin.apply(children.workload.body)

    create_seconds, _ = await timed(cluster, create_all, lambda _: True)
    await at_rest(cluster)
    change_seconds, _ = await timed(cluster, change_both, carries_change)
    await at_rest(cluster)
    configs = [await admin.get(CONFIG, name, namespace) for namespace, name in KEYS]
    create_cpu = await cpu_of(cluster, [requests_of(config, "INFO", children=4, events=2) for config in configs])
    await at_rest(cluster)
    change_cpu = await cpu_of(cluster, [requests_of(config, "DEBUG", children=1, events=1) for config in configs])
    return ByHand(create_seconds, change_seconds, create_cpu, change_cpu)


def requests_of(config: Object, level: str, *, children: int, events: int) -> list[Request]:
    """Requests as many and as large as the operator's for one pool: its children, the status twice, and Events.

    The children have names of their own, so that they are made anew.
    """
    name, namespace = config["metadata"]["name"], config["metadata"]["namespace"]
    twin = {"name": f"bare-{name}", "namespace": namespace, "uid": config["metadata"]["uid"]}
    spec = {**config["spec"], "logLevel": level}
    rendered = render(parse(WasmCloudHostConfig, {"metadata": twin, "spec": spec}), Facts())
    bodies = [child.body for child in (rendered.workload, *rendered.before, *rendered.after)][:children]
    paths = [RESOURCES[body["kind"]].path(Key(namespace, body["metadata"]["name"])) for body in bodies]
    about = {"apiVersion": config["apiVersion"], "kind": config["kind"]}
    states = [
        {**about, "metadata": {"name": name}, "status": {"hostCount": count, "conditions": _conditions(level)}}
        for count in (1, 2)
    ]
    noted = [_event(about, f"{name}.{level.lower()}.{number}", config) for number in range(events)]
    return [
        *(applied(path, body) for path, body in zip(paths, bodies, strict=True)),
        *(applied(HOST_CONFIG.path(Key(namespace, name), "status"), state) for state in states),
        *(created(EVENT.collection(namespace), event) for event in noted),
    ]


def _conditions(message: str) -> list[Object]:
    """Returns as many as the operator writes."""
    return [
        {
            "type": f"Bench{number}",
            "status": "True",
            "reason": "Bench",
            "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for number in range(7)
    ]


def _event(about: Object, name: str, config: Object) -> Object:
    metadata = config["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "bench/hand",
        "reportingInstance": "bench",
        "action": "Reconcile",
        "reason": "Created",
        "note": "Created Deployment",
        "type": "Normal",
        "regarding": {**about, "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
    }


async def measure(
    cluster: ControlPlane, nats: NatsServer, admin: Admin, folder: Path, by_hand: ByHand
) -> Iterable[tuple[str, ...]]:
    audit = cluster.audit
    assert audit is not None
    rows = []
    async with OperatorProcess.start(cluster.kubeconfig, folder, "--no-leader-election") as operator:
        cpu = operator.cpu_seconds
        seconds, requests = await timed(cluster, lambda key: create(admin, nats, key), lambda _: True)
        rows.append(
            ("create: all 100 Deployments seen", f"{seconds:.2f} s", "<= 1.0 s", f"{by_hand.create:.2f} s", "0.92 s")
        )
        await at_rest(cluster)
        cpu, used = operator.cpu_seconds, operator.cpu_seconds - cpu
        rows.append(("processor time of it", f"{used:.2f} s", "<= 0.30 s", f"{by_hand.create_cpu:.2f} s", "0.24 s"))
        seconds, requests = await timed(cluster, lambda key: change(admin, key), carries_change)
        rows.append(("one field changed on all", f"{seconds:.2f} s", "<= 1.0 s", f"{by_hand.change:.2f} s", "1.85 s"))
        rows.append(("writes a config until then", f"{requests / len(KEYS):.2f}", "<= 2", "", "13"))
        await at_rest(cluster)
        used = operator.cpu_seconds - cpu
        rows.append(("processor time of it", f"{used:.2f} s", "<= 0.30 s", f"{by_hand.change_cpu:.2f} s", ""))
        back = sorted([await deleted_and_back(admin, *which) for which in itertools.product(CHILDREN, KEYS[:25])])
        worst = f"{1000 * statistics.median(back):.0f} / {1000 * back[-1]:.0f} ms"
        rows.append(("a child deleted by hand, back: p50 / worst", worst, "< 1 s", "", ""))
        await at_rest(cluster)
        cpu = operator.cpu_seconds
        with audit.counting(user_agent=USER_AGENT) as counter:
            await asyncio.sleep(REST_SECONDS)  # the measured stretch itself
        rows.append(("writes in a minute at rest", str(len(counter.writes)), "0", "", "912"))
        busy = 100 * (operator.cpu_seconds - cpu) / REST_SECONDS
        rows.append(("processor at rest, of one core", f"{busy:.2f} %", "< 1 %", "", ""))
        rows.append(("resident memory", f"{operator.resident_mebibytes:.0f} MiB", "<= 90 MB", "", "43 MB"))
    with audit.counting(user_agent=USER_AGENT) as counter:
        started = time.monotonic()
        async with OperatorProcess.start(cluster.kubeconfig, folder, "--no-leader-election", name="restarted"):
            synced = time.monotonic() - started
            await at_rest(cluster)
        rows.append(("restart on the settled cluster: ready", f"{synced:.2f} s", "< 2 s", "", ""))
    # Access reviews are POSTs that store nothing.
    writes = [event for event in counter.writes if not event.resource.startswith("selfsubject")]
    rows.append(("writes after the restart", str(len(writes)), "0", "", ""))
    if writes:
        print("writes after the restart:", Counter((event.verb, event.resource) for event in writes))
    return rows


async def deleted_and_back(admin: Admin, kind: str, key: tuple[str, str]) -> float:
    """Seconds from the deletion of a child until another one is in its place."""
    namespace, name = key
    uid = (await admin.get(kind, name, namespace))["metadata"]["uid"]
    started = time.monotonic()
    await admin.delete(kind, name, namespace)
    await admin.wait_for(kind, name, namespace, lambda found: found is not None and found["metadata"]["uid"] != uid)
    return time.monotonic() - started


async def timed(
    cluster: ControlPlane, write: Callable[[tuple[str, str]], Awaitable[object]], done: Callable[[dict], bool]
) -> tuple[float, int]:
    """Seconds from the first write until every Deployment is as wanted, and the operator's writes to them till then."""
    waiting = set(KEYS)
    audit = cluster.audit
    assert audit is not None
    async with cluster.admin() as admin:
        listed = await admin.request("GET", await admin.path("apps/v1/Deployment"))
        version = listed["metadata"]["resourceVersion"]

        async def see() -> None:
            async for _, seen in admin.watch("apps/v1/Deployment", version=version):
                if done(seen):
                    waiting.discard((seen["metadata"]["namespace"], seen["metadata"]["name"]))
                if not waiting:
                    return

        with audit.counting(user_agent=USER_AGENT) as counter:
            seeing = asyncio.create_task(see())
            started = time.monotonic()
            await in_parallel(KEYS, write, at_once=WRITERS)
            async with asyncio.timeout(60):
                await seeing
            seconds = time.monotonic() - started
        writes = [event for event in counter.writes if not event.resource.startswith("events")]
    return seconds, len(writes)


async def create(admin: Admin, nats: NatsServer, key: tuple[str, str]) -> Object:
    namespace, name = key
    spec = {"lattice": "bench", "version": "1.0.2", "natsAddress": nats.url, "hostLabels": {"pool": name}}
    return await admin.create(
        {
            "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
            "kind": "WasmCloudHostConfig",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
    )


async def change(admin: Admin, key: tuple[str, str]) -> Object:
    namespace, name = key
    return await admin.patch(CONFIG, name, namespace, {"spec": {"logLevel": "DEBUG"}})


def carries_change(deployment: dict) -> bool:
    env = deployment["spec"]["template"]["spec"]["containers"][0].get("env", [])
    return {"name": "WASMCLOUD_LOG_LEVEL", "value": "DEBUG"} in env


if __name__ == "__main__":
    asyncio.run(main())
