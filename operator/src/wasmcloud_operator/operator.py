"""The composition root: wires the parts, owns start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

import structlog

from wasmcloud_operator.application.coexistence import CrdWatch
from wasmcloud_operator.application.controller import application_controller, applications, placement_controller
from wasmcloud_operator.application.left_on_purpose import LeftOnPurpose
from wasmcloud_operator.application.leftovers import leftovers_controller
from wasmcloud_operator.application.manifest import deployed_manifest
from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.expose.controller import service_controllers
from wasmcloud_operator.expose.listening import connect, never
from wasmcloud_operator.hostpool.controller import host_configs, host_pool_controllers
from wasmcloud_operator.hostpool.platform import platform_of
from wasmcloud_operator.kube import health
from wasmcloud_operator.kube.apply import Applier
from wasmcloud_operator.kube.backoff import Backoff
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.controller import Controller
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.errors import KubeError, NoCredentials, NotKubernetes, retry_after
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector, LeaseLost, LeaseObject
from wasmcloud_operator.kube.manager import Informers, Manager
from wasmcloud_operator.kube.memory import keep_small
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.namespaces import Scope
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import LEASE, Key
from wasmcloud_operator.kube.slots import Slots
from wasmcloud_operator.kube.tracing import Span, no_span
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.kube.turns import Shares
from wasmcloud_operator.kube.watchdog import watch_loop
from wasmcloud_operator.kube.write_rate import WriteRate
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.legacy.hostpools import FIELD_MANAGERS
from wasmcloud_operator.names import FINGERPRINT
from wasmcloud_operator.preflight import Findings, ServerTooOld, inspect
from wasmcloud_operator.settings import Settings
from wasmcloud_operator.shared.applications_gate import ApplicationsGate
from wasmcloud_operator.shared.context import Context
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.object_metrics import ObjectMetrics, register_process
from wasmcloud_operator.shared.placement_gaps import PlacementGaps
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator.shared.unowned_problems import UnownedProblems

log = structlog.get_logger()

FIELD_MANAGER = "wasmcloud-operator"

T = TypeVar("T")


class Operator:
    """One replica of the operator, from settings to exit code."""

    def __init__(self, settings: Settings, *, clock: Clock = SYSTEM_CLOCK, span: Span = no_span) -> None:
        self._settings = settings
        self._span = span
        self._clock = clock
        self._metrics = Metrics("wasmcloud_operator")
        register_process(self._metrics.registry, version("wasmcloud-operator"))
        self._manager: Manager | None = None
        self._waits_for = "the credentials"  # until there is a manager

    async def run(self, stop: asyncio.Event) -> int:
        """Run until `stop` is set. Returns the exit code: 0 for a clean stop, 1 with the reason in the log."""
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
                reader = Reader(transport, metrics=self._metrics, slots=slots, span=self._span)
                findings = await self._patiently(f"the API server at {reader.host}", lambda: inspect(reader, settings))
                started()
                elector = self._elector(transport)
                async with Lattices(clock=self._clock, gate=elector or AlwaysOpen(), span=self._span) as lattices:
                    self._manager = self._made(reader, findings, Pools(lattices), elector)
                    await self._manager.run(stop)
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
        backoff = Backoff(clock=self._clock)
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

    def _made(self, reader: Reader, findings: Findings, pools: Pools, elector: Elector | None) -> Manager:
        settings, clock, metrics = self._settings, self._clock, self._metrics
        gate = elector or AlwaysOpen()
        applications_gate = ApplicationsGate(gate)
        writer = Writer(reader, field_manager=FIELD_MANAGER, gate=gate)
        recorder = EventRecorder(
            writer,
            controller=f"{FIELD_MANAGER}.k8s.wasmcloud.dev",
            instance=settings.identity,
            clock=clock,
            metrics=metrics,
        )
        paced = PacedWrites(writer, clock=clock, recorder=recorder)
        scope = Scope(reader, settings.watch_namespaces, clock, metrics)
        context = Context(
            reader=reader,
            writer=writer,
            applications_gate=applications_gate,
            applications_writer=Writer(reader, field_manager=FIELD_MANAGER, gate=applications_gate),
            applier=Applier(writer, FINGERPRINT, FIELD_MANAGERS, paced),
            recorder=recorder,
            clock=clock,
            metrics=metrics,
            pools=pools,
            cluster_id=findings.cluster_id,
            scope=scope,
            workers=settings.workers,
            reconcile_timeout=settings.reconcile_timeout,
            span=self._span,
            informers=Informers(client=reader, scope=scope, clock=clock, metrics=metrics),
            write_rate=WriteRate(clock),
        )
        platform = platform_of(
            findings.version,
            settings.ip_family,
            os.environ.get("KUBERNETES_SERVICE_HOST", ""),
            openshift=findings.openshift,
        )
        hosts_in_pods = HostsInPods(context.host_pods(), pools.lattices)
        placements, unowned = PlacementGaps(), UnownedProblems()
        controllers: tuple[Controller[Any], ...] = host_pool_controllers(
            context, platform, hosts_in_pods, placements, unowned
        )
        crd, followed = None, None
        if settings.applications:
            on_purpose = LeftOnPurpose(writer, settings.namespace, pools.known_as)
            controllers = (
                *controllers,
                application_controller(context, on_purpose),
                placement_controller(context, hosts_in_pods),
                leftovers_controller(context, on_purpose if settings.orphans == "remove" else None),
            )
            followed = applications(context)
            crd = CrdWatch(context, followed, findings.applications, watchable=findings.may_watch_crds)
        if settings.services:
            deployed = partial(deployed_manifest, cluster=context.cluster_id) if settings.applications else None
            services = service_controllers(
                context,
                hosts_in_pods,
                placements,
                unowned,
                deployed=deployed,
                connect=connect if settings.connect_to_pods else never,
            )
            controllers = (*controllers, *services)
        metrics.registry.register(
            ObjectMetrics(host_configs(context).store, followed.store if followed else None, pools.all)
        )
        if elector is not None:
            users = tuple(filter(None, (host_configs(context), followed)))
            elector.nothing_in_danger = lambda: _untouched(context.written.values(), users)
        scope.begin(findings.missing)
        beside = {
            "events": recorder.run,
            "loop watchdog": lambda: watch_loop(clock),
            "memory": lambda: keep_small(clock),
        }
        if crd is not None:
            beside["applications CRD"] = crd.run
        return Manager(
            context.informers,
            controllers,
            elector=elector,
            flush=recorder.flush,
            beside=beside,
            watched=(crd,) if crd is not None else (),
        )

    def _problems(self) -> list[str]:
        return self._manager.problems if self._manager else [f"not started yet, waits for {self._waits_for}"]

    def _debug(self) -> JsonObject:
        """Returns what each controller and the election do now."""
        return self._manager.state() if self._manager else {"waitsFor": self._waits_for}

    def _notes(self) -> list[str]:
        return self._manager.notes if self._manager else []

    def _elector(self, transport: Transport) -> Elector | None:
        """Returns the elector on a client of its own: the Lease must not wait for a connection behind other calls."""
        settings = self._settings
        if not settings.leader_election:
            return None
        reader = Reader(transport.reserved(), metrics=self._metrics)
        # The Lease is what the gate of all else hangs on.
        client = Writer(reader, field_manager=FIELD_MANAGER, gate=AlwaysOpen())
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
        return Elector(
            client=client,
            informer=informer,
            key=key,
            identity=settings.identity,
            clock=self._clock,
            metrics=self._metrics,
        )


@contextlib.asynccontextmanager
async def _ended_by(stop: asyncio.Event) -> AsyncIterator[Callable[[], object]]:
    """A scope that `stop` ends until the yielded function is called: a hanging API server must not delay a stop."""
    stopping = asyncio.create_task(stop.wait(), name="stop while starting")
    scope = asyncio.timeout(None)
    try:
        async with scope:
            stopping.add_done_callback(lambda done: None if done.cancelled() else scope.reschedule(0))
            yield stopping.cancel
    except TimeoutError:
        if not scope.expired():
            raise
    finally:
        stopping.cancel()


def _untouched(written: Iterable[Informer[Any]], custom_resources: Iterable[Informer[CustomResource]]) -> bool:
    """Whether no replica can have written anything yet: none of our objects, no finalizer and no status."""
    return not any(len(informer.store) for informer in written) and not any(
        item.status or item.metadata.finalizers for informer in custom_resources for item in informer.store
    )
