"""1,000 host configs of 3 simulated pods each: restart, memory, rest, and one Secret that 100 of them share.

PYTHONPATH=tests .venv/bin/python tests/bench/bench_hostconfigs_scale.py [CONFIGS]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from atrest import at_rest
from parallel import in_parallel
from support.lattice.jwt import Account
from support.operators.process import USER_AGENT, OperatorProcess
from support.sites.hostpools import DEPLOYMENT, host_config, secret
from tables import MEASURED, Row, print_table
from testbed import Admin, ControlPlane, Kwok, eventually

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
POD = "v1/Pod"
NAMESPACES = 20
PODS = 3
SHARING = 100
WRITERS = 8
REST_SECONDS = 30
SETTLE_SECONDS = 900


async def main(configs: int) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            ControlPlane.start(Path(folder), audit=True) as cluster,
            Kwok.start(cluster, nodes=30),
            cluster.admin() as admin,
        ):
            await admin.apply_files(*sorted(CRDS.glob("*.yaml")))
            for number in range(NAMESPACES):
                await admin.create_namespace(f"scale-{number}")
            rows = [row async for row in measure(cluster, admin, Path(folder), configs)]
    rows.append(Row("the whole bench", f"{time.monotonic() - started:.0f} s"))
    print_table(f"{configs} host configs of {PODS} simulated pods", MEASURED, rows)


async def measure(cluster: ControlPlane, admin: Admin, folder: Path, configs: int) -> AsyncIterator[Row]:
    sharing = min(SHARING, configs)
    keys = [(f"scale-{number % NAMESPACES}", f"pool-{number}") for number in range(configs)]
    # The first ones are in one namespace and share a Secret.
    keys[:sharing] = [("scale-0", f"sharing-{number}") for number in range(sharing)]
    account = Account("A")
    await admin.create(secret("scale-0", "shared", {"nats.creds": account.credentials("first")}))
    async with OperatorProcess.start(cluster.kubeconfig, folder, "--no-leader-election") as operator:
        started = time.monotonic()
        await in_parallel(keys, lambda key: create(admin, key), at_once=WRITERS)
        await eventually(lambda: _count(admin, DEPLOYMENT, configs), timeout=300, interval=1)
        yield Row("create: all Deployments seen", f"{time.monotonic() - started:.1f} s")
        await eventually(lambda: _count(admin, POD, PODS * configs), timeout=SETTLE_SECONDS, interval=5)
        await at_rest(cluster, timeout=SETTLE_SECONDS)
        yield Row("and all pods there, and quiet", f"{time.monotonic() - started:.1f} s")
        yield Row("resident memory after creating", f"{operator.resident_mebibytes:.0f} MiB")
    before = cluster.audit.end if cluster.audit is not None else 0
    started = time.monotonic()
    async with OperatorProcess.start(cluster.kubeconfig, folder, "--no-leader-election", name="restarted") as operator:
        yield Row("restart: ready", f"{time.monotonic() - started:.2f} s")
        await eventually(lambda: reconciled(operator, configs), timeout=120, interval=0.2)
        yield Row("restart: every config looked at", f"{time.monotonic() - started:.2f} s")
        await at_rest(cluster, timeout=SETTLE_SECONDS)
        yield Row("writes after the restart", str(_written_since(cluster, before)), "0")
        yield Row("resident memory after the restart", f"{operator.resident_mebibytes:.0f} MiB")
        before, cpu = cluster.audit.end if cluster.audit is not None else 0, operator.cpu_seconds
        await asyncio.sleep(REST_SECONDS)  # the measured stretch itself
        yield Row(f"writes in {REST_SECONDS} s at rest", str(_written_since(cluster, before)), "0")
        busy = 100 * (operator.cpu_seconds - cpu) / REST_SECONDS
        yield Row("processor at rest, of one core", f"{busy:.2f} %")
        stamps = await _stamps(admin, keys[:sharing])
        before = cluster.audit.end if cluster.audit is not None else 0
        started = time.monotonic()
        await admin.apply(secret("scale-0", "shared", {"nats.creds": account.credentials("second")}))
        await eventually(lambda: _all_differ(admin, keys[:sharing], stamps), timeout=120, interval=0.5)
        yield Row(f"one Secret rotated: {sharing} Deployments changed", f"{time.monotonic() - started:.2f} s")
        await at_rest(cluster, timeout=SETTLE_SECONDS)
        applied = [event for event in _writes(cluster, before) if event.resource == "deployments.apps"]
        yield Row("Deployments written by the rotation", str(len(applied)), str(sharing))


async def create(admin: Admin, key: tuple[str, str]) -> None:
    namespace, name = key
    spec = {"secretName": "shared"} if name.startswith("sharing") else {}
    await admin.create(host_config(namespace, name, hostReplicas=PODS, lattice="scale", **spec))


async def _count(admin: Admin, kind: str, wanted: int) -> bool:
    listed = await admin.request("GET", f"{await admin.path(kind)}", params={"limit": "1", "resourceVersion": ""})
    return len(listed["items"]) + listed["metadata"].get("remainingItemCount", 0) >= wanted


async def _stamps(admin: Admin, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    found = {
        (item["metadata"]["namespace"], item["metadata"]["name"]): item
        for item in await admin.list(DEPLOYMENT, "scale-0")
    }
    name = "checksum.k8s.wasmcloud.dev/nats-creds"
    return {key: found[key]["spec"]["template"]["metadata"]["annotations"][name] for key in keys}


async def _all_differ(admin: Admin, keys: list[tuple[str, str]], before: dict[tuple[str, str], str]) -> bool:
    now = await _stamps(admin, keys)
    return all(now[key] != before[key] for key in keys)


async def reconciled(operator: OperatorProcess, number: int) -> bool:
    wanted = 'controller_runtime_reconcile_total{controller="wasmcloudhostconfig",result="success"}'
    lines = (await operator.metrics()).splitlines()
    return any(line.startswith(wanted) and float(line.split()[-1]) >= number for line in lines)


def _writes(cluster: ControlPlane, since: int):
    assert cluster.audit is not None
    events = cluster.audit.events(since)
    # Access reviews are POSTs that store nothing.
    return [
        event
        for event in events
        if event.is_write and event.user_agent.startswith(USER_AGENT) and not event.resource.startswith("selfsubject")
    ]


def _written_since(cluster: ControlPlane, since: int) -> int:
    """How many writes, and in the output what they were, if any."""
    found = _writes(cluster, since)
    if found:
        print("writes:", Counter((event.verb, event.resource) for event in found))
    return len(found)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
