"""The status of an Application, from what was found out about it.

`phase` and the conditions always agree: Deployed and Undeployed are Ready, Failed is Stalled, Reconciling is
Reconciling (kstatus: Current, Failed, InProgress). While the lattice cannot be asked, the last phase stays with Ready
Unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wasmcloud_operator.application.lattice_choice import NotChosen
from wasmcloud_operator.base.jsontypes import JsonObject, as_objects
from wasmcloud_operator.kube.conditions import Condition, progressing, ready, stalled
from wasmcloud_operator.lattice.content import Owner
from wasmcloud_operator.lattice.ledger import Entry
from wasmcloud_operator.lattice.ledger_writer import Step
from wasmcloud_operator.lattice.wadm_types import AppStatus, StatusType
from wasmcloud_operator.manifest.reading import ManifestProblem
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator_types.application import Phase

# Fields that are found out in the lattice: they stay as they were while it cannot be asked.
FOUND_OUT = (
    "lattice",
    "latticeId",
    "hostConfig",
    "leaving",
    "deployedVersion",
    "contentDigest",
    "versions",
    "wadm",
    "scalers",
)

_SHOWN_PROBLEMS = 20
# A status is no place for megabytes: of 500 scalers' messages each is cut.
_MESSAGE_LIMIT = 4096
_SCALER_MESSAGE_LIMIT = 256

CONNECTED = Condition("LatticeConnected", "True", Reason.CONNECTED)
_SYNCED = Condition("Synced", "True", Reason.SYNCED, "wadm has this manifest")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an application stands."""

    phase: Phase | None
    """None: as it was last known."""

    conditions: tuple[Condition, ...]
    message: str

    @property
    def stalled(self) -> bool:
        """Whether only a user can go on from here."""
        return any(condition.type == "Stalled" and condition.status == "True" for condition in self.conditions)

    @property
    def reason(self) -> str:
        """The reason of the condition Ready."""
        return next(condition.reason for condition in self.conditions if condition.type == "Ready")


def invalid(problems: Iterable[ManifestProblem]) -> Verdict:
    """A manifest that wadm would not take. What already runs is left alone."""
    return _failed(Reason.INVALID_MANIFEST, problems_text(problems))


def conflict(owner: Owner, lattice: str) -> Verdict:
    """The name is taken in the lattice."""
    message = f"the application belongs to {owner}; names are unique in lattice {lattice}: rename one of the two"
    return _failed(Reason.CONFLICT, message, CONNECTED)


def rejected(step: Step, message: str) -> Verdict:
    """wadm refused a step: Put or Deploy."""
    return _failed(Reason(f"{step}Rejected"), f"wadm: {message}", CONNECTED)


def no_lattice(why: NotChosen) -> Verdict:
    """There is no lattice to run it in."""
    connected = Condition("LatticeConnected", "Unknown", why.reason)
    if why.stalled:
        return _failed(why.reason, why.message, connected)
    return _pending(None, why.reason, why.message, connected)


def out_of_reach(reason: str, message: str) -> Verdict:
    """NATS or wadm cannot be asked now."""
    return _pending(None, reason, message, Condition("LatticeConnected", "False", reason, message))


def failing(message: str) -> Verdict:
    """Something of ours went wrong; it is tried again."""
    return _pending(
        None, Reason.RECONCILE_FAILED, message, Condition("LatticeConnected", "Unknown", Reason.RECONCILE_FAILED)
    )


def placed(version: str) -> Verdict:
    """About to be put into a lattice that it was not in before."""
    return _pending("Reconciling", Reason.DEPLOYING, f"wadm gets version {version}", CONNECTED)


def undeployed() -> Verdict:
    """Not run, as its annotation asks."""
    message = "not deployed, as the annotation k8s.wasmcloud.dev/undeploy asks"
    return Verdict("Undeployed", (*ready(Reason.UNDEPLOYED, message), _SYNCED, CONNECTED), message)


def running(record: Entry, unscaled: Sequence[str] = ()) -> Verdict:
    """Deployed; how it does is wadm's last status. `unscaled` are components that no trait has wadm start."""
    if record.deploying is not None or record.status is None:
        return _pending("Reconciling", Reason.DEPLOYING, f"wadm deploys version {record.deployed}", CONNECTED, _SYNCED)
    kind, message = record.status.info.type, record.status.info.message
    match kind:
        case StatusType.DEPLOYED:
            text = message or f"version {record.deployed} is deployed{_without(unscaled)}"
            return Verdict("Deployed", (*ready(Reason.DEPLOYED, text), _SYNCED, CONNECTED), text)
        case StatusType.FAILED | StatusType.UNHEALTHY:
            text = message or f"wadm reports version {record.deployed} as {kind}; see .status.scalers"
            return Verdict("Failed", (*stalled(kind.capitalize(), text), _SYNCED, CONNECTED), text)
        case StatusType.WAITING | StatusType.UNDEPLOYED:
            text = message or f"{_waits(record)}{_without(unscaled)}"
            return _pending("Reconciling", Reason.WAITING, text, CONNECTED, _SYNCED)
        case _:
            text = message or f"wadm reports version {record.deployed} as {kind}"
            return _pending("Reconciling", kind.capitalize(), text, CONNECTED, _SYNCED)


def is_deploying(shown: JsonObject) -> bool:
    """Whether a status was written while no status of the deployed version was known."""
    entries = as_objects(shown.get("conditions"))
    return any(entry.get("type") == "Ready" and entry.get("reason") == Reason.DEPLOYING for entry in entries)


def fields(record: Entry) -> JsonObject:
    """The status fields from wadm's record, next to phase and conditions."""
    shown: JsonObject = {}
    if record.deployed:
        shown["deployedVersion"] = record.deployed
    if record.digest:
        shown["contentDigest"] = record.digest
    if record.versions is not None:
        shown["versions"] = list(record.versions)
    if record.status is not None:
        shown |= _wadm_status(record.status)
    return shown


def problems_text(problems: Iterable[ManifestProblem]) -> str:
    """The problems in one text, the first twenty in full."""
    listed = list(problems)
    shown = [str(problem) for problem in listed[:_SHOWN_PROBLEMS]]
    more = len(listed) - len(shown)
    return _cut("; ".join([*shown, f"and {more} more"] if more else shown), _MESSAGE_LIMIT)


def _wadm_status(status: AppStatus) -> JsonObject:
    shown: JsonObject = {"wadm": {"type": status.info.type.value}}
    if status.info.message:
        shown["wadm"]["message"] = status.info.message
    scalers = []
    for scaler in status.scalers:
        entry = {"kind": scaler.kind, "name": scaler.name, "status": scaler.info.type.value}
        if scaler.info.message:
            entry["message"] = _cut(scaler.info.message, _SCALER_MESSAGE_LIMIT)
        scalers.append(entry)
    if scalers:
        shown["scalers"] = scalers
    return shown


def _waits(record: Entry) -> str:
    if record.repeats:
        times = record.repeats + 1
        return f"wadm does nothing about version {record.deployed}, deployed {times} times: see its log, or restart it"
    return f"version {record.deployed} waits for hosts"


def _without(unscaled: Sequence[str]) -> str:
    if not unscaled:
        return ""
    return f"; {', '.join(unscaled)}: no spreadscaler or daemonscaler, so wadm starts no instance"


def _failed(reason: str, message: str, connected: Condition | None = None) -> Verdict:
    message = _cut(message, _MESSAGE_LIMIT)
    not_synced = Condition("Synced", "False", reason, message)
    return Verdict("Failed", (*stalled(reason, message), not_synced, *((connected,) if connected else ())), message)


def _pending(phase: Phase | None, reason: str, message: str, *more: Condition) -> Verdict:
    synced = () if any(condition.type == "Synced" for condition in more) else (_not_known(reason),)
    return Verdict(phase, (*progressing(reason, message), *synced, *more), message)


def _not_known(reason: str) -> Condition:
    return Condition("Synced", "Unknown", reason)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
