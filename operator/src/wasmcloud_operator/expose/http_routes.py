"""HTTPRoutes and Ingresses of those applications that ask for them, where the cluster has these kinds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.expose import naming, render
from wasmcloud_operator.expose.by_application import ByApplication, application_of
from wasmcloud_operator.expose.plan import PlannedService
from wasmcloud_operator.kube.access import serves
from wasmcloud_operator.kube.apply import Applier, ForeignObject, ManagedKind
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.errors import REFUSALS
from wasmcloud_operator.kube.objects import ObjectMeta
from wasmcloud_operator.kube.resources import HTTP_ROUTE, Key
from wasmcloud_operator.lattice.identity import LatticeIdentity
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem

_LOOK_AGAIN_SECONDS = 60.0
_LIST_SECONDS = 5.0
_NO_GATEWAY_API = Problem(
    Reason.GATEWAY_API_MISSING,
    f'metadata.annotations["{naming.GATEWAY}"]',
    "the cluster does not serve HTTPRoute gateway.networking.k8s.io/v1: install the Gateway API",
)
_SEVERAL_PORTS = Problem(
    Reason.SEVERAL_PORTS, "", "the route leads to the first port alone: a request does not show which port it is for"
)


@dataclass(slots=True, kw_only=True)
class Routes:
    """Applies and removes routes. The Gateway API's kind is followed once the API server is seen to serve it."""

    client: Reader
    applier: Applier
    clock: Clock
    http_routes: ManagedKind
    ingresses: ManagedKind
    owned_http_routes: ByApplication
    owned_ingresses: ByApplication
    namespaces: tuple[str, ...]
    _looked_at: float | None = field(default=None)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def apply(
        self, planned: PlannedService, namespace: str, lattice: LatticeIdentity, owners: Sequence[JsonObject]
    ) -> list[Problem]:
        """Applies the routes to one Service. Returns the problems."""
        problems: list[Problem] = []
        key, options = Key(namespace, planned.application), planned.options
        route = render.http_route(planned, namespace, lattice, owners)
        if route is not None and await self._gateway_api():
            if not (options.keeps_http_route and _is_among(self.owned_http_routes, key, planned.name)):
                problems += await self._apply(self.http_routes, route, planned)
        elif route is not None:
            problems.append(_NO_GATEWAY_API)
        ingress = render.ingress(planned, namespace, lattice, owners)
        if ingress is not None and not (options.keeps_ingress and _is_among(self.owned_ingresses, key, planned.name)):
            problems += await self._apply(self.ingresses, ingress, planned)
        if (route or ingress) and len(planned.provider.endpoints) > 1:
            problems.append(_SEVERAL_PORTS)
        return [*problems, *render.route_problems(planned)]

    async def _apply(self, kind: ManagedKind, body: JsonObject, planned: PlannedService) -> list[Problem]:
        """Apply one route. What stands against it stands against the route alone: the Service leads on."""
        try:
            await self.applier.apply(kind, body, _ours(planned.application))
        except ForeignObject as error:
            return [Problem(Reason.ROUTE_CONFLICT, "", f"{error}, or choose another name with {naming.SERVICE_NAME}")]
        except REFUSALS as error:
            return [
                Problem(
                    Reason.ROUTE_REFUSED, "", f"{kind.resource.kind} refused by the API server: {error.explanation}"
                )
            ]
        return []

    async def remove(
        self,
        key: Key,
        services: Sequence[PlannedService],
        kept: Collection[str],
        removable: Callable[[ObjectMeta], bool],
    ) -> None:
        """Remove the routes of an application in a namespace that nobody asks for (any more).

        Those to Services that are `kept` as they are stay, and so do those that are not `removable`.
        """
        await self._gateway_api()
        routable = [one for one in services if render.routable(one)]
        http_routes = {one.name for one in routable if one.options.gateway}
        http_routes |= {one.name for one in services if one.options.keeps_http_route}
        ingresses = {one.name for one in routable if one.options.ingress_class}
        ingresses |= {one.name for one in services if one.options.keeps_ingress}
        for kind, owned, wanted in (
            (self.http_routes, self.owned_http_routes, http_routes),
            (self.ingresses, self.owned_ingresses, ingresses),
        ):
            for item in owned.of(key):
                if item.metadata.name not in {*wanted, *kept} and removable(item.metadata):
                    await self.applier.delete(kind, item, _ours(key.name))

    async def _gateway_api(self) -> bool:
        """Whether HTTPRoute is served; looked up at most once a minute until it is. It may be uninstalled later."""
        informer = self.http_routes.informer
        async with self._looking:
            # Whoever asks meanwhile waits for the answer: it must not say that there is none.
            now = self.clock.monotonic()
            due = self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_SECONDS
            if due and not informer.namespaces:
                self._looked_at = now
                if await serves(self.client, HTTP_ROUTE):
                    informer.follow(self.namespaces)
                    with contextlib.suppress(TimeoutError):  # one that cannot be listed keeps no Service waiting
                        async with self.clock.timeout(_LIST_SECONDS):
                            await informer.wait_synced()
        return bool(informer.namespaces) and not informer.gone


def _is_among(owned: ByApplication, key: Key, name: str) -> bool:
    return any(item.metadata.name == name for item in owned.of(key))


def _ours(application: str) -> Callable[[ObjectMeta], bool]:
    def ours(metadata: ObjectMeta) -> bool:
        return application_of(metadata) == application

    return ours
