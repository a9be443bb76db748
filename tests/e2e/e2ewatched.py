"""The installation with Roles alone: the operator follows named namespaces, without any right in the cluster."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection

from e2eworld import OPERATOR, ROOT, World

CLUSTER_BINDING = "rbac.authorization.k8s.io/v1/ClusterRoleBinding"


@contextlib.asynccontextmanager
async def watching(world: World, places: Collection[str]) -> AsyncIterator[None]:
    """In new namespaces, as the README has it: the variable, and the overlay in each; undone at the end."""
    binding = await world.admin.get(CLUSTER_BINDING, OPERATOR)
    try:
        await world.admin.delete(CLUSTER_BINDING, OPERATOR)
        for place in places:
            await world.admin.create_namespace(place)
            await world.cluster.kubectl("apply", "-n", place, "-k", str(ROOT / "manifests/overlays/watched-namespace"))
        await _follow(world, f"WASMCLOUD_OPERATOR_WATCH_NAMESPACES={','.join(places)}")
        rollout = ("rollout", "status", "-n", OPERATOR, f"deployment/{OPERATOR}")
        await world.cluster.kubectl(*rollout, "--timeout=300s", timeout=310)
        yield
    finally:
        metadata = {"name": OPERATOR, "labels": binding["metadata"].get("labels") or {}}
        await world.admin.apply({**binding, "metadata": metadata}, manager="kubectl")
        await _follow(world, "WASMCLOUD_OPERATOR_WATCH_NAMESPACES-")


async def may(world: World, verb: str, what: str, namespace: str) -> bool:
    """Whether the operator's service account has a right."""
    account = f"--as=system:serviceaccount:{OPERATOR}:{OPERATOR}"
    answer = await world.cluster.kubectl("auth", "can-i", verb, what, "-n", namespace, account, accepts=(0, 1))
    return answer == "yes"


async def _follow(world: World, setting: str) -> None:
    await world.cluster.kubectl("set", "env", "-n", OPERATOR, f"deployment/{OPERATOR}", setting)
