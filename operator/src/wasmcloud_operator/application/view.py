"""What is known of the applications of a lattice: from wadm's list, its answers and its pushes. Asks nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from wasmcloud_operator.application.manifest import Owner, digest_of, owner_of
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.wadm_events import ManifestPublished, ManifestUnpublished, StatusPushed, WadmEvent
from wasmcloud_operator.lattice.wadm_types import ModelSummary, Status, StatusInfo, StatusType

# One lattice never has all workers: while it is slow, others go on.
_AT_ONCE = 16


@dataclass(slots=True)
class Record:
    """One application as wadm has it.

    `suspect` says that something was seen which this record does not explain: ask wadm before trusting it.
    """

    deployed: str
    """The deployed version; empty when none is."""

    newest: str
    """The version that was stored last."""

    versions: tuple[str, ...] | None = None
    """All stored versions, oldest first; None while only the list is known, which does not tell them."""

    status: Status | None = None
    """wadm's last word about the deployed version; None while there is none."""

    owner: Owner | None = None
    """Whose it is; None until it was read."""

    digest: str | None = None
    """Digest of the content that is deployed; None until it was read."""

    deployed_at: float | None = None
    """When we deployed, on the monotonic clock, as long as no push has told of the new version."""

    suspect: bool = False
    outdated: bool = False
    """Whether wadm could not list it lately, so that it is from before."""

    @property
    def certain(self) -> bool:
        """Whether it may be believed without asking wadm."""
        return not (self.suspect or self.outdated)


@dataclass(slots=True)
class View:
    """The applications of one lattice by name. Lost with the process: the next list brings it back."""

    listed: bool = False
    """Whether a list came in since the connection stands, and the next ones did: what has no record is not there."""

    list_failed: bool = False
    """Whether there is no list because wadm could not give one: then each application has to be asked for."""

    records: dict[str, Record] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    """Names that a worker has in hand: resources of one name in two namespaces must not be changed at once."""

    waiting: dict[Key, None] = field(default_factory=dict)
    """Applications that found their name in hand or the lattice with enough to do, first come first served."""

    untold: set[str] = field(default_factory=set)
    """Names whose last change wadm may have stored without being able to tell its own workers: to be asked again."""

    refused: set[Key] = field(default_factory=set)
    """Applications that wadm would not deploy as things were: any other's deploy or undeploy may change that."""

    def enter(self, key: Key) -> bool:
        """Take the application of that name in hand, `leave` must follow; else it waits, to be woken by a `leave`."""
        if key.name in self.busy or len(self.busy) >= _AT_ONCE:
            self.waiting[key] = None
            return False
        self.busy.add(key.name)
        self.waiting.pop(key, None)
        return True

    def leave(self, key: Key) -> list[Key]:
        """Done with it; gives those to be taken up now: as many as there is room for, all when none is in hand.

        One that is woken need not enter (it may be gone by then), so that the last to leave must leave none behind.
        """
        self.busy.discard(key.name)
        room = _AT_ONCE - len(self.busy) if self.busy else len(self.waiting)
        woken = list(islice((waiting for waiting in self.waiting if waiting.name not in self.busy), room))
        for waiting in woken:
            del self.waiting[waiting]
        return woken

    def lost(self) -> None:
        """The connection broke: nothing is certain until wadm lists them again, or cannot."""
        self.listed = self.list_failed = False

    def not_listed(self) -> None:
        """wadm cannot list them: what was known before counts only once it was asked for."""
        self.listed, self.list_failed = False, True
        for record in self.records.values():
            record.outdated = True

    def take_list(self, summaries: Iterable[ModelSummary]) -> set[str]:
        """Take in wadm's list; gives the names of which it says something new.

        Of what is being changed it may tell what was before: unless nothing is certain anyway, that is left out.
        """
        news = set()
        fresh = self.busy | {name for name, record in self.records.items() if record.deployed_at is not None}
        left_out = fresh if self.listed else frozenset[str]()
        listed = {summary.name: summary for summary in summaries if summary.name not in left_out}
        for name in self.records.keys() - listed.keys() - left_out:
            del self.records[name]
            news.add(name)
        for name, summary in listed.items():
            status = as_told(Status(info=summary.status, scalers=summary.scalers), summary.deployed_version)
            record = self.records.get(name)
            if record is None:
                self.records[name] = Record(summary.deployed_version, summary.version, status=status)
                news.add(name)
                continue
            record.outdated = False
            if (record.deployed, record.newest) != (summary.deployed_version, summary.version):
                record.suspect = True
                news.add(name)
            elif record.status != status and record.deployed_at is None:
                record.status = status
                news.add(name)
        self.listed, self.list_failed = True, False
        return news

    def take_event(self, event: WadmEvent) -> bool:
        """Take in a push; gives whether it says something new."""
        record = self.records.get(event.name)
        match event:
            case StatusPushed():
                if record is None:
                    return False
                told = as_told(event.status, record.deployed)
                changed = record.status != told or record.deployed_at is not None
                record.status, record.deployed_at = told, None
                return changed
            case ManifestPublished():
                if record is None:
                    self.records[event.name] = Record("", "", suspect=True)
                elif record.owner is None or (owner_of(event.manifest), digest_of(event.manifest)) != (
                    record.owner,
                    record.digest,
                ):
                    record.suspect = True
                else:
                    return False
            case ManifestUnpublished():
                awaited = any(key.name == event.name for key in self.refused)
                if record is None or not (record.deployed or awaited):
                    return False
                record.suspect = True
        return True


def as_told(status: Status, deployed: str) -> Status:
    """The status of a deployed version in one wording: without hosts wadm's list says waiting, its status undeployed.

    Else an application that waits would seem to change between a list and a poll.
    """
    waits = status.info.type in (StatusType.UNDEPLOYED, StatusType.WAITING) and not status.scalers
    return Status(info=StatusInfo(type=StatusType.WAITING)) if deployed and waits else status
