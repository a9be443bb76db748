"""The namespaces to work in: those that were asked for, as far as their objects may be listed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.kube.access import Permission, missing_permissions
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.errors import KubeError, retry_after
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.resources import Resource

log = structlog.get_logger()

ALL_NAMESPACES = ""

_LOOK_AGAIN_SECONDS = 10.0
# An API server that has just started refuses everybody until it knows its roles.
_GRACE_SECONDS = 30.0
_CACHE_VERBS = ("list", "watch")


class Scope:
    """The namespaces that informers follow, without those that are left out.

    A namespace whose objects must not be listed is left out whole, so that it does not keep the others waiting: it was
    deleted together with the Role in it, or has not been given one yet. Nothing that was in it is known any more, and
    nobody may take that for gone (`Informer.synced_in`). It is looked at again until the permissions are there.
    """

    def __init__(self, client: Reader, wanted: Iterable[str], clock: Clock, metrics: Metrics) -> None:
        self.wanted = tuple(dict.fromkeys(wanted)) or (ALL_NAMESPACES,)
        self._client = client
        self._clock = clock
        self._resources: list[Resource] = []
        self._left_out: dict[str, list[Permission]] = {}
        self._doubted: dict[str, float] = {}  # by namespace: since when, on the monotonic clock
        self._something = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        metrics.namespaces_left_out.set_function(lambda: len(self._left_out))

    def need(self, resource: Resource) -> None:
        """Objects of this kind are cached: a namespace in which they cannot be is left out."""
        if resource not in self._resources:
            self._resources.append(resource)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call the listener when a namespace is left out, or taken up again."""
        self._listeners.append(listener)

    def narrow(self, namespaces: Iterable[str]) -> frozenset[str]:
        """The namespaces that are not left out."""
        return frozenset(namespaces) - self._left_out.keys()

    @property
    def problems(self) -> list[str]:
        """What is missing, if no namespace is left to work in."""
        return self._all_left_out() if len(self._left_out) == len(self.wanted) else []

    @property
    def notes(self) -> list[str]:
        """What is missing in some of the namespaces, while work goes on in others."""
        return [] if self.problems else self._all_left_out()

    def begin(self, missing: Iterable[Permission]) -> None:
        """Leave out from the start where these permissions are missing; informers need not try."""
        for permission in missing:
            cached = permission.resource in self._resources and not permission.subresource
            if cached and permission.verb in _CACHE_VERBS and self._may_go(permission.namespace):
                self._left_out.setdefault(permission.namespace, []).append(permission)
        for namespace in self._left_out:
            self._log_left_out(namespace)
        self._changed()

    def doubt(self, namespace: str) -> None:
        """The API server has refused a list there."""
        if self._may_go(namespace) and namespace not in self._left_out:
            self._doubted.setdefault(namespace, self._clock.monotonic())
            self._something.set()

    async def run(self) -> None:
        """Look at doubted and left out namespaces until cancelled; at rest nothing is asked."""
        while True:
            await self._something.wait()
            await self._clock.sleep(_LOOK_AGAIN_SECONDS)
            for namespace in (*self._left_out, *self._doubted):
                try:
                    await self._look(namespace)
                except (KubeError, TimeoutError) as error:
                    log.debug("permissions not looked at", namespace=namespace, error=str(error))
                    await self._clock.sleep(retry_after(error))
            self._changed()

    async def _look(self, namespace: str) -> None:
        since = self._doubted.get(namespace)
        if since is not None and self._clock.monotonic() - since < _GRACE_SECONDS:
            return
        known = self._left_out.get(namespace, [])
        # One question is enough for as long as the answer is no.
        if known and await missing_permissions(self._client, known[:1]):
            return
        needed = [Permission(verb, resource, "", namespace) for resource in self._resources for verb in _CACHE_VERBS]
        missing = await missing_permissions(self._client, needed)
        self._doubted.pop(namespace, None)
        if missing:
            self._left_out[namespace] = missing
            if missing != known:
                self._log_left_out(namespace)
        elif self._left_out.pop(namespace, None):
            log.info("namespace taken up", namespace=namespace)

    def _may_go(self, namespace: str) -> bool:
        """Whether the namespace can be left out: not where all namespaces are followed as one."""
        return namespace != ALL_NAMESPACES and namespace in self.wanted

    def _changed(self) -> None:
        if self._left_out or self._doubted:
            self._something.set()
        else:
            self._something.clear()
        for listener in self._listeners:
            listener()

    def _log_left_out(self, namespace: str) -> None:
        log.error(
            "namespace left out: it was deleted, or the operator has no Role there", why=self._why_left_out(namespace)
        )

    def _all_left_out(self) -> list[str]:
        return [self._why_left_out(namespace) for namespace in sorted(self._left_out)]

    def _why_left_out(self, namespace: str) -> str:
        missing = self._left_out[namespace]
        more = f", nor {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"namespace {namespace} is left out: the operator may not {missing[0]}{more}"
