"""HTTPRoutes and Ingresses of those applications that ask for them, where the cluster has these kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wasmcloud_operator.kube.access import serves
from wasmcloud_operator.kube.apply import Applier, Kind
from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.objects import ObjectMeta
from wasmcloud_operator.kube.resources import HTTP_ROUTE, Key
from wasmcloud_operator.lattice.lattices import LatticeKey
from wasmcloud_operator.service import names, render
from wasmcloud_operator.service.endpoints import Problem
from wasmcloud_operator.service.owned import Owned, application_of
from wasmcloud_operator.service.plan import Planned

_LOOK_AGAIN_SECONDS = 60.0
_NO_GATEWAY_API = Problem(
    "GatewayAPIMissing",
    f'metadata.annotations["{names.GATEWAY}"]',
    "the cluster does not serve HTTPRoute gateway.networking.k8s.io/v1: install the Gateway API",
)
_SEVERAL_PORTS = Problem(
    "SeveralPorts", "", "the route leads to the first port alone: requests do not tell which of the ports they mean"
)


@dataclass(slots=True)
class Routes:
    """Applies and removes routes. The Gateway API's kind is followed once the API server is seen to serve it."""

    client: Client
    applier: Applier
    clock: Clock
    http_routes: Kind
    ingresses: Kind
    owned_http_routes: Owned
    owned_ingresses: Owned
    namespaces: tuple[str, ...]
    _looked_at: float | None = field(default=None)

    async def apply(
        self, planned: Planned, namespace: str, lattice: LatticeKey, owners: Sequence[JsonObject]
    ) -> list[Problem]:
        """Bring the routes to one Service to what is asked for; gives what is wrong with that."""
        problems = []
        route = render.http_route(planned, namespace, lattice, owners)
        if route is not None:
            if await self._gateway_api():
                await self.applier.apply(self.http_routes, route, _ours(planned.application))
            else:
                problems.append(_NO_GATEWAY_API)
        ingress = render.ingress(planned, namespace, lattice, owners)
        if ingress is not None:
            await self.applier.apply(self.ingresses, ingress, _ours(planned.application))
        if (route or ingress) and len(planned.provider.endpoints) > 1:
            problems.append(_SEVERAL_PORTS)
        return problems

    async def remove(self, key: Key, services: Sequence[Planned]) -> None:
        """Remove the routes of an application in a namespace that nobody asks for (any more)."""
        await self._gateway_api()
        for kind, owned, wanted in (
            (self.http_routes, self.owned_http_routes, {one.name for one in services if one.options.gateway}),
            (self.ingresses, self.owned_ingresses, {one.name for one in services if one.options.ingress_class}),
        ):
            for item in owned.of(key):
                if item.metadata.name not in wanted:
                    await self.applier.delete(kind, item, _ours(key.name))

    async def _gateway_api(self) -> bool:
        """Whether HTTPRoute is served; looked up at most once a minute until it is."""
        informer = self.http_routes.informer
        if not informer.namespaces:
            now = self.clock.monotonic()
            if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_SECONDS:
                self._looked_at = now
                if await serves(self.client, HTTP_ROUTE):
                    informer.follow(self.namespaces)
                    await informer.wait_synced()
        return bool(informer.namespaces)


def _ours(application: str) -> Callable[[ObjectMeta], bool]:
    def ours(metadata: ObjectMeta) -> bool:
        return application_of(metadata) == application

    return ours
