"""Roles alone: the operator follows named namespaces without any right in the cluster as a whole.

Every other journey runs with the ClusterRole of manifests/base. This one changes the installation, so it runs last.
"""

from __future__ import annotations

import time

import pytest
from e2ereport import Notes
from e2eworld import GREETING, OPERATOR, ROOT, World, hello, names

from testbed import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
CLUSTER_BINDING = "rbac.authorization.k8s.io/v1/ClusterRoleBinding"


@pytest.mark.journey("7 watched namespaces with Roles alone")
async def test_roles_are_enough(world: World, place: str, notes: Notes) -> None:
    binding = await world.admin.get(CLUSTER_BINDING, OPERATOR)
    try:
        await world.admin.delete(CLUSTER_BINDING, OPERATOR)
        await world.cluster.kubectl("apply", "-n", place, "-k", str(ROOT / "manifests/overlays/watched-namespace"))
        await watch(world, place)
        denied = await world.cluster.kubectl(
            *("auth", "can-i", "list", "pods", "-n", "default"),
            f"--as=system:serviceaccount:{OPERATOR}:{OPERATOR}",
            accepts=(0, 1),
        )
        assert denied == "no"

        started = time.monotonic()
        await world.apply_hosts(place, hostReplicas=1)
        await world.apply_application(hello(place))
        await world.hosts_ready(place)
        await world.application_ready(place)
        assert await world.answers(f"http://hello-python.{place}.svc:8000/") == f"{GREETING}/"
        notes.add(f"answered after {time.monotonic() - started:.1f} s")
        await eventually(lambda: all_serve(world, place), timeout=60, interval=0.5)
    finally:
        metadata = {"name": OPERATOR, "labels": binding["metadata"].get("labels") or {}}
        await world.admin.apply({**binding, "metadata": metadata}, manager="kubectl")
        await watch(world, "")


async def watch(world: World, namespaces: str) -> None:
    """Restart the operator with other namespaces to follow; empty is all."""
    variable = (
        f"WASMCLOUD_OPERATOR_WATCH_NAMESPACES={namespaces}" if namespaces else "WASMCLOUD_OPERATOR_WATCH_NAMESPACES-"
    )
    await world.cluster.kubectl("set", "env", "-n", OPERATOR, f"deployment/{OPERATOR}", variable)
    await world.cluster.kubectl(
        "rollout", "status", "-n", OPERATOR, f"deployment/{OPERATOR}", "--timeout=120s", timeout=130
    )


async def all_serve(world: World, namespace: str) -> bool:
    return await world.serving(namespace, "hello-python") == names(await world.host_pods(namespace))
