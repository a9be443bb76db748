"""Coming from the operator written in Rust: what it left on a host config and beside it goes, once it is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.apply import CUSTOM_RESOURCE
from wasmcloud_operator.kube.client import JSON_PATCH, Client
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.errors import Conflict, Forbidden, Invalid, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import DAEMON_SET, DEPLOYMENT, ROLE, ROLE_BINDING, Key, Resource

log = structlog.get_logger()

FINALIZER = "operator.k8s.wasmcloud.dev/wasmcloud-host-config"
# What it applies children and applications' Services under.
FIELD_MANAGERS = ("operator.k8s.wasmcloud.dev/wasmcloud-host-config", "operator.k8s.wasmcloud.dev/service")

# One that runs puts its finalizer back within seconds.
RIVAL_SECONDS = 60.0


def leftovers(workload: Resource) -> tuple[Resource, ...]:
    """The kinds of which it may have left an object that a pool with that kind of workload has no use for.

    It gave the hosts' service account the right to write Services, and it kept the Deployment of a config that was made
    a DaemonSet, and the other way round.
    """
    return (ROLE_BINDING, ROLE, DAEMON_SET if workload is DEPLOYMENT else DEPLOYMENT)


@dataclass(slots=True)
class FormerOperator:
    """Cleans up after it, and notices when it still runs: two operators would undo each other's work for ever."""

    client: Client
    configs: Informer[CustomResource]
    clock: Clock
    _taken_off: dict[Key, float] = field(default_factory=dict)  # when its finalizer went

    def still_runs(self, item: CustomResource) -> bool:
        """Whether its finalizer came back soon after it was taken off."""
        since = self._taken_off.get(item.metadata.key)
        if FINALIZER not in item.metadata.finalizers or since is None:
            return False
        return self.clock.monotonic() - since < RIVAL_SECONDS

    async def clean_up(self, item: CustomResource, unwanted: Iterable[Resource] = ()) -> bool:
        """Remove what it left of this config and of these kinds, its finalizer last; whether it had been here.

        Raises the errors of `kube.errors`, but for rights that were not given: then its Role stays, which the log says.
        """
        if FINALIZER not in item.metadata.finalizers:
            return False
        for resource in unwanted:
            await self._remove(resource, item)
        position = item.metadata.finalizers.index(FINALIZER)
        path = f"/metadata/finalizers/{position}"
        patch: list[JsonObject] = [{"op": "test", "path": path, "value": FINALIZER}, {"op": "remove", "path": path}]
        with contextlib.suppress(NotFound, Invalid):  # gone, or somebody changed the list: the watch brings it back
            self.configs.offer(
                await self.client.patch(HOST_CONFIG, item.metadata.key, patch, JSON_PATCH, CUSTOM_RESOURCE)
            )
            self._taken_off[item.metadata.key] = self.clock.monotonic()
        return True

    def forget(self, key: Key) -> None:
        """The config is gone or going."""
        self._taken_off.pop(key, None)

    async def _remove(self, resource: Resource, item: CustomResource) -> None:
        try:
            live = await self.client.get(resource, item.metadata.key)
            if live.metadata.belongs_to(item.metadata.uid):
                await self.client.delete(resource, item.metadata.key, uid=live.metadata.uid)
        except Forbidden as error:
            log.warning("an earlier operator's object stays", kind=resource.kind, error=str(error))
        except (NotFound, Conflict):
            return
