"""Applications beside their own control plane, NATS and wadm: 100 at once, pushes, 1,000 at rest, restart.

100 in each of ten namespaces, each with a lattice of its own: wadm reads every application of a lattice at each deploy.

"By hand" is what the machine does without an operator, in the same run: the clients that post the Applications put and
deploy them in wadm themselves. The right-hand column is the Rust operator, where it has the same; its aggregated API
takes posts and has no watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import nats

from atrest import at_rest
from parallel import in_parallel
from support.operators.process import USER_AGENT, OperatorProcess
from support.sites.applications import APP, application, host_config
from tables import MEASURED, print_table
from testbed import Admin, ControlPlane, NatsServer, Wadm

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
PLACES = [f"bench-{number}" for number in range(10)]  # namespaces and lattices
NAMESPACE = LATTICE = PLACES[0]
BY_HAND = "by-hand"  # a namespace without a host config, and a lattice that no operator knows
MANY = 1000
WRITERS = 16
REST_SECONDS = 30
QUIET_SECONDS = 6  # longer than the operator waits for a push after a deploy
PUSHES = 200
FLAGS = ("--no-leader-election",)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            ControlPlane.start(Path(folder), audit=True) as cluster,
            NatsServer.start(Path(folder)) as server,
            Wadm.start(Path(folder), server.url),
            cluster.admin() as admin,
        ):
            await admin.apply_files(*sorted(CRDS.glob("*.yaml")))
            await admin.create_namespace(BY_HAND)
            for place in PLACES:
                await admin.create_namespace(place)
                await admin.create(host_config(place, place, server.url))
            rows = await measure(cluster, server, admin, Path(folder))
            print_table("Applications", (*MEASURED, "by hand", "Rust operator"), rows)


async def measure(cluster: ControlPlane, server: NatsServer, admin: Admin, folder: Path) -> Iterable[tuple[str, ...]]:
    audit = cluster.audit
    assert audit is not None
    rows = []
    client = await nats.connect(server.url)
    names = [f"app-{number}" for number in range(100)]
    await at_rest(cluster)
    by_hand = [f"{seconds:.2f} s" for seconds in await measure_by_hand(client, admin, names)]
    async with watching(client) as seen:
        async with OperatorProcess.start(cluster.kubeconfig, folder, *FLAGS) as operator:
            await ready_for_work(admin)
            await at_rest(cluster, quiet=QUIET_SECONDS)
            cpu = operator.cpu_seconds
            posted, seconds = await create(client, admin, names)
            rows.append(("100 at once: all posted", f"{posted:.2f} s", "", by_hand[0], "1.6 s"))
            rows.append(("100 at once: all deployed in wadm", f"{seconds:.2f} s", "<= 1.5 s", by_hand[1], ""))
            await at_rest(cluster, quiet=QUIET_SECONDS)
            rows.append(("processor time of it", f"{operator.cpu_seconds - cpu:.2f} s", ""))
            latencies = await push_and_see(admin, client)
            latencies.sort()
            rows.append(("status push to CR: median", f"{1000 * latencies[len(latencies) // 2]:.0f} ms", ""))
            p99 = latencies[int(len(latencies) * 0.99)]
            rows.append(("status push to CR: p99", f"{1000 * p99:.0f} ms", "< 100 ms"))
            cpu, seconds = operator.cpu_seconds, 0.0
            for place in PLACES[1:]:
                names = [f"{place}-{number}" for number in range(100)]
                seconds += (await create(client, admin, names, place))[1]
            rows.append(("900 more: all deployed in wadm", f"{seconds:.2f} s", ""))
            await at_rest(cluster, quiet=QUIET_SECONDS)
            rows.append(("processor time of it", f"{operator.cpu_seconds - cpu:.2f} s", ""))
            seen.clear()
            cpu = operator.cpu_seconds
            with audit.counting(user_agent=USER_AGENT) as counter:
                await asyncio.sleep(REST_SECONDS)  # the measured stretch itself
            # A list a lattice every 30 s, by which a wadm that died without a word is noticed.
            asked, wanted = per_minute(seen.total()), f"<= {2 * len(PLACES)}"
            rows.append(("1,000 at rest: requests to wadm a minute", asked, wanted))
            rows.append(("1,000 at rest: writes a minute", per_minute(len(counter.writes)), "0"))
            busy = 100 * (operator.cpu_seconds - cpu) / REST_SECONDS
            rows.append(("1,000 at rest: processor, of one core", f"{busy:.2f} %", ""))
            rows.append(("1,000 at rest: resident memory", f"{operator.resident_mebibytes:.0f} MiB", ""))
        seen.clear()
        with audit.counting(user_agent=USER_AGENT) as counter:
            started = time.monotonic()
            async with OperatorProcess.start(cluster.kubeconfig, folder, *FLAGS, name="restarted") as operator:
                await synced(operator, seen)
                seconds = time.monotonic() - started
                await at_rest(cluster, quiet=QUIET_SECONDS)
                puts = seen["put"]
                rows.append(("restart with 1,000: synced", f"{seconds:.2f} s", "< 5 s"))
                rows.append(("restart with 1,000: puts", str(puts), "0"))
                rows.append(("restart with 1,000: requests to wadm", str(seen.total()), ""))
        writes = Counter(event.resource for event in counter.writes if not event.resource.startswith("selfsubject"))
        rows.append(("restart with 1,000: writes", str(writes.total()), "0"))
        if writes:
            print("writes after the restart:", dict(writes))
    await client.close()
    return rows


async def measure_by_hand(client: Any, admin: Admin, names: list[str]) -> tuple[float, float]:
    """Seconds until all are posted and put and deployed, and until wadm has reported all of them as deployed."""

    async def bring(name: str) -> None:
        await admin.create(application(BY_HAND, name))
        manifest = application(BY_HAND, name, annotations={"version": "1"})
        for operation, body in (("put", manifest), (f"deploy.{name}", {"version": "1"})):
            subject = f"wadm.api.{BY_HAND}.model.{operation}"
            answer = json.loads((await client.request(subject, json.dumps(body).encode(), timeout=30)).data)
            assert answer["result"] in {"created", "acknowledged"}, answer

    seconds = await until_deployed(client, names, BY_HAND, bring)
    await in_parallel(names, lambda name: admin.delete(APP, name, BY_HAND), at_once=WRITERS)
    return seconds


@contextlib.asynccontextmanager
async def watching(client: Any) -> AsyncIterator[Counter[str]]:
    """Counts the requests to wadm by operation."""
    seen: Counter[str] = Counter()

    async def on_request(message: Any) -> None:
        seen[message.subject.split(".")[4]] += 1

    subscription = await client.subscribe("wadm.api.*.model.>", cb=on_request)
    try:
        yield seen
    finally:
        await subscription.unsubscribe()


async def ready_for_work(admin: Admin) -> None:
    """Until the first Application is through, so that nothing of the start is measured; it is deleted again."""
    await admin.create(application(NAMESPACE, "first"))
    await admin.wait_for(APP, "first", NAMESPACE, lambda obj: "deployedVersion" in (obj or {}).get("status", {}))
    await admin.delete(APP, "first", NAMESPACE)
    await admin.wait_for(APP, "first", NAMESPACE, lambda obj: obj is None)


async def create(client: Any, admin: Admin, names: list[str], place: str = NAMESPACE) -> tuple[float, float]:
    """Seconds until all are posted, and until wadm has reported all of them as deployed."""
    return await until_deployed(client, names, place, lambda name: admin.create(application(place, name)))


async def until_deployed(
    client: Any, names: list[str], place: str, bring: Callable[[str], Awaitable[object]]
) -> tuple[float, float]:
    """Seconds until `bring` is done with all names, and until wadm has reported all of them as deployed."""
    missing, done = set(names), asyncio.Event()

    async def on_published(message: Any) -> None:
        missing.discard(json.loads(message.data)["data"]["metadata"]["name"])
        if not missing:
            done.set()

    subscription = await client.subscribe(f"wadm.evt.{place}.manifest_published", cb=on_published)
    started = time.monotonic()
    await in_parallel(names, bring, at_once=WRITERS)
    posted = time.monotonic() - started
    async with asyncio.timeout(180):
        await done.wait()
    await subscription.unsubscribe()
    return posted, time.monotonic() - started


async def push_and_see(admin: Admin, client: Any) -> list[float]:
    """Seconds from a push, as wadm makes it, until a watch of the Application shows it; one after the other."""
    shown: asyncio.Queue[str] = asyncio.Queue()
    listed = await admin.request("GET", await admin.path(APP, NAMESPACE))
    version = listed["metadata"]["resourceVersion"]

    async def see() -> None:
        async for _, obj in admin.watch(APP, NAMESPACE, version=version):
            await shown.put(obj["status"].get("wadm", {}).get("message", ""))

    seeing = asyncio.create_task(see())
    latencies = []
    for number in range(PUSHES):
        text = f"push {number}"
        body = {"status": {"type": "reconciling", "message": text}, "scalers": []}
        started = time.monotonic()
        await client.publish(f"wadm.status.{LATTICE}.app-{number % 100}", json.dumps(body).encode())
        async with asyncio.timeout(10):
            while await shown.get() != text:
                pass
        latencies.append(time.monotonic() - started)
    seeing.cancel()
    return latencies


async def synced(operator: OperatorProcess, seen: Counter[str]) -> None:
    """Until wadm was asked for its lists, every Application was looked at again after that, and no key waits."""
    async with asyncio.timeout(60):
        while True:
            text = await operator.metrics()
            done = _sample(text, 'controller_runtime_reconcile_total{controller="application",result="success"}')
            waiting = _sample(text, 'workqueue_depth{name="application"}')
            if seen["get"] >= len(PLACES) and done >= 2 * MANY and not waiting:
                return
            await asyncio.sleep(0.05)


def _sample(text: str, name: str) -> float:
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + " ")), 0.0)


def per_minute(count: int) -> str:
    return f"{count * 60 / REST_SECONDS:.0f}"


if __name__ == "__main__":
    asyncio.run(main())
