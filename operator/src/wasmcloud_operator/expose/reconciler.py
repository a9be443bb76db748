"""The reconciler of Services: one application in one namespace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.expose import naming, render
from wasmcloud_operator.expose.by_application import ByApplication, leads_to_application
from wasmcloud_operator.expose.http_routes import Routes
from wasmcloud_operator.expose.outcomes import Made, Outcome, Outcomes, State
from wasmcloud_operator.expose.plan import Claim, PlannedService, Record, claim_of
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.apply import Applied, Applier, ForeignObject, ManagedKind
from wasmcloud_operator.kube.client import MERGE_PATCH, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.difference import Difference, PathStep
from wasmcloud_operator.kube.errors import REFUSALS, ApiError, Invalid
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import HTTP_ROUTE, INGRESS, SERVICE, Key
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.legacy.services import RustServices, is_rust_operators
from wasmcloud_operator.names import RESUMPTION, UNREADABLE, is_orphan
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem, set_back
from wasmcloud_operator.shared.unowned_problems import UnownedProblems

log = structlog.get_logger()

# A Service that somebody else has to remove first is looked for again: Services of others are not watched.
_CONFLICT_SECONDS = 10.0
_REFUSED_SECONDS = 60.0
# Of an Application that went while they were not listed no news comes.
_STILL_SECONDS = 10.0
# Kubernetes' EndpointSlices are not watched; while a takeover waits for the first endpoint they are looked at.
_ENDPOINT_SECONDS = 1.0

_OWNERS = "ownerReferences"
_OWNERS_PATH = Difference((PathStep(".metadata", "f:metadata"), PathStep(".ownerReferences", "f:ownerReferences")))
_FAMILY_FIELDS = ("spec.clusterIPs[0]", "spec.clusterIP", "spec.ipFamilies[0]")


@dataclass(frozen=True, slots=True)
class _WantedServices:
    """The Services of an application in a namespace, by lattice, and the names of those that an Application intends;
    `sure` when there is nothing left to find out.
    """

    services: tuple[tuple[Lattice, Record, PlannedService], ...]
    intended: frozenset[str]
    sure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReconciler:
    """Applies the Services and routes of one application in one namespace, as its manifest asks.

    Keys are (namespace, application). Nothing is deleted while it is not known what is deployed.
    """

    queries: ServiceQueries
    services: ManagedKind
    owned: ByApplication
    routes: Routes
    rust: RustServices
    applier: Applier
    client: Writer
    recorder: EventRecorder
    outcomes: Outcomes
    unowned: UnownedProblems

    async def reconcile(self, key: Key) -> Result:
        """Raises the errors of `kube.errors`."""
        if self.queries.is_unreadable(key.name):
            return Result.waiting(UNREADABLE)  # not deleted: its Services stay as they are
        awaited = self.queries.standing_still(key)
        if awaited:
            return Result.waiting(awaited, None if awaited == RESUMPTION else _STILL_SECONDS)
        wanted = self._wanted(key)
        made: list[Made] = []
        problems: list[Problem] = []
        unowned: list[tuple[Lattice, Problem]] = []
        for lattice, record, planned in wanted.services:
            state, found = await self._apply_one(key, lattice, record, planned)
            problems += found
            if self.queries.application(record) is None:
                unowned += [(lattice, _named(record.application, problem)) for problem in found]
            urls = render.urls(planned, key.namespace) if state is State.LEADS else self._urls(key, planned.name)
            home = self.queries.claim(lattice, record).home
            made.append(Made(planned.name, state, urls, home, tuple(found)))
        self.unowned.put(key, unowned)
        planned_names = {planned.name for _, _, planned in wanted.services}
        for name in sorted(wanted.intended - planned_names):
            await self._leave_behind(Key(key.namespace, name))
            made.append(self._kept(key, name))
        await self._remove(key, wanted)
        if made:
            self.outcomes.put(key, Outcome(tuple(made)))
        elif wanted.sure:
            self.outcomes.drop(key)
        contests = self.applier.contests
        again = contests.again(place for one in made for place in self._places(key.namespace, one.name))
        result = self._result(key, made, problems, sure=wanted.sure)
        return result if again is None else result.or_sooner("who sets it back to leave it alone", again)

    def _result(self, key: Key, made: Sequence[Made], problems: Sequence[Problem], *, sure: bool) -> Result:
        states = {one.state for one in made}
        if State.IN_THE_WAY in states or Reason.ROUTE_CONFLICT in {one.reason for one in problems}:
            return Result.waiting(_mending(problems), _CONFLICT_SECONDS)
        if any(self.rust.due(Key(key.namespace, one.name)) for one in made if one.state is State.LEADS):
            return Result.waiting("a first endpoint, before the Rust operator's go", _ENDPOINT_SECONDS)
        if problems:
            return Result.waiting(_mending(problems), _REFUSED_SECONDS)
        return DONE if states or sure else Result.waiting("what is deployed in the lattices of its namespace")

    async def _leave_behind(self, key: Key) -> None:
        """Give the Service of an orphan, which is about to go, to the host configs that lead to its lattice.

        That is all that can be done while it is not known what is deployed.
        """
        live, claim = self.services.informer.store.get(key), self.queries.held(*key)
        item = self.queries.orphan(claim) if claim is not None else None
        if live is None or claim is None or item is None or not live.metadata.belongs_to(item.metadata.uid):
            return
        lattices = (one for one in self.queries.lattices(key.namespace) if claim.lattice_id in one.identity.ids)
        owners = [owner for lattice in lattices for owner in self._pools(key.namespace, lattice)]
        origin = _origin_of(item, key.namespace)
        body = {"metadata": {"uid": live.metadata.uid, "ownerReferences": owners, "annotations": origin}}
        send = partial(self.client.patch, SERVICE, key, body, MERGE_PATCH, UNSTRUCTURED)
        wish = " ".join(sorted(owner["uid"] for owner in owners))
        target = WriteTarget(SERVICE, key, _OWNERS)
        patched = await self.applier.paced.write(target, live.metadata, wish, _OWNERS_PATH, send)
        if patched is not None:
            self.services.informer.offer(patched)

    def _kept(self, key: Key, name: str) -> Made:
        held = self.queries.held(key.namespace, name)
        return Made(name, State.KEPT, self._urls(key, name), held.home if held is not None else "")

    def _urls(self, key: Key, name: str) -> tuple[str, ...]:
        """The addresses of a Service as it is."""
        held = self.services.informer.store.get(Key(key.namespace, name))
        ports = held.body.get("spec", {}).get("ports") or () if held is not None else ()
        return tuple(f"{port.get('appProtocol', 'http')}://{name}.{key.namespace}.svc:{port['port']}" for port in ports)

    async def report(self, key: Key, error: Exception) -> None:
        """Show a failure that is no fault of the application."""
        before = self.outcomes.get(key) or Outcome()
        problem = Problem(Reason.SERVICE_FAILED, "", f"{type(error).__name__}: {error}; trying again")
        self.outcomes.put(key, Outcome(tuple(replace(one, problems=()) for one in before.services), (problem,)))

    def _wanted(self, key: Key) -> _WantedServices:
        sure = not self.queries.undecided(key.namespace)
        services: list[tuple[Lattice, Record, PlannedService]] = []
        for lattice in self.queries.lattices(key.namespace):
            book = self.queries.book(lattice)
            record = book.records.get(key.name)
            if record is None:
                sure = sure and book.knows(key.name)
            else:
                sure = sure and record.certain
                services += [
                    (lattice, record, planned) for planned in self.queries.plan(key.namespace, lattice, record).services
                ]
        return _WantedServices(tuple(services), self.queries.intended(key), sure)

    async def _apply_one(
        self, key: Key, lattice: Lattice, record: Record, planned: PlannedService
    ) -> tuple[State, list[Problem]]:
        """Apply one Service with its routes. Returns its state and the problems."""
        claim = self.queries.claim(lattice, record)
        ours = self._ours(key.namespace, planned.name, claim)
        held = self.services.informer.store.get(Key(key.namespace, planned.name))
        if held is not None and not ours(held.metadata):
            held = None
        if not planned.provider.endpoints:
            return (State.KEPT if held is not None else State.MISSING), []
        if held is not None:
            planned = render.as_first_before(planned, held.body)
        owners = self._owners(key.namespace, lattice, record)
        body = render.service(planned, key.namespace, lattice.identity, owners, self._origin(key.namespace, record))
        if held is not None:
            body = render.with_what_stays(body, held.body, planned)
        try:
            if self._is_host_configs(Key(key.namespace, planned.name)):
                raise ForeignObject(SERVICE, Key(key.namespace, planned.name), f"{HOST_CONFIG.kind} {planned.name}")
            body = await self.rust.eased(Key(key.namespace, planned.name), body)
            applied = await self._apply(record, body, ours)
            if applied.item is None:
                return State.MISSING, self._deleted(key.namespace, planned.name)
            await self.rust.clean(Key(key.namespace, planned.name), applied.item.metadata)
            hidden = held is not None and render.hides_first(planned, held.body)
            problems = [] if hidden else await self.routes.apply(planned, key.namespace, lattice.identity, owners)
            contested = self.applier.contests.of(self._places(key.namespace, planned.name))
            led_astray = any(one.resource == SERVICE and one.path.startswith(".spec") for one in contested)
            return (
                State.SET_BACK if led_astray else State.LEADS,
                [*(set_back(str(one)) for one in contested), *problems],
            )
        except ForeignObject as error:
            message = f"{error}, or choose another name with {naming.SERVICE_NAME}"
            return State.IN_THE_WAY, [Problem(Reason.CONFLICT, "", message)]
        except _StillThere:
            message = f"waits until the former Service {planned.name}, of another address family, is gone"
            return State.MISSING, [Problem(Reason.SERVICE_BEING_REPLACED, "", message)]
        except REFUSALS as error:
            stands = held is not None and held.metadata.key in self.services.informer.store
            return State.KEPT if stands else State.MISSING, [
                Problem(Reason.SERVICE_REFUSED, "", f"refused by the API server: {error.explanation}")
            ]

    def _deleted(self, namespace: str, name: str) -> list[Problem]:
        """The problems of a Service that somebody else deletes, while it is too early to make it again."""
        contested = self.applier.contests.of([WriteTarget(SERVICE, Key(namespace, name))])
        message = f"Service {name} was deleted by somebody else as soon as it was made; it is made again in a moment"
        return [set_back(str(one)) for one in contested] or [set_back(message)]

    def _places(self, namespace: str, name: str) -> list[WriteTarget]:
        """The objects of one Service: itself and the routes of its name."""
        return [WriteTarget(resource, Key(namespace, name)) for resource in (SERVICE, HTTP_ROUTE, INGRESS)]

    def _origin(self, namespace: str, record: Record) -> dict[str, str]:
        """Returns the annotations by which a Service remembers its Application, also an orphaned one."""
        item = self.queries.application(record)
        if item is None:
            left = self.queries.orphaned(Key(namespace, record.application))
            return {} if left is None else {naming.ORPHANED: json.dumps(left, sort_keys=True)}
        return _origin_of(item, namespace)

    async def _apply(self, record: Record, body: JsonObject, ours: Callable[[ObjectMeta], bool]) -> Applied:
        """Apply a Service. Where it would have to begin with another address family, it is made anew.

        Kubernetes keeps a Service's first family as long as the Service lives, and what listens on another one cannot
        be reached by it: there is nothing to keep. It is deleted only if the API server would take the new one.
        """
        try:
            return await self.applier.apply(self.services, body, ours)
        except Invalid as error:
            held = self.services.informer.store.get(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
            if held is None or not _is_of_family(error):
                raise
        if not held.metadata.deleting:
            await self.client.apply(SERVICE, _trial(body), UNSTRUCTURED, dry_run=True)
            await self.applier.delete(self.services, held, ours)
            self._record_replaced(record, held.metadata)
        if held.metadata.key in self.services.informer.store:
            raise _StillThere
        return await self.applier.apply(self.services, body, ours)

    async def _remove(self, key: Key, wanted: _WantedServices) -> None:
        """Remove what leads to the application and is not wanted (any more).

        What is wanted may be other by now: each wait leaves the loop to whoever reads a manifest. Then nothing more is
        removed, as the news that changed it brings the key back.
        """

        def still_so() -> bool:
            return self._wanted(key) == wanted

        def removable(metadata: ObjectMeta) -> bool:
            return self.queries.settled(key.namespace, metadata) and still_so()

        planned = [one for _, _, one in wanted.services]
        kept = {one.name for one in planned} | wanted.intended
        readable = [one for one in planned if one.provider.endpoints]
        await self.routes.remove(key, readable, kept - {one.name for one in readable}, removable)
        for held in self.owned.of(key):
            if held.metadata.name not in kept and removable(held.metadata):
                await self.applier.delete(self.services, held, leads_to_application)
                log.info("Service deleted", service=str(held.metadata.key), application=key.name)
        if wanted.sure and key.name not in kept and self.rust.has(key) and still_so():
            await self.rust.remove(key)

    def _owners(self, namespace: str, lattice: Lattice, record: Record) -> list[JsonObject]:
        """The Application where it is in this namespace, else the host configs whose hosts may serve it.

        One that leaves its application in wadm has the host configs beside it: its Services are to outlive it, and the
        garbage collector deletes what has lost every owner.
        """
        item = self.queries.application(record)
        here = item is not None and item.metadata.namespace == namespace
        owners = []
        if item is not None and here and not (item.metadata.deleting and is_orphan(item.metadata.annotations)):
            meta, alone = item.metadata, not is_orphan(item.metadata.annotations)
            owners.append(
                render.owner(APPLICATION.api_version, APPLICATION.kind, meta.name, meta.uid, controller=alone)
            )
            if alone:
                return owners
        return owners + self._pools(namespace, lattice)

    def _pools(self, namespace: str, lattice: Lattice) -> list[JsonObject]:
        """The host configs of a namespace that lead to a lattice, as owners."""
        return [
            render.owner(HOST_CONFIG.api_version, HOST_CONFIG.kind, pool.key.name, pool.uid, controller=False)
            for pool in self.queries.pools.in_namespace(namespace)
            if pool.lattice is lattice
        ]

    def _is_host_configs(self, key: Key) -> bool:
        """Whether a host config of that name makes a Service of that name."""
        config = self.queries.configs.store.get(key)
        if config is None or not isinstance(config.spec, dict):
            return False
        leaf = config.spec.get("leafService")
        return not (isinstance(leaf, dict) and leaf.get("enabled") is False)

    def _ours(self, namespace: str, name: str, claim: Claim) -> Callable[[ObjectMeta], bool]:
        """A Service of ours whose claim no longer stands may be taken, and so may one of the Rust operator."""

        def ours(metadata: ObjectMeta) -> bool:
            if is_rust_operators(metadata):
                return True
            if not leads_to_application(metadata):
                return False
            held = self.queries.current(claim_of(metadata))
            return self.queries.yields(namespace, held, name, claim)

        return ours

    def _record_replaced(self, record: Record, former: ObjectMeta) -> None:
        why = "its first address family is to be another, which no Service can change"
        note = f"Service {former.key} is deleted and made anew, with another cluster IP: {why}"
        log.info("Service replaced", service=str(former.key), application=record.application)
        item = self.queries.application(record)
        resource, regarding = (SERVICE, former) if item is None else (APPLICATION, item.metadata)
        self.recorder.event(resource, regarding, "Normal", Reason.SERVICE_REPLACED, note, action="Replace")


def _origin_of(item: CustomResource, namespace: str) -> dict[str, str]:
    meta = item.metadata
    origin = {naming.APPLICATION_NAMESPACE: meta.namespace}
    if meta.namespace == namespace and is_orphan(meta.annotations):
        steering = {name: meta.annotations[name] for name in naming.STEERING if name in meta.annotations}
        origin[naming.ORPHANED] = json.dumps(steering, sort_keys=True)
    return origin


def _mending(problems: Iterable[Problem]) -> str:
    return f"what stands against it to be mended: {'; '.join(str(problem) for problem in problems)}"


class _StillThere(Exception):
    """Finalizers hold a Service that is to be replaced; the watch shows when it is gone."""


def _named(application: str, problem: Problem) -> Problem:
    return replace(problem, message=f"application {application}, which came over NATS: {problem.message}")


def _is_of_family(error: ApiError) -> bool:
    """Whether it is about the first address family, which a Service keeps as long as it lives, and nothing else."""
    return isinstance(error, Invalid) and bool(error.causes) and all(path in _FAMILY_FIELDS for path, _ in error.causes)


def _trial(body: JsonObject) -> JsonObject:
    """The same under a name that nobody has, to ask whether it would be taken."""
    metadata = body["metadata"]
    return {**body, "metadata": {**metadata, "name": naming.service_name(f"{metadata['name']} anew")}}
