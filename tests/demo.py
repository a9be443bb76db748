"""`make demo`: the quickstart on a real control plane with simulated nodes, watched until it stands."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import yaml

from support.operators.page import page_of
from support.operators.process import OperatorProcess
from testbed import Admin, ControlPlane, Kwok, NatsServer
from testbed.admin import Object, is_true
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice

ROOT = Path(__file__).parents[1]
CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
NAME, NAMESPACE = "my-wasmcloud-cluster", "default"
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def main() -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    with tempfile.TemporaryDirectory(prefix="wasmcloud-demo-") as folder:
        demo = asyncio.create_task(run(Path(folder)))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({demo, stopping}, return_when=asyncio.FIRST_COMPLETED)
        demo.cancel()
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await demo
    say("everything is stopped")


async def run(folder: Path) -> None:
    say("starting a Kubernetes control plane, NATS and three simulated nodes (5 seconds)")
    async with (
        ControlPlane.start(folder) as cluster,
        NatsServer.start(folder) as nats,
        Kwok.start(cluster, nodes=3),
        cluster.admin() as admin,
    ):
        say("installing the CRDs:  kubectl apply --server-side -f manifests/crds")
        await admin.apply_files(*sorted((ROOT / "manifests/crds").glob("*.yaml")))
        say("starting the operator:  wasmcloud-operator run")
        async with (
            OperatorProcess.start(cluster.kubeconfig, folder, "--no-leader-election") as operator,
            simulated_hosts(admin, nats),
            page_of(cluster.kubeconfig) as address,
        ):
            say(f"a live page of all this:  kubectl wasmcloud ui\n  {address}")
            await show_quickstart(admin, nats)
            how_to_go_on(cluster, operator, address)
            if sys.stdin.isatty():
                await asyncio.Event().wait()  # until it is cancelled: an end of its own would cut the clean-up short


@contextlib.asynccontextmanager
async def simulated_hosts(admin: Admin, nats: NatsServer) -> AsyncIterator[None]:
    """A host in the lattice for each simulated pod, as long as that is there."""
    async with contextlib.AsyncExitStack() as stack:
        running: dict[str, contextlib.AsyncExitStack] = {}

        async def keep() -> None:
            while True:
                pods = await admin.list("v1/Pod", NAMESPACE, labels=f"app.kubernetes.io/instance={NAME}")
                uids = {pod["metadata"]["uid"] for pod in pods if is_true(pod, "ContainersReady")}
                for uid in uids - running.keys():
                    running[uid] = await stack.enter_async_context(contextlib.AsyncExitStack())
                    labels = {"kubernetes": "true", "kubernetes_pod_uid": uid}
                    host = LatticeHost.running(nats.url, SharedLattice(quickstart()["spec"]["lattice"]), labels=labels)
                    await running[uid].enter_async_context(host)
                for uid in running.keys() - uids:
                    await running.pop(uid).aclose()
                await asyncio.sleep(0.5)

        keeping = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping


def quickstart() -> Object:
    """The quickstart's host config."""
    (config,) = yaml.safe_load_all((ROOT / "manifests/examples/quickstart/hosts.yaml").read_text())
    assert isinstance(config, dict)
    return config


async def show_quickstart(admin: Admin, nats: NatsServer) -> None:
    say(
        "applying the host config first, without its Secret:  kubectl apply -f manifests/examples/quickstart/hosts.yaml"
    )
    config = quickstart()
    # The demo's NATS is a process of this machine; in a cluster it is the Service that the example names.
    config["spec"]["natsAddress"] = nats.url
    await admin.apply(config)
    await until(admin, "the missing Secret to be reported", lambda seen: is_true(seen, "Stalled"))
    await table(admin, CONFIG, "-o wide", wide=True)
    say("now its Secret:  kubectl apply -f manifests/examples/quickstart/secret.yaml")
    await admin.apply_files(ROOT / "manifests/examples/quickstart/secret.yaml")
    await until(admin, "two hosts to be available", lambda seen: is_true(seen, "Ready"))
    for kind in (CONFIG, "apps/v1/Deployment", "v1/Pod", "v1/Service", "v1/ConfigMap"):
        await table(admin, kind)
    events = await admin.list("events.k8s.io/v1/Event", NAMESPACE)
    for event in events:
        if event["regarding"]["kind"] == "WasmCloudHostConfig":
            print(f"  {event['type']:8} {event['reason']:16} {event['note']}")


async def until(admin: Admin, what: str, reached: Callable[[Object | None], object]) -> None:
    """Wait with a line that shows where it stands."""
    started = time.monotonic()
    shown = ""

    def look(seen: Object | None) -> object:
        nonlocal shown
        conditions = {entry["type"]: entry for entry in ((seen or {}).get("status") or {}).get("conditions", [])}
        ready = conditions.get("Ready", {})
        line = f"{ready.get('reason', 'waiting')}: {ready.get('message', '')}"
        if line != shown:
            shown = line
            print(f"    {time.monotonic() - started:5.1f} s  {line}", flush=True)
        return reached(seen)

    say(f"waiting for {what}")
    await admin.wait_for(CONFIG, NAME, NAMESPACE, look, message=what)


async def table(admin: Admin, kind: str, *flags: str, wide: bool = False) -> None:
    """What `kubectl get` would print: the API server makes the table itself."""
    path = await admin.path(kind, NAMESPACE)
    answer = await admin.request("GET", path, accept=AS_TABLE)
    columns = [
        (at, column["name"]) for at, column in enumerate(answer["columnDefinitions"]) if wide or not column["priority"]
    ]
    rows = [[name.upper() for _, name in columns]]
    rows += [["" if row["cells"][at] is None else str(row["cells"][at]) for at, _ in columns] for row in answer["rows"]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    print(f"\n  $ kubectl get {path.rsplit('/', 1)[1]} {' '.join(flags)}")
    for row in rows:
        print("  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def how_to_go_on(cluster: ControlPlane, operator: OperatorProcess, address: str) -> None:
    print(f"""
The pods are simulated: no container runs (`make e2e` runs real ones). To look around, in a browser:

  {address}

In another terminal:

  export KUBECONFIG={cluster.kubeconfig}
  kubectl get whc,deploy,pods
  kubectl scale whc {NAME} --replicas 3
  kubectl explain whc.spec
  curl http://{operator.address}/metrics
  less {operator.log}
""")
    if sys.stdin.isatty():
        print("Ctrl-C takes all of it down.")


def say(line: str) -> None:
    print(f"\n* {line}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
