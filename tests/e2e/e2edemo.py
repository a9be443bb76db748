"""`make demo` where containers can run: the quickstart on a real cluster, with an answer to curl; else simulated nodes.

Ctrl-C takes all of it down.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from e2ecluster import choose, cluster
from e2eworld import MANIFESTS, World

import demo
from support.operators.page import page_of
from testbed.build import Progress, toolchain_problem
from testbed.cache import ensure, find
from testbed.components import select

_APPLICATIONS = "applications.core.oam.dev"
_URL = "http://hello-python.default.svc.cluster.local:8000/demo"


async def main() -> None:
    progress = Progress()
    try:
        await can_run()
    except RuntimeError as error:
        progress.say(f"{error}\nso the nodes of this demo are simulated: no container runs, nothing answers HTTP")
        await demo.main()
        return
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        shown = group.create_task(on_a_cluster(progress, stop))
        group.create_task(cancel_on(stop, shown))
    progress.say("everything is stopped")


async def can_run() -> None:
    """Raises RuntimeError, with every reason, where no cluster or nothing to run on it can be made."""
    await choose()
    missing = (component for component in select(["core", "wadm", "host", "node"]) if find(component) is None)
    if problems := dict.fromkeys(filter(None, map(toolchain_problem, missing))):
        raise RuntimeError("what a real node runs cannot be built:\n" + "\n".join(problems))


async def on_a_cluster(progress: Progress, stop: asyncio.Event) -> None:
    try:
        async with cluster(progress) as made:
            await show(World(made, progress), stop)
    finally:
        stop.set()


async def cancel_on(stop: asyncio.Event, shown: asyncio.Task[None]) -> None:
    await stop.wait()
    shown.cancel()


async def show(world: World, stop: asyncio.Event) -> None:
    """The quickstart, step by step, each as the command that a user would type."""
    try:
        world.progress.say("installing NATS, wadm and the operator:  kubectl apply --server-side -k manifests")
        await world.install()
        for file, what in (
            ("hosts.yaml", "whc/my-wasmcloud-cluster"),
            ("hello.yaml", f"{_APPLICATIONS}/hello-python"),
        ):
            world.progress.say(f"kubectl apply -f tests/e2e/manifests/{file}")
            await world.cluster.kubectl("apply", "-f", str(MANIFESTS / file))
            await world.cluster.kubectl("wait", "--for=condition=Ready", what, "--timeout=180s", timeout=190)
        print(await world.cluster.kubectl("get", f"whc,{_APPLICATIONS},deploy,pods,svc", "-n", "default"))
        print(f"\n$ kubectl exec client -- curl {_URL}\n{await world.answers(_URL)}", flush=True)
        if os.isatty(0):
            async with page_of(world.cluster.kubeconfig) as address:
                print(what_next(world.cluster.kubeconfig, (await ensure("kubectl")).parent, address), flush=True)
                await asyncio.Event().wait()  # until it is cancelled: an end of its own would cut the clean-up short
    finally:
        stop.set()


def what_next(kubeconfig: Path, kubectl: Path, address: str) -> str:
    """Commands that work against the running demo, and what each shows."""
    return f"""
A live page of all this (kubectl wasmcloud ui): {address}
To go on, in another terminal:

  export KUBECONFIG={kubeconfig} PATH=$PATH:{kubectl}
  kubectl scale whc my-wasmcloud-cluster --replicas=3     # a third host, which serves within a minute or two
  kubectl wait --for=condition=Ready whc/my-wasmcloud-cluster --timeout=5m
  kubectl get endpointslices -l kubernetes.io/service-name=hello-python
  kubectl exec client -- curl -sS {_URL}
  kubectl annotate {_APPLICATIONS} hello-python k8s.wasmcloud.dev/undeploy=true    # wadm keeps it, nothing runs
  kubectl annotate {_APPLICATIONS} hello-python k8s.wasmcloud.dev/undeploy-        # and back
  kubectl logs -n wasmcloud-operator deployment/wasmcloud-operator

Ctrl-C takes all of it down."""


if __name__ == "__main__":
    asyncio.run(main())
