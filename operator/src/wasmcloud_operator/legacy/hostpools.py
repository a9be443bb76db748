"""Takes over from the operator written in Rust: removes what is left of it on and beside host configs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.client import JSON_PATCH, Writer
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.errors import Conflict, Forbidden, Invalid, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.managed_fields import take_over
from wasmcloud_operator.kube.objects import CustomResource, Unstructured, finalizer_removal
from wasmcloud_operator.kube.resources import DAEMON_SET, DEPLOYMENT, ROLE, ROLE_BINDING, Key, Resource

log = structlog.get_logger()

FINALIZER = "operator.k8s.wasmcloud.dev/wasmcloud-host-config"
# What it applies children and applications' Services under.
FIELD_MANAGERS = ("operator.k8s.wasmcloud.dev/wasmcloud-host-config", "operator.k8s.wasmcloud.dev/service")

# One that runs puts its finalizer back within seconds.
RIVAL_SECONDS = 60.0


# It gave the hosts' service account the right to write Services.
_RIGHTS = (ROLE_BINDING, ROLE)


def leftovers(workload: Resource) -> tuple[Resource, ...]:
    """The kinds of which the Rust operator may have left an object that such a pool does not need.

    It kept the Deployment of a config that was made a DaemonSet, and the other way round.
    """
    return (*_RIGHTS, DAEMON_SET if workload is DEPLOYMENT else DEPLOYMENT)


@dataclass(slots=True)
class RustPools:
    """Takes over what it made for host pools, and notices when it still runs: two operators would undo each other's
    work for ever.
    """

    client: Writer
    configs: Informer[CustomResource]
    clock: Clock
    _taken_off: dict[Key, float] = field(default_factory=dict)  # when its finalizer went

    async def take_over(self, item: CustomResource, children: Iterable[Resource]) -> None:
        """Make the config's children ours, while the Rust operator's finalizer is on the config.

        It may have written once more what we had applied already. Raises the errors of `kube.errors`.
        """
        if FINALIZER not in item.metadata.finalizers:
            return
        for resource in children:
            if await self._find(resource, item) is not None:
                await take_over(self.client, resource, item.metadata.key, FIELD_MANAGERS)

    def still_runs(self, item: CustomResource) -> bool:
        """Whether its finalizer came back soon after it was taken off."""
        since = self._taken_off.get(item.metadata.key)
        if FINALIZER not in item.metadata.finalizers or since is None:
            return False
        return self.clock.monotonic() - since < RIVAL_SECONDS

    async def clean_up(self, item: CustomResource, workload: Resource, *, rolled_out: bool) -> bool:
        """Remove what the Rust operator left, its finalizer last. Returns whether that was just done.

        A workload of the kind that is not wanted stays, and the finalizer with it, until the wanted one has rolled out:
        its hosts serve. Raises the errors of `kube.errors`, but for rights that were not given: then its Role stays,
        which stands in the log.
        """
        if FINALIZER not in item.metadata.finalizers:
            return False
        for resource in leftovers(workload):
            if rolled_out or resource in _RIGHTS:
                await self._remove(resource, item)
            elif await self._find(resource, item) is not None:
                return False
        return await self.release(item)

    async def release(self, item: CustomResource) -> bool:
        """Take its finalizer off; whether it was there."""
        if FINALIZER not in item.metadata.finalizers:
            return False
        patch = finalizer_removal(item.metadata, FINALIZER)
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
            live = await self._find(resource, item)
            if live is not None:
                await self.client.delete(resource, item.metadata.key, uid=live.metadata.uid)
        except Forbidden as error:
            log.warning("an earlier operator's object stays", kind=resource.kind, error=str(error))
        except (NotFound, Conflict):
            return

    async def _find(self, resource: Resource, item: CustomResource) -> Unstructured | None:
        """The object of the config's name, if it is the config's."""
        live = await self.client.find(resource, item.metadata.key)
        return live if live is not None and live.metadata.belongs_to(item.metadata.uid) else None
