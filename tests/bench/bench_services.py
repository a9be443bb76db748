"""Services of 100 and 500 HTTP applications, and how fast endpoints follow providers, on simulated pods.

A control plane, NATS and wadm of its own; the hosts answer as real ones do, without running anything. The right-hand
column is the Rust operator, measured in the same way on a machine of the same size.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Self

from atrest import at_rest
from parallel import in_parallel
from support.operators.process import USER_AGENT, OperatorProcess
from support.sites.services import SERVES, SERVICE, SLICE, ServiceSite, http_components, manifest
from tables import MEASURED, print_table
from testbed import Admin, ControlPlane, Kwok, NatsServer, Wadm, eventually
from testbed.audit import AuditEvent
from wasmcloud_operator.lattice.testing import LatticeHost

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
HOSTS = 50
WRITERS = 16
AT_ONCE = 100
SERVICES = 500
SAMPLES = 200
REST_SECONDS = 60
# No host has it: wadm runs nothing, and does not meddle with what the bench starts and stops.
NOWHERE = {"bench": "nowhere"}

Row = tuple[str, ...]


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            ControlPlane.start(folder, audit=True) as cluster,
            Kwok.start(cluster),
            NatsServer.start(folder) as nats,
            cluster.admin() as admin,
        ):
            await admin.apply_files(*sorted(CRDS.glob("*.yaml")))
            async with (
                OperatorProcess.start(cluster.kubeconfig, folder, "--no-leader-election") as operator,
                ServiceSite.open(admin, nats, replicas=HOSTS) as site,
            ):
                async with Wadm.start(folder, nats.url):
                    rows = await at_once(site)
                    await run_all(site, range(AT_ONCE, SERVICES))
                # wadm has said what is deployed. From here on it would stop and start what the bench starts and stops.
                await at_rest(cluster, timeout=300)
                async with all_hosts(site, await site.pods(), heartbeat=10.0) as hosts:
                    await at_rest(cluster, timeout=300)  # the first sign of a host opens the gate of its pod
                    rows += await latencies(site, hosts)
                    rows += await settled(cluster, site, hosts, operator)
            print_table(f"Services, {HOSTS} hosts", (*MEASURED, "Rust operator"), rows)


async def at_once(site: ServiceSite) -> list[Row]:
    """Seconds from the first deploy until all Services are seen."""
    await in_parallel(range(AT_ONCE), partial(put, site), at_once=WRITERS)
    names = {f"app-{number}" for number in range(AT_ONCE)}
    async with Seen(site.admin, SERVICE, site.namespace) as seen:
        started = time.monotonic()

        async def deploy_all() -> float:
            await in_parallel(range(AT_ONCE), partial(deploy, site), at_once=WRITERS)
            return time.monotonic()

        deploying = asyncio.create_task(deploy_all())
        await seen.until(lambda objects: names <= objects.keys())
        seconds = time.monotonic() - started
        accepted = await deploying
    what = f"{AT_ONCE} HTTP applications at once: all Services"
    return [
        (what, f"{seconds:.2f} s", "<= 2.5 s", "10.0 s"),
        ("of which wadm took until it had accepted all", f"{accepted - started:.2f} s", "", ""),
    ]


async def latencies(site: ServiceSite, hosts: list[LatticeHost]) -> list[Row]:
    """From the event on a host to the pod in, or out of, the EndpointSlice as a watcher sees it."""
    started, stopped, gone = [], [], []
    provider = "app_0-httpserver"  # wadm makes ids of names so
    async with Seen(site.admin, SLICE, site.namespace, "kubernetes.io/service-name=app-0") as seen:
        for number in range(SAMPLES):
            host = hosts[number % len(hosts)]
            pod = host.labels["kubernetes_pod_name"]
            inside, outside = partial(is_ready, pod, True), partial(is_ready, pod, False)
            started.append(await seen.timed(host.start_provider(provider, application="app-0"), inside))
            if number % 2:
                stopped.append(await seen.timed(host.stop_provider(provider), outside))
            else:
                gone.append(await seen.timed(host.publish("host_stopped", {"labels": host.labels}), outside))
                host.providers.clear()
                about = {"friendly_name": host.friendly_name, "labels": host.labels, "version": host.version}
                await host.publish("host_started", {**about, "uptime_seconds": 0})
    return [
        latency("provider_started: its pod in the EndpointSlice", started),
        latency("provider_stopped: its pod out of it", stopped),
        latency("host_stopped: its pod out of it", gone),
    ]


async def settled(
    cluster: ControlPlane, site: ServiceSite, hosts: list[LatticeHost], operator: OperatorProcess
) -> list[Row]:
    """Every provider of every application on every host; then nothing but heartbeats."""
    audit = cluster.audit
    assert audit is not None
    # What the hosts have just said of single providers outweighs their heartbeats for a moment.
    await at_rest(cluster, timeout=300)
    about = {"image_ref": "ghcr.io/wasmcloud/http-server:0.27.0"}
    for host in hosts:
        host.providers.update(
            {
                f"app_{number}-httpserver": {**about, "annotations": {"wasmcloud.dev/appspec": f"app-{number}"}}
                for number in range(SERVICES)
            }
        )
    with audit.counting(user_agent=USER_AGENT) as counter:
        begun = time.monotonic()
        await in_parallel(hosts, LatticeHost.beat, at_once=WRITERS)
        await eventually(lambda: all_labelled(site), timeout=120, interval=0.5, message="all pods carry all labels")
        labelled = time.monotonic() - begun
        patches = sum(event.resource == "pods" for event in counter.writes)
    await at_rest(cluster, timeout=300)
    cpu = operator.cpu_seconds
    with audit.counting(user_agent=USER_AGENT) as counter:
        await asyncio.sleep(REST_SECONDS)  # the measured stretch itself
    busy = 100 * (operator.cpu_seconds - cpu) / REST_SECONDS
    shown(counter.writes)
    return [
        (f"{SERVICES} providers on {HOSTS} hosts: all labels", f"{labelled:.2f} s", "", ""),
        ("patches a pod until then", f"{patches / HOSTS:.2f}", "1", ""),
        (
            f"settled, heartbeats every 10 s: writes of the operator in {REST_SECONDS} s",
            str(len(counter.writes)),
            "0",
            "",
        ),
        ("processor meanwhile, of one core", f"{busy:.2f} %", "", ""),
        ("resident memory", f"{operator.resident_mebibytes:.0f} MiB", "", ""),
    ]


class Seen:
    """The objects of a kind as a watcher sees them."""

    def __init__(self, admin: Admin, kind: str, namespace: str, labels: str = "") -> None:
        self._admin, self._kind, self._namespace, self._labels = admin, kind, namespace, labels
        self._objects: dict[str, dict[str, Any]] = {}
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        path = await self._admin.path(self._kind, self._namespace)
        listed = await self._admin.request("GET", path, params={"labelSelector": self._labels})
        self._objects = {item["metadata"]["name"]: item for item in listed["items"]}
        self._task = asyncio.create_task(self._follow(listed["metadata"]["resourceVersion"]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool], timeout: float = 60) -> None:
        async with asyncio.timeout(timeout):
            while not holds(self._objects):
                self._changed.clear()
                await self._changed.wait()

    async def timed(self, action: Any, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> float:
        """Seconds from the begin of the action until it shows."""
        begun = time.monotonic()
        await action
        await self.until(holds, 15)
        return time.monotonic() - begun

    async def _follow(self, version: str) -> None:
        async for what, item in self._admin.watch(self._kind, self._namespace, version=version, labels=self._labels):
            if what == "DELETED":
                self._objects.pop(item["metadata"]["name"], None)
            else:
                self._objects[item["metadata"]["name"]] = item
            self._changed.set()


@contextlib.asynccontextmanager
async def all_hosts(site: ServiceSite, pods: Iterable[str], **options: Any) -> AsyncIterator[list[LatticeHost]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(site.host_on(pod, **options)) for pod in pods]


async def put(site: ServiceSite, number: int) -> None:
    components = http_components(10_000 + number, requirements=NOWHERE)
    answer = await site.wadm("put", manifest(f"app-{number}", components), timeout=60)
    assert answer["result"] == "created", answer


async def deploy(site: ServiceSite, number: int) -> None:
    answer = await site.wadm(f"deploy.app-{number}", {"version": "v1"}, timeout=60)
    assert answer["result"] == "acknowledged", answer


async def run_all(site: ServiceSite, numbers: Iterable[int]) -> None:
    numbers = list(numbers)
    await in_parallel(numbers, partial(put, site), at_once=4)
    await in_parallel(numbers, partial(deploy, site), at_once=4)
    async with Seen(site.admin, SERVICE, site.namespace) as seen:
        await seen.until(lambda objects: {f"app-{number}" for number in numbers} <= objects.keys())


async def all_labelled(site: ServiceSite) -> bool:
    pods = await site.admin.list("v1/Pod", site.namespace, labels="app.kubernetes.io/instance=pool")
    return all(sum(key.startswith(SERVES) for key in pod["metadata"]["labels"]) == SERVICES for pod in pods)


def is_ready(pod: str, wanted: bool, slices: dict[str, dict[str, Any]]) -> bool:
    ready = {
        endpoint["targetRef"]["name"]
        for each in slices.values()
        for endpoint in each.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
    }
    return (pod in ready) == wanted


def latency(what: str, seconds: list[float]) -> Row:
    ordered = sorted(seconds)
    middle, last = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return (f"{what}, p50 / p99 of {len(ordered)}", f"{1000 * middle:.0f} / {1000 * last:.0f} ms", "p99 < 300", "")


def shown(writes: list[AuditEvent]) -> None:
    if writes:
        print("writes at rest:", Counter((event.verb, event.resource) for event in writes))


if __name__ == "__main__":
    asyncio.run(main())
