"""1,000 hosts and 1,000 Applications: what their statuses cost to write, and what looking at them costs to read.

Real: etcd, the API server and its controllers, NATS, wadm, the operator, `kubectl wasmcloud`. Simulated: nodes and pods
(kwok), and the hosts, which answer the lattice as hosts do and run nothing.

In 25 namespaces, each with a lattice of its own, where a team deploys one application after the other: the next one
when the former is deployed and wadm has read what the lattice reported. wadm takes one event of a lattice after the
other, in about 2 ms of its own and 1 ms of NATS's processor time. Brought more than it can take it never rests again:
with a hundred hosts and applications in each of ten lattices, all deployed at once, and heartbeats every ten seconds,
it was 17,000 events behind after five minutes, took hosts for dead whose heartbeats it had not read yet, and scaled
everything again, which brings new events.

PYTHONPATH=tests .venv/bin/python tests/bench/bench_overview.py [HOSTS [APPLICATIONS]]
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from nats import connect
from nats.js import JetStreamContext

from atrest import at_rest
from parallel import in_parallel
from support.operators.process import USER_AGENT, OperatorProcess
from support.sites.applications import APP, CONFIG, application, host_config
from tables import MEASURED, Row, print_table
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, Wadm, eventually
from testbed.admin import Object
from wasmcloud_operator.commands.overview.snapshot import Snapshot, take
from wasmcloud_operator.commands.page.rows import rows as page_rows
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice

T = TypeVar("T")

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
PROGRAM = Path(sys.executable).with_name("kubectl-wasmcloud")
PLACES = [f"overview-{number}" for number in range(25)]  # namespaces and lattices
POD = "v1/Pod"
WRITERS = 8
HEARTBEAT = 30.0  # as of a real host
REST_SECONDS = 60
CHURN_SECONDS = 15
SETTLE_SECONDS = 900


async def main(hosts: int, applications: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            ControlPlane.start(folder, audit=True) as cluster,
            Kwok.start(cluster, nodes=30) as kwok,
            NatsServer.start(folder) as nats,
            Wadm.start(folder, nats.url) as wadm,
            cluster.admin() as admin,
            await connect(nats.url) as client,
        ):
            await admin.apply_files(*sorted(CRDS.glob("*.yaml")))
            async with OperatorProcess.start(cluster.kubeconfig, folder, "--no-leader-election") as operator:
                streams = client.jetstream()
                bench = Bench(cluster, kwok.server, nats, streams, wadm, admin, operator, hosts, applications)
                rows = [row async for row in bench.measure()]
    print("real: API server, NATS, wadm, operator, commands; simulated: nodes, pods, and hosts, which run nothing")
    print_table(f"{hosts} hosts, {applications} Applications in {len(PLACES)} lattices", MEASURED, rows)


@dataclass
class Phase:
    """How long a part of the bench took, and which program worked how much in it."""

    seconds: float = 0.0
    processor: dict[str, float] = field(default_factory=dict)

    def rows(self, what: str) -> list[Row]:
        most = sorted(self.processor.items(), key=lambda used: -used[1])
        parts = [Row(f"  processor time of {name}", f"{seconds:.0f} s") for name, seconds in most if seconds >= 1]
        return [Row(what, f"{self.seconds:.0f} s"), *parts]


@dataclass
class Bench:
    cluster: ControlPlane
    kwok: Server
    nats: NatsServer
    streams: JetStreamContext
    wadm: Server
    admin: Admin
    operator: OperatorProcess
    hosts: int
    applications: int

    async def measure(self) -> AsyncIterator[Row]:
        async with AsyncExitStack() as stack:
            async with self.phase() as took:
                await in_parallel(PLACES, self.make_pool, at_once=WRITERS)
                await eventually(self.pods_run, timeout=SETTLE_SECONDS, interval=2)
                running = await self.start_hosts(stack)
                await in_parallel(PLACES, self.all_read, at_once=1)
            for row in took.rows("pods there and hosts started"):
                yield row
            async with self.phase() as took:
                await in_parallel(PLACES, self.deploy, at_once=len(PLACES))
            for row in took.rows("all Applications deployed, one after the other in each"):
                yield row
            async with self.phase() as took:
                await eventually(self.statuses_complete, timeout=SETTLE_SECONDS, interval=2)
                await at_rest(self.cluster, timeout=SETTLE_SECONDS)
            for row in took.rows("all placed and quiet"):
                yield row
            cpu, writes = self.operator.cpu_seconds, await self.writes_while(asyncio.sleep(REST_SECONDS))
            yield Row(f"writes in {REST_SECONDS} s at rest, with heartbeats", str(writes.total()), "0")
            busy = 100 * (self.operator.cpu_seconds - cpu) / REST_SECONDS
            yield Row("operator's processor at rest, of one core", f"{busy:.1f} %")
            began = time.monotonic()
            writes = await self.writes_while(self.churn(running))
            seconds = time.monotonic() - began
            yield Row(f"churn, {len(PLACES)} hosts change 10 times a second: objects written", str(len(writes)))
            most = max(writes.values(), default=0)
            # So many writes have one interval less between them.
            yield Row("most writes a second to one object", f"{max(0, most - 1) / seconds:.2f}", "<= 1.0")
            await at_rest(self.cluster, timeout=SETTLE_SECONDS)
            async for row in self.looking():
                yield row
            yield Row("largest host config, largest Application", await self.sizes())
            yield Row("operator's resident memory", f"{self.operator.resident_mebibytes:.0f} MiB")

    @asynccontextmanager
    async def phase(self) -> AsyncIterator[Phase]:
        """Fills the phase in at its end."""
        took, began, before = Phase(), time.monotonic(), self.used()
        yield took
        took.seconds = time.monotonic() - began
        took.processor = {name: seconds - before[name] for name, seconds in self.used().items()}

    def used(self) -> dict[str, float]:
        """Returns the processor seconds of each program so far."""
        servers = (*self.cluster.servers, self.kwok, self.nats.server, self.wadm)
        used = {server.name: server.id.cpu_seconds for server in servers if server.id}
        return {**used, "operator": self.operator.cpu_seconds, "hosts and bench": time.process_time()}

    async def make_pool(self, place: str) -> None:
        await self.admin.create_namespace(place)
        pool = host_config(place, place, self.nats.url)
        pool["spec"]["hostReplicas"] = self.hosts // len(PLACES)
        await self.admin.create(pool)

    async def pods_run(self) -> bool:
        return len(await self.host_pods()) == self.hosts // len(PLACES) * len(PLACES)

    async def host_pods(self) -> list[Object]:
        pods = [pod for place in PLACES for pod in await self.admin.list(POD, place)]
        return [pod for pod in pods if any(map(_containers_ready, pod["status"].get("conditions") or ()))]

    async def start_hosts(self, stack: AsyncExitStack) -> dict[str, list[LatticeHost]]:
        """Returns the hosts by place, one on each pod."""
        lattices = {place: SharedLattice(place) for place in PLACES}
        found: dict[str, list[LatticeHost]] = {place: [] for place in PLACES}
        for pod in await self.host_pods():
            place, name, uid = (pod["metadata"][key] for key in ("namespace", "name", "uid"))
            labels = {"kubernetes": "true", "kubernetes_pod_name": name, "kubernetes_pod_uid": uid}
            host = LatticeHost.running(self.nats.url, lattices[place], labels=labels, heartbeat=HEARTBEAT)
            found[place].append(await stack.enter_async_context(host))
        return found

    async def deploy(self, place: str) -> None:
        for number in range(PLACES.index(place), self.applications, len(PLACES)):
            await self.admin.create(application(place, f"app-{number}"))
            await self.admin.wait_for(APP, f"app-{number}", place, deployed, timeout=SETTLE_SECONDS)
            await self.all_read(place)

    async def all_read(self, place: str) -> None:
        """Returns when wadm has taken all events and commands of a lattice."""

        async def taken() -> bool:
            for stream in ("wadm_event_consumer", "wadm_commands"):
                found = await self.streams.consumer_info(stream, f"{stream}-{place}")
                if found.num_pending or found.num_ack_pending:
                    return False
            return True

        await eventually(taken, timeout=SETTLE_SECONDS, interval=0.5)

    async def statuses_complete(self) -> bool:
        apps = [app for place in PLACES for app in await self.admin.list(APP, place)]
        pools = [pool for place in PLACES for pool in await self.admin.list(CONFIG, place)]
        placed = sum(deployed(app) and app["status"].get("placementCount", 0) > 0 for app in apps)
        in_lattice = sum(pool["status"].get("hostCount", 0) for pool in pools)
        return placed == self.applications and in_lattice == self.hosts // len(PLACES) * len(PLACES)

    async def churn(self, running: dict[str, list[LatticeHost]]) -> None:
        """One host in each lattice reports ten times a second that it runs more, or fewer, of an application."""
        until = time.monotonic() + CHURN_SECONDS
        first = [hosts[0] for hosts in running.values()]
        number = 0
        while time.monotonic() < until:
            number += 1
            for index, host in enumerate(first):
                about = {"image_ref": "x", "annotations": {"wasmcloud.dev/appspec": f"app-{index}"}}
                # Not those that wadm placed, which it would correct.
                host.components["beside"] = {**about, "max_instances": 1 + number}
                if host.components.pop("now-and-then", None) is None:
                    host.components["now-and-then"] = {**about, "max_instances": 1}
                await host.beat()
            await asyncio.sleep(0.1)  # the churn itself
        for host in first:
            host.components.pop("beside", None)
            host.components.pop("now-and-then", None)
            await host.beat()

    async def writes_while(self, work: Awaitable[object]) -> Counter[tuple[str, ...]]:
        """Returns how often the operator wrote to which object, as whichever field manager."""
        assert self.cluster.audit is not None
        with self.cluster.audit.counting(user_agent=USER_AGENT) as counter:
            await work
        return Counter((event.resource.partition("/")[0], event.namespace, event.name) for event in counter.writes)

    async def looking(self) -> AsyncIterator[Row]:
        place = PLACES[0]
        for arguments in (("status",), ("status", "-o", "json"), ("tree", f"lattice/{place}"), ("why", "app/app-0")):
            seconds, cpu, size = await self.run_command(*arguments)
            yield Row(f"kubectl wasmcloud {' '.join(arguments)}", f"{seconds:.2f} s")
            yield Row("  its processor time, its output", f"{cpu:.2f} s, {size // 1024} KiB")
        options = ConnectionOptions(Credentials(self.cluster.kubeconfig))
        async with Transport.open(options) as transport:
            began = time.perf_counter()
            seen = await take(Reader(transport))
            yield Row("the page: everything read", f"{time.perf_counter() - began:.2f} s")
        seconds, size = self.page(seen)
        yield Row("the page: its rows made, all of them as JSON", f"{1000 * seconds:.0f} ms, {size // 1024} KiB", "")

    @staticmethod
    def page(seen: Snapshot) -> tuple[float, int]:
        best, size = float("inf"), 0
        for _ in range(3):
            fresh = Snapshot(seen.pools, seen.applications, seen.pods, seen.services)
            began = time.perf_counter()
            made = page_rows(fresh, datetime.now(UTC))
            best, size = min(best, time.perf_counter() - began), len(msgspec.json.encode(made))
        return best, size

    async def run_command(self, *arguments: str) -> tuple[float, float, int]:
        """Returns seconds, processor seconds, and bytes of output."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(PROGRAM, *arguments, "--kubeconfig", str(self.cluster.kubeconfig)), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process.returncode in (0, 1), arguments
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return seconds, cpu, len(out)

    async def sizes(self) -> str:
        largest = []
        for kind in (CONFIG, APP):
            found = [item for place in PLACES for item in await self.admin.list(kind, place)]
            largest.append(max(len(msgspec.json.encode(item)) for item in found) / 1024)
        return ", ".join(f"{size:.0f} KiB" for size in largest)


def deployed(app: Object | None) -> bool:
    return app is not None and (app.get("status") or {}).get("phase") == "Deployed"


def _containers_ready(condition: Object) -> bool:
    return condition["type"] == "ContainersReady" and condition["status"] == "True"


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*given, *(1000, 1000)[len(given) :]))
