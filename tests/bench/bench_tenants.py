"""A friendly and an unfriendly tenant on one operator: create to Deployment, alone and beside 1,000 failing objects.

The unfriendly tenant's Deployments are refused by the API server (a request above its limit), each is tried again and
again, and each names a NATS address of its own where nobody listens. By hand is one Deployment made without the
operator: what the API server itself takes meanwhile.

PYTHONPATH=tests .venv/bin/python tests/bench/bench_tenants.py [FAILING [SAMPLES]]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from atrest import at_rest
from parallel import in_parallel
from support.operators.process import OperatorProcess
from support.sites.hostpools import CONFIG, DEPLOYMENT, host_config
from tables import print_table
from testbed import Admin, ControlPlane, NatsServer, eventually
from testbed.admin import Object

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
FRIENDLY, UNFRIENDLY = "friendly", "unfriendly"
WRITERS = 8


async def main(failing: int, samples: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            ControlPlane.start(Path(folder), audit=True) as cluster,
            NatsServer.start(Path(folder)) as nats,
            cluster.admin() as admin,
        ):
            await admin.apply_files(*sorted(CRDS.glob("*.yaml")))
            for namespace in (FRIENDLY, UNFRIENDLY):
                await admin.create_namespace(namespace)
            await at_rest(cluster)
            async with OperatorProcess.start(cluster.kubeconfig, Path(folder), "--no-leader-election"):
                rows = await measure(admin, nats, failing, samples)
    print_table(f"create to Deployment, {samples} of a friendly tenant", ("p50", "p99", "worst"), map(shown, rows))


def shown(row: tuple[str, list[float]]) -> tuple[str, ...]:
    """Returns the middle, the late and the last of sorted seconds as text."""
    what, seconds = row
    middle, late = (seconds[int(len(seconds) * share)] for share in (0.5, 0.99))
    return (what, *(f"{1000 * one:.0f} ms" for one in (middle, late, seconds[-1])))


async def measure(admin: Admin, nats: NatsServer, failing: int, samples: int) -> list[tuple[str, list[float]]]:
    rows = [("alone", await friendly(admin, nats, "alone", samples)), ("  by hand", await by_hand(admin, samples))]
    creating = asyncio.create_task(create_failing(admin, failing))
    rows.append((f"while {failing} failing objects are created", await friendly(admin, nats, "during", samples)))
    await creating
    await eventually(lambda: _all_refused(admin, failing), timeout=300, interval=5, message="each was refused")
    rows.append((f"beside {failing} failing objects", await friendly(admin, nats, "beside", samples)))
    rows.append(("  by hand", await by_hand(admin, samples)))
    return rows


async def friendly(admin: Admin, nats: NatsServer, prefix: str, samples: int) -> list[float]:
    """Seconds from creating a host config until its Deployment is seen, one after the other; sorted."""
    objects = (
        host_config(FRIENDLY, f"{prefix}-{number}", natsAddress=nats.url, hostReplicas=0) for number in range(samples)
    )
    seconds = await until_deployed(admin, objects)
    await admin.delete_all(CONFIG, FRIENDLY)
    return seconds


async def by_hand(admin: Admin, samples: int) -> list[float]:
    """Seconds from creating a Deployment until it is seen, one after the other; sorted."""
    seconds = await until_deployed(admin, (deployment(f"by-hand-{number}") for number in range(samples)))
    await admin.delete_all(DEPLOYMENT, FRIENDLY)
    return seconds


def deployment(name: str) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "x/host:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": FRIENDLY},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }


async def until_deployed(admin: Admin, objects: Iterable[Object]) -> list[float]:
    seconds = []
    async with seen_deployments(admin) as seen:
        for obj in objects:
            started = time.monotonic()
            await admin.create(obj)
            async with asyncio.timeout(120):
                while await seen.get() != obj["metadata"]["name"]:
                    pass
            seconds.append(time.monotonic() - started)
    return sorted(seconds)


@asynccontextmanager
async def seen_deployments(admin: Admin) -> AsyncIterator[asyncio.Queue[str]]:
    """The names of the friendly tenant's Deployments as they come."""
    listed = await admin.request("GET", await admin.path(DEPLOYMENT, FRIENDLY))
    names: asyncio.Queue[str] = asyncio.Queue()

    async def see() -> None:
        async for kind, deployment in admin.watch(DEPLOYMENT, FRIENDLY, version=listed["metadata"]["resourceVersion"]):
            if kind == "ADDED":
                names.put_nowait(deployment["metadata"]["name"])
        raise RuntimeError("the watch has ended")

    async with asyncio.TaskGroup() as group:  # a watch that ends early is not to pass for a slow operator
        seeing = group.create_task(see())
        yield names
        seeing.cancel()


async def create_failing(admin: Admin, failing: int) -> None:
    await in_parallel(range(failing), lambda number: admin.create(refused(number)), at_once=WRITERS)


def refused(number: int) -> Object:
    resources = {"wasmcloud": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}
    return host_config(
        UNFRIENDLY,
        f"refused-{number}",
        natsAddress=f"nats://127.0.0.{1 + number % 250}:9",
        lattice=f"lattice-{number}",
        schedulingOptions={"resources": resources},
    )


async def _all_refused(admin: Admin, failing: int) -> bool:
    configs = await admin.list(CONFIG, UNFRIENDLY)
    shown = [one for obj in configs for one in obj.get("status", {}).get("conditions", ()) if one["type"] == "Stalled"]
    return sum(one["reason"] == "DeploymentRefused" for one in shown) == failing


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*given, *(1000, 200)[len(given) :]))
