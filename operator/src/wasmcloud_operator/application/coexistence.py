"""Whose `applications.core.oam.dev` the API server serves: ours, KubeVela's, or an earlier operator's left behind.

A foreign CRD is never written and its objects are never touched: they are followed only while the CRD is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import structlog
from prometheus_client import Gauge

from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.errors import ApiError, Forbidden, KubeError, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import API_SERVICE, Key

log = structlog.get_logger()

ServedBy = Literal["ours", "missing", "foreign", "shadowed", "unclear"]
_STATES: tuple[ServedBy, ...] = ("ours", "missing", "foreign", "shadowed", "unclear")

# In discovery our CRD has this category; no other project's has.
_CATEGORY = "wasmcloud"
_API_SERVICE_NAME = f"{APPLICATION.version}.{APPLICATION.group}"
_CHECK_SECONDS = 60.0
_CHECK_SECONDS_OTHERWISE = 10.0


@dataclass(frozen=True, slots=True)
class CrdState:
    """Who serves Applications, and what that means for a user."""

    served_by: ServedBy
    note: str = ""


async def crd_state(client: Client) -> CrdState:
    """Who serves Applications now, by discovery and the APIService. Raises the errors of `kube.errors`."""
    try:
        api_service = await client.get(API_SERVICE, Key("", _API_SERVICE_NAME))
        behind = (api_service.body.get("spec") or {}).get("service")
    except (NotFound, Forbidden):
        behind = None  # without the right to read it, discovery has to tell
    if behind:
        where = f"{behind.get('namespace')}/{behind.get('name')}"
        note = (
            f"APIService {_API_SERVICE_NAME} of an earlier operator (Service {where}) hides the CRD: Applications are "
            f"not run until it is gone: kubectl delete apiservice {_API_SERVICE_NAME}"
        )
        return CrdState("shadowed", note)
    try:
        answer = await client.get_path(APPLICATION.group_path)
    except NotFound:
        return _missing()
    except ApiError as error:
        return CrdState("unclear", f"{APPLICATION}: {error}")
    entries = [entry for entry in answer.get("resources", ()) if entry.get("name") == APPLICATION.plural]
    if not entries:
        return _missing()
    if _CATEGORY in (entries[0].get("categories") or ()):
        return CrdState("ours")
    note = (
        f"CRD {APPLICATION} belongs to somebody else (KubeVela has one of that name): it is left alone and "
        "Applications are not run; host pools and Services are. Start with --no-applications if that is intended"
    )
    return CrdState("foreign", note)


class CrdWatch:
    """Follows Applications exactly while their CRD is ours.

    It looks every ten seconds until they are listed, then every minute.
    """

    def __init__(
        self,
        client: Client,
        informer: Informer[CustomResource],
        namespaces: Iterable[str],
        state: CrdState,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._informer = informer
        self._namespaces = tuple(namespaces)
        self._clock = clock
        self._gauge = Gauge(
            "wasmcloud_operator_applications_crd",
            "Who serves applications.core.oam.dev: 1 for the state that is",
            ("state",),
            registry=metrics.registry,
        )
        self._state = state
        self._take(state)

    @property
    def problems(self) -> list[str]:
        """What keeps the operator from being ready: a CRD that is not there."""
        return [self._state.note] if self._state.served_by in ("missing", "unclear") else []

    @property
    def notes(self) -> list[str]:
        """What a reader of the readiness should know, though host pools go on: a CRD that is not ours."""
        return [self._state.note] if self._state.served_by in ("foreign", "shadowed") else []

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            # "Ours" may be what an API server has not forgotten yet: only what is followed is sure to be there.
            followed = self._state.served_by == "ours" and self._informer.synced
            await self._clock.sleep(_CHECK_SECONDS if followed else _CHECK_SECONDS_OTHERWISE)
            try:
                state = await crd_state(self._client)
            except KubeError as error:
                log.debug("CRD not looked at", crd=str(APPLICATION), error=str(error))
                continue
            if state.served_by == "unclear" and self._state.served_by == "ours":
                continue  # an API server that is not well takes nobody's Applications away
            if state != self._state:
                self._take(state)

    def _take(self, state: CrdState) -> None:
        self._state = state
        for name in _STATES:
            self._gauge.labels(name).set(int(name == state.served_by))
        if state.served_by == "ours":
            log.info("Applications are run", crd=str(APPLICATION))
        else:
            log.error("Applications are not run", crd=str(APPLICATION), state=state.served_by, why=state.note)
        self._informer.follow(self._namespaces if state.served_by == "ours" else ())


def _missing() -> CrdState:
    install = "wasmcloud-operator crds | kubectl apply --server-side -f -"
    return CrdState("missing", f"CRD {APPLICATION} is missing: {install}")
