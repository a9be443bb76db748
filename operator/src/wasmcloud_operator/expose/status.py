"""The part of an Application's status about how it is reached: `status.services` and the condition `Exposed`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import read_options
from wasmcloud_operator.expose.lattice_books import LatticeBook
from wasmcloud_operator.expose.outcomes import Made, Outcomes, State
from wasmcloud_operator.expose.plan import Plan, Record
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.conditions import Condition, to_status
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, Pod
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.names import RESUMPTION, UNREADABLE, is_paused
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem

FIELD_MANAGER = "wasmcloud-operator-services"
EXPOSED = "Exposed"

_SHOWN_PROBLEMS = 10
# After a start lattices are still being connected: what an earlier life wrote stands until then.
_START_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _WantedStatus:
    """The wanted status; `problems` are the Services' problems, as far as the condition names them."""

    services: tuple[JsonObject, ...]
    condition: Condition | None
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True, kw_only=True)
class ExposedWriter:
    """Writes an Application's `status.services` and `Exposed`, and nothing else, as a field manager of its own.

    What stands against a Service is reported in an Event when `Exposed` comes to say it.
    """

    queries: ServiceQueries
    part: StatusPart[CustomResource]
    applications: Informer[CustomResource]
    pods: Informer[Pod]
    outcomes: Outcomes
    recorder: EventRecorder
    clock: Clock
    _started: float | None = None

    async def reconcile(self, key: Key) -> Result:
        """Raises the errors of `kube.errors`."""
        now = self.clock.monotonic()
        self._started = now if self._started is None else self._started
        item = self.applications.store.get(key)
        if item is None or item.metadata.deleting:
            return DONE
        unreadable = key in self.applications.store.unreadable
        if unreadable or is_paused(item.metadata.annotations):
            return Result.waiting(UNREADABLE if unreadable else RESUMPTION)
        found = list(self.queries.records_of(key))
        left = self._started + _START_SECONDS - now
        if not found and left > 0 and not self._known_absent(item):
            return Result.waiting("what is deployed in the lattices of its namespace", left)
        if found or self.queries.intended(key, key.namespace):
            wanted = self._wanted(item, found)
        elif self._known_absent(item):
            wanted = _WantedStatus((), None)
        else:
            return Result.waiting("what is deployed in the lattices of its namespace")
        if wanted is None:
            return Result.waiting("a look at its Services in each namespace")
        if await self._write(item, wanted):
            for problem in wanted.problems:
                if str(problem) not in _message(item):
                    note = str(problem)
                    self.recorder.event(APPLICATION, item.metadata, "Warning", problem.reason, note, action="Expose")
        return DONE

    def _known_absent(self, item: CustomResource) -> bool:
        """Whether nothing of it is deployed in any lattice of its namespace; those that it is not in do not matter."""
        namespace, name = item.metadata.key
        there = str(item.status.get("lattice", "")) if isinstance(item.status, dict) else ""
        lattices = self.queries.lattices(namespace)
        return not self.queries.undecided(namespace, there) and all(
            self.queries.book(one).knows(name) for one in lattices
        )

    def _wanted(self, item: CustomResource, found: Iterable[tuple[Lattice, Record]]) -> _WantedStatus | None:
        """Returns the wanted status; None while a namespace was not looked at yet."""
        if not read_options(item.metadata.annotations).enabled:
            message = f"the annotation {naming.SERVICE} asks for no Service"
            return _WantedStatus((), Condition(EXPOSED, "False", Reason.DISABLED, message))
        problems: list[Problem] = []
        refused: list[Problem] = []
        namespaces: dict[str, None] = {}
        offers = False
        for lattice, record in found:
            plan = self.queries.plan(item.metadata.namespace, lattice, record)
            offers = offers or bool(plan.services or plan.problems)
            problems += plan.problems
            problems += _port_conflicts(self.queries.book(lattice), plan)
            namespaces |= dict.fromkeys(self.queries.namespaces(lattice) if plan.services else ())
        home = item.metadata.namespace
        if self.queries.intended(item.metadata.key, home):
            offers = True
            namespaces[home] = None
        services: list[JsonObject] = []
        states: set[State] = set()
        for namespace in namespaces:
            outcome = self.outcomes.get(Key(namespace, item.metadata.name))
            if outcome is None:
                return None
            outcome = outcome.of(home)
            refused += (_located(problem, namespace, item) for problem in outcome.problems)
            there = [one for one in outcome.services if one.state in (State.LEADS, State.KEPT, State.SET_BACK)]
            states |= {one.state for one in there}
            services += (self._service(namespace, one) for one in there)
        if not offers:
            return _WantedStatus((), None)
        shown = list(dict.fromkeys([*problems, *refused]))
        named = tuple(one for one in shown[:_SHOWN_PROBLEMS] if one in refused)
        return _WantedStatus(tuple(services), _condition(services, shown, states), named)

    def _service(self, namespace: str, made: Made) -> JsonObject:
        return {
            "name": made.name,
            "namespace": namespace,
            "urls": list(made.urls),
            "readyEndpoints": 0 if made.state is State.SET_BACK else self._ready(namespace, made.name),
        }

    def _ready(self, namespace: str, service: str) -> int:
        label = naming.serves_label(service)
        return sum(
            pod.ready
            for pod in self.pods.store
            if pod.metadata.namespace == namespace and label in pod.metadata.labels and not pod.metadata.deleting
        )

    async def _write(self, item: CustomResource, wanted: _WantedStatus) -> bool:
        """Write what differs. Returns whether anything was written."""
        services, condition = list(wanted.services), wanted.condition
        before = as_object(item.status)
        held = [entry for entry in before.get("conditions") or () if entry.get("type") == EXPOSED]
        conditions = (
            to_status([condition], held, item.metadata.generation, self.clock.now()) if condition is not None else []
        )
        status: JsonObject = {}
        if services:
            status["services"] = services
        if conditions:
            status["conditions"] = conditions
        own = {name: held for name, held in (("services", before.get("services")), ("conditions", held)) if held}
        try:
            return await self.part.write_and_cache(self.applications, item, own, status)
        except (NotFound, Conflict):
            return False  # gone, or another one of that name: the watch reports it


def _condition(services: list[JsonObject], problems: list[Problem], states: set[State]) -> Condition:
    ready = sum(service["readyEndpoints"] for service in services)
    shown = [str(problem) for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    reach = ", ".join(url for service in services[:3] for url in service["urls"])
    if not services:
        reason = problems[0].reason if problems else Reason.NO_HOSTS
        return Condition(EXPOSED, "False", reason, "; ".join(shown) or "no namespace has hosts of the lattice")
    if State.SET_BACK in states:
        return Condition(EXPOSED, "False", Reason.SET_BACK, "; ".join(shown))
    if State.KEPT in states:
        reason = problems[0].reason if problems else Reason.NOT_DEPLOYED
        why = shown or ["what it leads to is not deployed"]
        return Condition(EXPOSED, "False", reason, "; ".join([*why, f"the Service stays as it was ({reach})"]))
    if not ready:
        waiting = f"no ready host runs the HTTP provider yet ({reach})"
        return Condition(EXPOSED, "False", Reason.NO_READY_ENDPOINTS, "; ".join([*shown, waiting]))
    if problems:
        return Condition(EXPOSED, "True", problems[0].reason, "; ".join([*shown, f"reached at {reach}"]))
    return Condition(EXPOSED, "True", Reason.EXPOSED, f"reached at {reach}")


def _located(problem: Problem, namespace: str, item: CustomResource) -> Problem:
    """Returns the problem, with the namespace where it is another than the Application's."""
    if namespace == item.metadata.namespace:
        return problem
    return replace(problem, message=f"in namespace {namespace}: {problem.message}")


def _message(item: CustomResource) -> str:
    """Returns the condition's present message."""
    conditions = as_objects(as_object(item.status).get("conditions"))
    return next((str(entry.get("message", "")) for entry in conditions if entry.get("type") == EXPOSED), "")


def _port_conflicts(book: LatticeBook, plan: Plan) -> list[Problem]:
    """Ports that providers of other applications want on the same hosts, where only one can have them."""
    found = []
    for planned in plan.services:
        mine = (planned.provider.application, planned.provider.id)
        for endpoint in planned.provider.endpoints:
            for other, shared in sorted(book.rivals(mine, endpoint.port).items()):
                clash = f"port {endpoint.port} is also wanted by {other[1]} of application {other[0]} on {shared}"
                mend = "only the first can listen there: choose different ports or hosts"
                found.append(Problem(Reason.PORT_CONFLICT, "", f"{clash} of the same hosts; {mend}"))
    return found
