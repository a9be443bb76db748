"""The composition root: wires the parts, owns start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

import structlog

from wasmcloud_operator.application.coexistence import CrdWatch
from wasmcloud_operator.application.controller import application_controller, applications
from wasmcloud_operator.application.manifest import deployed_manifest
from wasmcloud_operator.expose.controller import service_controllers
from wasmcloud_operator.hostpool.controller import host_configs, host_pool_controllers
from wasmcloud_operator.hostpool.platform import platform_of
from wasmcloud_operator.kube import health
from wasmcloud_operator.kube.apply import Applier
from wasmcloud_operator.kube.backoff import Backoff
from wasmcloud_operator.kube.client import AlwaysOpen, Client
from wasmcloud_operator.kube.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.kube.controller import Controller
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.errors import KubeError, NoCredentials, NotKubernetes, retry_after
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector, LeaseLost, LeaseObject
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.namespaces import Scope
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import LEASE, Key
from wasmcloud_operator.kube.slots import Slots
from wasmcloud_operator.kube.supervise import supervise
from wasmcloud_operator.kube.tracing import Span, no_span
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.kube.turns import Shares
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.legacy.hostpools import FIELD_MANAGERS
from wasmcloud_operator.names import FINGERPRINT
from wasmcloud_operator.preflight import Findings, ServerTooOld, inspect
from wasmcloud_operator.settings import Settings
from wasmcloud_operator.shared.context import Context
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.object_metrics import ObjectMetrics, register_process
from wasmcloud_operator.shared.placements import Placements
from wasmcloud_operator.shared.pools import Pools

log = structlog.get_logger()

FIELD_MANAGER = "wasmcloud-operator"

# SIGTERM to end in under five seconds: the work in progress gets most of it, the Lease and the Events the rest.
_DRAIN_SECONDS = 3.0
_FLUSH_SECONDS = 0.5

T = TypeVar("T")
Run = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Everything that runs."""

    scope: Scope
    informers: tuple[Informer[Any], ...]  # of several kinds
    controllers: tuple[Controller[Any], ...]  # of several key types
    recorder: EventRecorder
    elector: Elector | None
    applications_crd: CrdWatch | None


class Operator:
    """One replica of the operator, from settings to exit code."""

    def __init__(self, settings: Settings, *, clock: Clock = SYSTEM_CLOCK, span: Span = no_span) -> None:
        self._settings = settings
        self._span = span
        self._clock = clock
        self._metrics = Metrics("wasmcloud_operator")
        register_process(self._metrics.registry, version("wasmcloud-operator"))
        self._leading = False
        self._parts: _Parts | None = None
        self._waits_for = "the credentials"  # until there are parts

    async def run(self, stop: asyncio.Event) -> int:
        """Run until `stop` is set; gives the exit code: 0 for a clean stop, 1 with the reason in the log."""
        settings = self._settings
        options = ConnectionOptions(
            credentials=Credentials(settings.kubeconfig, settings.context),
            max_connections=settings.max_connections,
            trust_env=settings.trust_env,
            strict_x509=settings.strict_x509,
            user_agent=f"{FIELD_MANAGER}/{version('wasmcloud-operator')}",
        )
        serving = health.serve(
            settings.http_address,
            metrics=self._metrics,
            alive=tuple,
            ready=self._problems,
            notes=self._notes,
            debug=self._debug,
        )
        try:
            async with serving, _ended_by(stop) as started, contextlib.AsyncExitStack() as stack:
                transport = await self._patiently(
                    "the credentials", lambda: stack.enter_async_context(Transport.open(options))
                )
                slots = Slots(Shares.within(settings.max_connections))
                client = Client(transport, field_manager=FIELD_MANAGER, metrics=self._metrics, slots=slots)
                findings = await self._patiently(f"the API server at {client.host}", lambda: inspect(client, settings))
                started()
                elector = self._elector(transport)
                async with Lattices(clock=self._clock, gate=elector or AlwaysOpen()) as lattices:
                    await self._run(client, findings, Pools(lattices), elector, stop)
        except (KubeError, ServerTooOld, OSError) as error:  # OSError: a CA that is none, a port that is taken
            log.error("cannot start", error=str(error))
            return 1
        except LeaseLost as error:
            log.error("stopping: another replica may lead now", error=str(error))
            return 1
        log.info("stopped")
        return 0

    async def _patiently(self, what: str, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Try until it succeeds: an API server may start later than we do, or be busy."""
        backoff = Backoff(self._clock)
        self._waits_for = what
        while True:
            try:
                return await attempt()
            except (NoCredentials, NotKubernetes):
                raise
            except KubeError as error:
                delay = backoff.next(retry_after(error))
                self._waits_for = f"{what}: {error}"
                log.warning("not started yet", waits_for=what, error=str(error), retry_seconds=round(delay, 2))
                await self._clock.sleep(delay)

    async def _run(
        self, client: Client, findings: Findings, pools: Pools, elector: Elector | None, stop: asyncio.Event
    ) -> None:
        parts = self._parts = self._made(client, findings, pools, elector)
        async with _background(self._tasks(parts)):
            leading = asyncio.create_task(self._lead(parts, stop), name="leader")
            stopping = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait({leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not self._leading:
                leading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leading

    def _tasks(self, parts: _Parts) -> Iterable[tuple[str, Run]]:
        for informer in parts.informers:
            yield f"informer {informer.name}", self._supervised(f"informer {informer.name}", informer.run)
        yield "namespaces", self._supervised("namespaces", parts.scope.run)
        yield "events", self._supervised("events", parts.recorder.run)
        if parts.applications_crd is not None:
            yield "applications CRD", self._supervised("applications CRD", parts.applications_crd.run)
        yield "loop watchdog", self._supervised("loop watchdog", lambda: health.watch_loop(self._clock))

    def _supervised(self, name: str, run: Run) -> Run:
        return lambda: supervise(name, run, clock=self._clock, metrics=self._metrics)

    async def _lead(self, parts: _Parts, stop: asyncio.Event) -> None:
        for informer in parts.informers:
            await informer.wait_synced()
        gc.collect()
        gc.freeze()  # what the caches hold now lives long; full collections need not walk it
        log.info("caches filled", objects={informer.name: len(informer.store) for informer in parts.informers})

        async def lead() -> None:
            await self._control(parts, stop)

        if parts.elector is None:
            await lead()
        else:
            await parts.elector.run(lead)

    async def _control(self, parts: _Parts, stop: asyncio.Event) -> None:
        """Run the controllers until `stop` is set, let the work in progress end, then send what was reported."""
        self._leading = True
        controllers = parts.controllers
        for controller in controllers:
            controller.start()
        for informer in parts.informers:
            informer.replay()
        async with _background((controller.name, controller.run) for controller in controllers):
            await stop.wait()
            await asyncio.gather(*(controller.drain(_DRAIN_SECONDS) for controller in controllers))
        with contextlib.suppress(TimeoutError):  # while the gate is open
            async with self._clock.timeout(_FLUSH_SECONDS):
                await parts.recorder.flush()

    def _made(self, client: Client, findings: Findings, pools: Pools, elector: Elector | None) -> _Parts:
        settings, clock, metrics = self._settings, self._clock, self._metrics
        lease = (elector.informer,) if elector is not None else ()
        writer = client.gated(elector) if elector is not None else client
        recorder = EventRecorder(
            writer,
            controller=f"{FIELD_MANAGER}.k8s.wasmcloud.dev",
            instance=settings.identity,
            clock=clock,
            metrics=metrics,
        )
        scope = Scope(client, settings.watch_namespaces, clock, metrics)
        context = Context(
            client=client,
            writer=writer,
            applier=Applier(writer, FINGERPRINT, FIELD_MANAGERS),
            recorder=recorder,
            clock=clock,
            metrics=metrics,
            pools=pools,
            cluster_id=findings.cluster_id,
            scope=scope,
            workers=settings.workers,
            reconcile_timeout=settings.reconcile_timeout,
            span=self._span,
        )
        platform = platform_of(findings.version, settings.ip_family, os.environ.get("KUBERNETES_SERVICE_HOST", ""))
        hosts_in_pods = HostsInPods(context.host_pods(), pools.lattices)
        placements = Placements()
        controllers: tuple[Controller[Any], ...] = host_pool_controllers(context, platform, hosts_in_pods, placements)
        crd, followed = None, None
        if settings.applications:
            controllers = (*controllers, application_controller(context))
            followed = applications(context)
            crd = CrdWatch(client, followed, scope.wanted, findings.applications, clock, metrics)
        if settings.services:
            deployed = partial(deployed_manifest, cluster=context.cluster_id) if settings.applications else None
            controllers = (*controllers, *service_controllers(context, hosts_in_pods, placements, deployed=deployed))
        metrics.registry.register(ObjectMetrics(host_configs(context).store, followed.store if followed else None))
        if elector is not None:
            users = tuple(filter(None, (host_configs(context), followed)))
            elector.nothing_in_danger = lambda: _untouched(context.written.values(), users)
        scope.begin(findings.missing)
        return _Parts(scope, (*context.informers.values(), *lease), controllers, recorder, elector, crd)

    def _problems(self) -> list[str]:
        parts = self._parts
        if parts is None:
            return [f"not started yet, waits for {self._waits_for}"]
        crd = parts.applications_crd.problems if parts.applications_crd else []
        informers = (informer.problem for informer in parts.informers if informer.problem)
        return [*crd, *parts.scope.problems, *informers]

    def _debug(self) -> JsonObject:
        """Returns what each controller and the election do now."""
        if self._parts is None:
            return {"waitsFor": self._waits_for}
        elector, controllers = self._parts.elector, self._parts.controllers
        lease = elector.state() if elector is not None else None
        return {"lease": lease, "controllers": {controller.name: controller.state() for controller in controllers}}

    def _notes(self) -> list[str]:
        parts = self._parts
        if parts is None:
            return []
        crd = parts.applications_crd.notes if parts.applications_crd else []
        return [*crd, *parts.scope.notes]

    def _elector(self, transport: Transport) -> Elector | None:
        """Returns the elector on a client of its own: the Lease must not wait for a connection behind other calls."""
        settings = self._settings
        if not settings.leader_election:
            return None
        client = Client(transport.reserved(), field_manager=FIELD_MANAGER, metrics=self._metrics)
        informer: Informer[LeaseObject] = Informer.on_api(
            client,
            LEASE,
            LEASE_CODEC,
            clock=self._clock,
            metrics=self._metrics,
            namespaces=(settings.namespace,),
            field_selector=f"metadata.name={settings.lease_name}",
        )
        key = Key(settings.namespace, settings.lease_name)
        return Elector(client, informer, key, settings.identity, self._clock, self._metrics)


@contextlib.asynccontextmanager
async def _ended_by(stop: asyncio.Event) -> AsyncIterator[Callable[[], object]]:
    """A scope that `stop` ends, until what it gives is called: an API server that hangs must not hold up SIGTERM."""
    told = asyncio.create_task(stop.wait(), name="stop while starting")
    scope = asyncio.timeout(None)
    try:
        async with scope:
            told.add_done_callback(lambda done: None if done.cancelled() else scope.reschedule(0))
            yield told.cancel
    except TimeoutError:
        if not scope.expired():
            raise
    finally:
        told.cancel()


@contextlib.asynccontextmanager
async def _background(tasks: Iterable[tuple[str, Run]]) -> AsyncIterator[None]:
    """Run these while the scope is open; one that fails cancels the scope and raises its error there."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(run(), name=name) for name, run in tasks]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _untouched(written: Iterable[Informer[Any]], custom_resources: Iterable[Informer[CustomResource]]) -> bool:
    """Whether no replica can have written anything yet: none of our objects, no finalizer and no status."""
    return not any(len(informer.store) for informer in written) and not any(
        item.status or item.metadata.finalizers for informer in custom_resources for item in informer.store
    )
