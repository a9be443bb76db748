"""Whose `applications.core.oam.dev` the API server serves: ours, KubeVela's, or an earlier operator's left behind.

A foreign CRD is never written. Objects are followed and written only while the CRD is ours; from those that have
become another project's our finalizer is taken off, or they could not be deleted any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog
from prometheus_client import Gauge

from wasmcloud_operator.application.naming import FINALIZER
from wasmcloud_operator.application.writer import ApplicationWriter
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, Codec
from wasmcloud_operator.kube.errors import ApiError, Forbidden, KubeError, NotFound, retry_after
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.manager import background
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import API_SERVICE, CUSTOM_RESOURCE_DEFINITION, Key
from wasmcloud_operator.kube.source import ApiSource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.shared.context import Context

log = structlog.get_logger()

ServedBy = Literal["ours", "missing", "foreign", "shadowed", "unclear"]
_STATES: tuple[ServedBy, ...] = ("ours", "missing", "foreign", "shadowed", "unclear")

# In discovery our CRD has this category; no other project's has.
_CATEGORY = "wasmcloud"
_API_SERVICE_NAME = f"{APPLICATION.version}.{APPLICATION.group}"
_CHECK_SECONDS = 60.0
_CHECK_SECONDS_OTHERWISE = 10.0
_CHECK_SECONDS_IN_DOUBT = 1.0
# Discovery may be that far behind the CRD: for so long after a sign it is not believed where the CRD is not watched.
_LAG_SECONDS = 3.0

_CRD_KEY = Key("", str(APPLICATION))


@dataclass(frozen=True, slots=True)
class CrdState:
    """Who serves Applications, and what that means for a user."""

    served_by: ServedBy
    note: str = ""


async def crd_state(client: Reader) -> CrdState:
    """Who serves Applications now, by discovery and the APIService. Raises the errors of `kube.errors`."""
    try:
        api_service = await client.get(API_SERVICE, Key("", _API_SERVICE_NAME))
        behind = (api_service.body.get("spec") or {}).get("service")
    except (NotFound, Forbidden):
        behind = None  # without the right to read it, discovery has to show it
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
    return _foreign()


class _Names(msgspec.Struct, frozen=True, gc=False):
    categories: tuple[str, ...] | None = None


class _Spec(msgspec.Struct, frozen=True, gc=False):
    names: _Names = _Names()


class Definition(msgspec.Struct, frozen=True):
    """What is cached of the CRD: not its schema, which is large."""

    metadata: ObjectMeta
    spec: _Spec = _Spec()

    @property
    def ours(self) -> bool:
        """Whether it is the CRD that this project brings."""
        return _CATEGORY in (self.spec.names.categories or ())


_DEFINITION: Codec[Definition] = Codec.of(Definition)


class CrdWatch:
    """Follows Applications exactly while their CRD is ours, and closes the gate at any sign that it may not be.

    Signs are a change of the CRD, where it may be watched, and a watch of Applications that was broken off: the API
    server ends it when the CRD changes. Besides it looks every ten seconds until they are listed, then every minute.
    Discovery lags behind the CRD: where the CRD is watched and not ours, that decides.
    """

    def __init__(
        self, context: Context, informer: Informer[CustomResource], state: CrdState, *, watchable: bool
    ) -> None:
        self._client = context.reader
        self._clock = context.clock
        self._gate = context.applications_gate
        self._informer = informer
        self._namespaces = context.scope.wanted
        self._writer = ApplicationWriter(
            context.writer, informer, context.clock, context.status_part(APPLICATION, context.writer)
        )
        self._definition = _definition(context) if watchable else None
        self._gauge = Gauge(
            "wasmcloud_operator_applications_crd",
            "Who serves applications.core.oam.dev: 1 for the state that is",
            ("state",),
            registry=context.metrics.registry,
        )
        self._sign = asyncio.Event()
        self._believed_from = 0.0  # when discovery can have caught up with the CRD
        self._left_on_foreign = False  # whether a foreign object may have our finalizer
        self._state = state
        self._gate.ours = state.served_by == "ours"
        self._take(state)
        informer.on_lost(self._doubt)
        if self._definition is not None:
            self._definition.on_change(self._on_definition)

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
        watch = [("informer of the CRD", self._definition.run)] if self._definition is not None else []
        async with background(watch):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout(self._patience()):
                        await self._sign.wait()
                self._sign.clear()
                await self._look()
                if self._left_on_foreign:
                    self._left_on_foreign = await self._take_finalizers_off()

    def _patience(self) -> float:
        if self._state.served_by != "ours":
            return _CHECK_SECONDS_OTHERWISE
        if not self._gate.ours:
            return _CHECK_SECONDS_IN_DOUBT
        # "Ours" may be what an API server has not forgotten yet: only what is followed is sure to be there.
        return _CHECK_SECONDS if self._informer.synced else _CHECK_SECONDS_OTHERWISE

    def _doubt(self) -> None:
        self._gate.ours = False
        self._believed_from = self._clock.monotonic() + _LAG_SECONDS
        self._sign.set()

    def _on_definition(self, change: Change[Definition], listed: bool) -> None:
        before, after = change.old, change.new
        if before is not None and after is not None and _version(before) == _version(after):
            self._sign.set()  # its status alone: the API server may serve it now
        else:
            self._doubt()

    async def _look(self) -> None:
        try:
            looked = await crd_state(self._client)
        except KubeError as error:
            looked = CrdState("unclear", f"{APPLICATION}: {error}")
            log.debug("CRD not looked at", crd=str(APPLICATION), error=str(error))
        if looked.served_by in ("ours", "unclear"):
            looked = self._defined() or looked
        if looked.served_by == "unclear" and self._state.served_by == "ours":
            return  # an API server that is not well takes nobody's Applications away
        if looked != self._state:
            self._take(looked)
        certain = self._sees_definition or self._clock.monotonic() >= self._believed_from
        self._gate.ours = looked.served_by == "ours" and certain and not self._sign.is_set()

    @property
    def _sees_definition(self) -> bool:
        return self._definition is not None and not self._definition.problem

    def _defined(self) -> CrdState | None:
        """Returns what speaks against "ours" in the watched CRD, or None."""
        if self._definition is None or not self._sees_definition or _CRD_KEY in self._definition.store.unreadable:
            return None
        held = self._definition.store.get(_CRD_KEY)
        if held is None:
            return _missing()
        return None if held.ours else _foreign()

    def _take(self, state: CrdState) -> None:
        self._state = state
        for name in _STATES:
            self._gauge.labels(name).set(int(name == state.served_by))
        if state.served_by == "ours":
            log.info("Applications are run", crd=str(APPLICATION))
        else:
            log.error("Applications are not run", crd=str(APPLICATION), state=state.served_by, why=state.note)
        self._left_on_foreign = state.served_by == "foreign"
        self._informer.follow(self._namespaces if state.served_by == "ours" else ())

    async def _take_finalizers_off(self) -> bool:
        """Take our finalizer off foreign objects; whether another pass is due: after an error, or one that found any.

        A write that was under way when the CRD changed may have put one on behind the first pass.
        """
        again = False
        for namespace in self._namespaces:
            try:
                async for item in self._with_finalizer(namespace):
                    again = True
                    await self._take_finalizer_off(item)
            except KubeError as error:
                again = True
                log.debug("finalizers not looked for", namespace=namespace or "all", error=str(error))
        return again

    async def _take_finalizer_off(self, item: CustomResource) -> None:
        try:
            await self._writer.remove_finalizer(item)
        except KubeError as error:  # no leader, no right, an object that changed meanwhile
            log.debug("finalizer not taken off", object=str(item.metadata.key), error=str(error))
            await self._clock.sleep(retry_after(error))
        else:
            log.info("finalizer taken off an object that is not ours", object=str(item.metadata.key))

    async def _with_finalizer(self, namespace: str) -> AsyncIterator[CustomResource]:
        source = ApiSource(
            client=self._client, resource=APPLICATION, codec=CUSTOM_RESOURCE, namespace=namespace, metadata_only=True
        )
        token = ""
        while True:
            page = await source.page(token)
            for item in page.items:
                if FINALIZER in item.metadata.finalizers:
                    yield item
            if not (token := page.continue_token):
                return


def _definition(context: Context) -> Informer[Definition]:
    """The informer of Applications' CRD. Readiness does not wait for it: without it the CRD is read every minute."""
    return Informer.on_api(
        context.reader,
        CUSTOM_RESOURCE_DEFINITION,
        _DEFINITION,
        clock=context.clock,
        metrics=context.metrics,
        field_selector=f"metadata.name={APPLICATION}",
        name=f"{CUSTOM_RESOURCE_DEFINITION} ({APPLICATION})",
    )


def _version(definition: Definition) -> tuple[str, int]:
    return definition.metadata.uid, definition.metadata.generation


def _foreign() -> CrdState:
    note = (
        f"CRD {APPLICATION} belongs to somebody else (KubeVela has one of that name): it is left alone and "
        "Applications are not run; host pools and Services are. Start with --no-applications if that is intended"
    )
    return CrdState("foreign", note)


def _missing() -> CrdState:
    install = "wasmcloud-operator crds | kubectl apply --server-side -f -"
    return CrdState("missing", f"CRD {APPLICATION} is missing: {install}")
