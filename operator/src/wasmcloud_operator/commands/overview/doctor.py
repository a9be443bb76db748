"""`kubectl wasmcloud doctor`: what the operator's own start-up looks at, from outside and with the user's rights."""

from __future__ import annotations

import contextlib
import itertools
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from wasmcloud_operator.application.coexistence import crd_state
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.commands.overview import operator_pods, pods
from wasmcloud_operator.commands.overview.crd_drift import drift
from wasmcloud_operator.commands.overview.operator_pods import Deployed
from wasmcloud_operator.commands.overview.screens import Screen
from wasmcloud_operator.commands.overview.snapshot import NO_RIGHT, Snapshot, condition, fails, take
from wasmcloud_operator.commands.overview.tables import some
from wasmcloud_operator.commands.printable import say
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.access import missing_permissions_of, server_version, serves
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.errors import ApiError, Forbidden
from wasmcloud_operator.kube.lease import LEASE_CODEC, LeaseObject
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import CUSTOM_RESOURCE_DEFINITION, LEASE, SUBJECT_ACCESS_REVIEW, Key
from wasmcloud_operator.preflight import OLDEST_MINOR, wanted_by
from wasmcloud_operator_types import custom_resource_definitions

# A leader renews every two seconds; this is how old its Lease may look through a slow connection.
_FRESH_SECONDS = 30.0
_CLOCK_SECONDS = 5.0
_SHOWN_RIGHTS = 10
_SHOWN = 5
_INSTALL_CRDS = "wasmcloud-operator crds | kubectl apply --server-side -f -"


class Health(Enum):
    """How one thing was found; the value is what is printed before it."""

    FINE = "ok"
    WRONG = "!!"
    UNKNOWN = "??"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and what to do where it failed; `right` is what the user lacks to make the check."""

    health: Health
    text: str
    right: str = ""

    def __str__(self) -> str:
        return f"{self.health.value}  {self.text}"


def doctor_screen(namespace: str) -> Screen:
    """Returns the screen of `doctor`: a line for each thing that was looked at, and a last one for what was not."""

    async def screen(client: Reader) -> int:
        findings = await examine(client, await take(client, namespace))
        say(*map(str, findings), *not_made(findings))
        return exit_status(findings)

    return screen


async def examine(client: Reader, snapshot: Snapshot) -> list[Finding]:
    """Looks at the server, the CRDs, the operator's Lease, pods and rights, and NATS and wadm as it sees them.

    What the user has no right to read is UNKNOWN. Raises the errors of `kube.errors` where nothing can be read.
    """
    found: list[Finding] = []
    with _unless_forbidden(found, "Kubernetes' version and this machine's clock", "get /version"):
        found += await server(client)
    with _unless_forbidden(found, "whether both kinds are served", f"get {HOST_CONFIG.group_path}"):
        found += await kinds(client)
    running: list[Unstructured] = []
    with _unless_forbidden(found, "the operator's pods, their metrics and their rights", "list pods in all namespaces"):
        running = await operator_pods.listed(client)
    with _unless_forbidden(found, "whether one operator leads", f"list {LEASE} in all namespaces"):
        found += await leases(client, running)
    found += await operators(client, running)
    found += await rights(client, running)
    return [*found, *of_snapshot(snapshot)]


@contextlib.contextmanager
def _unless_forbidden(found: list[Finding], what: str, right: str) -> Iterator[None]:
    try:
        yield
    except Forbidden:
        found.append(_not_looked_at(what, right))


def _not_looked_at(what: str, right: str) -> Finding:
    return Finding(Health.UNKNOWN, f"{what} cannot be looked at: you have no right to {right}", right)


async def server(client: Reader) -> list[Finding]:
    """Returns whether the API server is new enough, and its clock right. Raises the errors of `kube.errors`."""
    version = await server_version(client)
    supported = (version.major, version.minor) >= (1, OLDEST_MINOR)
    advice = "" if supported else f"; the operator needs 1.{OLDEST_MINOR} or newer"
    found = [Finding(Health.FINE if supported else Health.WRONG, f"Kubernetes {version.text}{advice}")]
    if client.server_now is not None:
        apart = abs((datetime.now(UTC) - client.server_now).total_seconds())
        fine = apart < _CLOCK_SECONDS
        text = f"this machine's clock and the API server's are {apart:.0f} s apart"
        found.append(Finding(Health.FINE if fine else Health.WRONG, text))
    return found


async def kinds(client: Reader) -> list[Finding]:
    """Returns whether both kinds are served, and by whose CRD. Raises the errors of `kube.errors`."""
    installed = await serves(client, HOST_CONFIG)
    text = "is served" if installed else f"is not installed: {_INSTALL_CRDS}"
    found = [Finding(Health.FINE if installed else Health.WRONG, f"{HOST_CONFIG} {text}")]
    state = await crd_state(client)
    ours = state.served_by == "ours"
    note = state.note or f"served by: {state.served_by}"
    found.append(Finding(Health.FINE if ours else Health.WRONG, f"{APPLICATION}: {note}"))
    there = {str(HOST_CONFIG): installed, str(APPLICATION): ours}
    wanted = [crd for crd in custom_resource_definitions() if there[crd["metadata"]["name"]]]
    return [*found, *itertools.chain.from_iterable([await _definition(client, crd) for crd in wanted])]


async def _definition(client: Reader, ours: JsonObject) -> list[Finding]:
    name = ours["metadata"]["name"]
    try:
        installed = await client.find(CUSTOM_RESOURCE_DEFINITION, Key("", name))
    except Forbidden:
        return [_not_looked_at(f"whether CRD {name} is this release's", f"get {CUSTOM_RESOURCE_DEFINITION}")]
    return [judge_definition(installed, ours)] if installed is not None else []


def judge_definition(installed: Unstructured, ours: JsonObject) -> Finding:
    """Returns whether an installed CRD is the one that this release brings, and what to do where it is not."""
    found = drift(installed.body, ours)
    name = f"CRD {installed.metadata.name}"
    release = installed.metadata.annotations.get("meta.helm.sh/release-name")
    namespace = installed.metadata.annotations.get("meta.helm.sh/release-namespace")
    update = (
        f"{shlex.join(('helm', 'upgrade', release, '-n', str(namespace)))} with this release's chart"
        if release
        else _INSTALL_CRDS
    )
    if found.lacking:
        also = f", and has {some(found.besides, _SHOWN)}" if found.besides else ""
        text = f"{name} is not this release's: it lacks {some(found.lacking, _SHOWN)}{also}; to update it: {update}"
        return Finding(Health.WRONG, text)
    if found.besides:
        text = f"{name} is newer than this program: it has {some(found.besides, _SHOWN)}"
        return Finding(Health.UNKNOWN, f"{text}; update this program, and the operator where it is as old")
    if found.changed:
        text = f"{name} is of another release: it differs in {some(found.changed, _SHOWN)}"
        return Finding(Health.WRONG, f"{text}; where this program is the newer of the two, update the CRD: {update}")
    return Finding(Health.FINE, f"{name} is this release's")


async def leases(client: Reader, running: Iterable[Unstructured]) -> list[Finding]:
    """Returns whether exactly one operator leads, by the Leases that are read. Raises the errors of `kube.errors`."""
    names = {operator_pods.LEASE_NAME, *(operator_pods.deployed(pod).lease_name for pod in running)}
    found = [item for item in await client.list_all(LEASE, LEASE_CODEC) if item.metadata.name in names]
    return judge_leases(found, client.server_now or datetime.now(UTC))


async def operators(client: Reader, running: Iterable[Unstructured]) -> list[Finding]:
    """Returns what is wrong with the operator's pods, and whether their metrics can be read.

    Raises the errors of `kube.errors`.
    """
    return [await _operator(client, pod) for pod in running]


async def rights(client: Reader, running: Iterable[Unstructured]) -> list[Finding]:
    """Returns which rights the ServiceAccounts of the operator's pods lack, for the settings that the pods have.

    Raises the errors of `kube.errors`.
    """
    operators = dict.fromkeys(operator_pods.deployed(pod) for pod in running)
    return [await _rights(client, one) for one in operators]


async def _rights(client: Reader, operator: Deployed) -> Finding:
    account = f"ServiceAccount {operator.account}"
    wanted = wanted_by(operator)
    try:
        missing = await missing_permissions_of(client, operator.account, wanted)
    except Forbidden:
        return _not_looked_at(f"{account}: whether it has the operator's rights", f"create {SUBJECT_ACCESS_REVIEW}")
    if not missing:
        return Finding(Health.FINE, f"{account} has the {len(wanted)} rights that the operator needs")
    shown = "; ".join(map(str, missing[:_SHOWN_RIGHTS]))
    more = f"; and {len(missing) - _SHOWN_RIGHTS} more" if len(missing) > _SHOWN_RIGHTS else ""
    return Finding(Health.WRONG, f"{account} lacks rights that the operator needs: {shown}{more}")


async def _operator(client: Reader, pod: Unstructured) -> Finding:
    name = (
        f"operator's pod {pod.metadata.key} ({operator_pods.container(pod.body).get('image', 'of an unknown image')})"
    )
    if trouble := pods.trouble(pod):
        return Finding(Health.WRONG, f"{name}: {trouble}")
    try:
        await client.get_text(operator_pods.metrics_path(pod.metadata.key))
    except Forbidden:
        place = f"in namespace {pod.metadata.namespace}"
        return _not_looked_at(f"{name} is ready; its metrics", f"get pods/proxy {place}")
    except ApiError as error:
        # Not wrong: a NetworkPolicy may let nobody there but Prometheus.
        return Finding(Health.UNKNOWN, f"{name} is ready; its metrics cannot be read through the API server: {error}")
    return Finding(Health.FINE, f"{name} is ready, its metrics can be read")


def judge_leases(leases: Iterable[LeaseObject], now: datetime) -> list[Finding]:
    """Returns whether exactly one operator leads, given every Lease of the operator's name."""
    held = [lease for lease in leases if _fresh(lease, now)]
    if not held:
        text = f"no operator leads: is it running? kubectl get pods -A -l {operator_pods.SELECTOR}"
        return [Finding(Health.WRONG, text)]
    names = ", ".join(f"{lease.spec.holder_identity} in {lease.metadata.namespace}" for lease in held)
    if len(held) > 1:
        return [Finding(Health.WRONG, f"{len(held)} operators lead at once: {names}; let each watch other namespaces")]
    return [Finding(Health.FINE, f"the operator is led by {names}")]


def _fresh(lease: LeaseObject, now: datetime) -> bool:
    if not lease.spec.holder_identity or not lease.spec.renew_time:
        return False
    try:
        renewed = datetime.fromisoformat(str(lease.spec.renew_time))
    except ValueError:
        return False
    return (now - renewed).total_seconds() < _FRESH_SECONDS


def of_snapshot(snapshot: Snapshot) -> list[Finding]:
    """Returns what could not be read, and how NATS and wadm answer the host configs."""
    found = [
        Finding(Health.UNKNOWN, f"{kind}: {why}", f"list {kind}" if why == NO_RIGHT else "")
        for kind, why in snapshot.unreadable.items()
    ]
    for pool in snapshot.pools:
        for kind, what in (("LatticeConnected", "NATS"), ("WadmConnected", "wadm")):
            entry = condition(pool, kind)
            name = f"{what} of host config {pool.metadata.key}"
            if fails(pool, kind):
                found.append(Finding(Health.WRONG, f"{name}: {entry.get('message')}"))
            elif entry.get("status") == "True":
                found.append(Finding(Health.FINE, f"{name} answers"))
            elif kind == "LatticeConnected":
                found.append(Finding(Health.UNKNOWN, f"{name}: {entry.get('message') or 'not known yet'}"))
    return found


def not_made(findings: Iterable[Finding]) -> list[str]:
    """Returns a line that names the rights for want of which checks were not made; none where all were."""
    lacking = [finding.right for finding in findings if finding.right]
    if not lacking:
        return []
    checks = "1 check was" if len(lacking) == 1 else f"{len(lacking)} checks were"
    return [f"{checks} not made, for which you lack the right to: {'; '.join(dict.fromkeys(lacking))}"]


def exit_status(findings: Sequence[Finding]) -> int:
    """Returns 1 where something is wrong, 3 where nothing is seen to be but checks were not made, else 0."""
    if any(finding.health is Health.WRONG for finding in findings):
        return 1
    return 3 if any(finding.right for finding in findings) else 0
