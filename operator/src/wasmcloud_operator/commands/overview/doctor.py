"""`kubectl wasmcloud doctor`: what the operator's own start-up looks at, from outside and with the user's rights."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import click

from wasmcloud_operator.application.coexistence import crd_state
from wasmcloud_operator.commands.overview import operator_pods, pods
from wasmcloud_operator.commands.overview.operator_pods import Deployed
from wasmcloud_operator.commands.overview.screens import Screen
from wasmcloud_operator.commands.overview.snapshot import Snapshot, condition, fails, take
from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.access import missing_permissions_of, server_version, serves
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import ApiError, Forbidden
from wasmcloud_operator.kube.lease import LEASE_CODEC, LeaseObject
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import LEASE, POD
from wasmcloud_operator.preflight import OLDEST_MINOR, wanted_by

# A leader renews every two seconds; this is how old its Lease may look through a slow connection.
_FRESH_SECONDS = 30.0
_CLOCK_SECONDS = 5.0
_SHOWN_RIGHTS = 10


class Health(Enum):
    """How one thing was found; the value is what is printed before it."""

    FINE = "ok"
    WRONG = "!!"
    UNKNOWN = "??"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and what to do where it failed."""

    health: Health
    text: str

    def __str__(self) -> str:
        return f"{self.health.value}  {self.text}"


def doctor_screen(namespace: str) -> Screen:
    """Returns the screen of `doctor`: a line for each thing that was looked at."""

    async def screen(client: Reader) -> int:
        findings = await examine(client, await take(client, namespace))
        click.echo("\n".join(map(str, findings)))
        return worst(findings)

    return screen


async def examine(client: Reader, snapshot: Snapshot) -> list[Finding]:
    """Looks at the server, the CRDs, the operator's Lease, pods and rights, and NATS and wadm as it sees them.

    What the user has no right to read is UNKNOWN. Raises the errors of `kube.errors` where nothing can be read.
    """
    checks: tuple[Callable[[Reader], Awaitable[list[Finding]]], ...] = (server, kinds, leases, operators, rights)
    found = [finding for check in checks for finding in await _unless_forbidden(check, client)]
    return list(dict.fromkeys([*found, *of_snapshot(snapshot)]))  # several need the same right


async def _unless_forbidden(check: Callable[[Reader], Awaitable[list[Finding]]], client: Reader) -> list[Finding]:
    try:
        return await check(client)
    except Forbidden as error:
        return [Finding(Health.UNKNOWN, str(error))]


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
    text = "is served" if installed else "is not installed: kubectl apply --server-side -f manifests/crds"
    found = [Finding(Health.FINE if installed else Health.WRONG, f"{HOST_CONFIG} {text}")]
    state = await crd_state(client)
    ours = state.served_by == "ours"
    note = state.note or f"served by: {state.served_by}"
    return [*found, Finding(Health.FINE if ours else Health.WRONG, f"applications.core.oam.dev: {note}")]


async def leases(client: Reader) -> list[Finding]:
    """Returns whether exactly one operator leads, by the Leases that are read. Raises the errors of `kube.errors`."""
    names = {operator_pods.LEASE_NAME}
    with contextlib.suppress(Forbidden):
        names |= {operator_pods.deployed(pod).lease_name for pod in await _operator_pods(client)}
    found = [item for item in await client.list_all(LEASE, LEASE_CODEC) if item.metadata.name in names]
    return judge_leases(found, client.server_now or datetime.now(UTC))


async def operators(client: Reader) -> list[Finding]:
    """Returns what is wrong with the operator's pods, and whether their metrics can be read.

    Raises the errors of `kube.errors`.
    """
    return [await _operator(client, pod) for pod in await _operator_pods(client)]


async def _operator_pods(client: Reader) -> list[Unstructured]:
    found = await client.list_all(POD, UNSTRUCTURED, selector=operator_pods.SELECTOR)
    return [pod for pod in found if not pod.metadata.deleting]


async def rights(client: Reader) -> list[Finding]:
    """Returns which rights the ServiceAccounts of the operator's pods lack, for the settings that the pods have.

    Raises the errors of `kube.errors`.
    """
    operators = dict.fromkeys(operator_pods.deployed(pod) for pod in await _operator_pods(client))
    return [await _rights(client, one) for one in operators]


async def _rights(client: Reader, operator: Deployed) -> Finding:
    account = f"ServiceAccount {operator.account}"
    wanted = wanted_by(operator)
    try:
        missing = await missing_permissions_of(client, operator.account, wanted)
    except Forbidden:
        text = "whether it has the operator's rights cannot be looked at: you have no right to create"
        return Finding(Health.UNKNOWN, f"{account}: {text} subjectaccessreviews.authorization.k8s.io")
    if not missing:
        return Finding(Health.FINE, f"{account} has the {len(wanted)} rights that the operator needs")
    shown = "; ".join(map(str, missing[:_SHOWN_RIGHTS]))
    more = f"; and {len(missing) - _SHOWN_RIGHTS} more" if len(missing) > _SHOWN_RIGHTS else ""
    return Finding(Health.WRONG, f"{account} lacks rights that the operator needs: {shown}{more}")


async def _operator(client: Reader, pod: Unstructured) -> Finding:
    name = f"operator's pod {pod.metadata.key} ({operator_pods.container(pod).get('image', 'of an unknown image')})"
    if trouble := pods.trouble(pod):
        return Finding(Health.WRONG, f"{name}: {trouble}")
    try:
        await client.get_text(operator_pods.metrics_path(pod.metadata.key))
    except ApiError as error:
        # Not wrong: a NetworkPolicy may let nobody there but Prometheus.
        return Finding(Health.UNKNOWN, f"{name} is ready; its metrics cannot be read through the API server: {error}")
    return Finding(Health.FINE, f"{name} is ready, its metrics can be read")


def judge_leases(leases: Iterable[LeaseObject], now: datetime) -> list[Finding]:
    """Returns whether exactly one operator leads, given every Lease of the operator's name."""
    held = [lease for lease in leases if _fresh(lease, now)]
    if not held:
        text = "no operator leads: is it running? kubectl get pods -A -l app.kubernetes.io/name=wasmcloud-operator"
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
    found = [Finding(Health.UNKNOWN, f"{kind}: {why}") for kind, why in snapshot.unreadable.items()]
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


def worst(findings: Iterable[Finding]) -> int:
    """Returns the exit status: 1 where something is wrong, else 0."""
    return int(any(finding.health is Health.WRONG for finding in findings))
