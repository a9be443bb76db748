"""What wadm has in one lattice: lists, pushes and the answers to changes come in here, and everybody asks here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from itertools import islice
from types import MappingProxyType
from typing import Literal

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.lattice.content import Content, Owner, digest_of, owner_of
from wasmcloud_operator.lattice.decision import names_of
from wasmcloud_operator.lattice.deploying import Deploying, begun_before
from wasmcloud_operator.lattice.room import Room, StatusRoom
from wasmcloud_operator.lattice.wadm_events import ManifestPublished, ManifestUnpublished, StatusPushed, WadmEvent
from wasmcloud_operator.lattice.wadm_types import LISTED_LIMIT, AppStatus, ModelSummary, StatusInfo, StatusType

# One lattice never has all workers: while it is slow, others go on.
_AT_ONCE = 16

# How long wadm may take to report a new version, before that was measured, and at most.
SETTLE_SECONDS = 5.0
_LONGEST_LAG = 60.0
_MARGIN = 1.5

# When a version without a scaler is deployed once more, in seconds since wadm was seen to have none; then no more.
# A wadm that is only busy gets to it by itself sooner than this, and is spared one more deploy.
_REPEAT_AFTER = (20.0, 60.0, 180.0)

Wake = Callable[[], None]

# Why wadm was asked: the connection came up or lost messages, the time had come, or something was pushed.
Occasion = Literal["connection", "resync", "pushes"]


class Stale(StrEnum):
    """Why wadm has to be asked before what is known of an application is believed."""

    ANSWER_LOST = "a change went unanswered: it may have been done"
    CHANGED = "wadm published something that is not known here"
    NOT_LISTED = "wadm could not list it lately"


class ListState(Enum):
    """What is known of the applications as a whole."""

    AWAITED = "the first list since the connection stands has not come yet"
    CURRENT = "what has no entry is not there"
    FAILED = "wadm could not give a list: each application has to be asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One application as wadm has it."""

    deployed: str
    """The deployed version; empty when none is."""

    newest: str
    """The version that was stored last."""

    versions: tuple[str, ...] | None = None
    """All stored versions, oldest first; None while only the list is known, which does not have them."""

    status: AppStatus | None = None
    """wadm's last word about the deployed version; None while there is none."""

    owner: Owner | None = None
    """Whose it is; None until it was read."""

    digest: str | None = None
    """Digest of the content that is deployed (or was stored last, where none is); None until it was read."""

    deploying: Deploying | None = None
    idle_since: float | None = None
    """Since when, in monotonic seconds, wadm has it deployed without a scaler; None while it has some."""

    repeats: int = 0
    """How often this version was deployed once more since."""

    stale: Stale | None = None
    as_of: float = 0.0
    """When wadm last confirmed it, in monotonic seconds."""

    @property
    def certain(self) -> bool:
        """Whether it may be believed without asking wadm."""
        return self.stale is None

    @property
    def repeat_at(self) -> float | None:
        """When to deploy the version once more if hosts are there, in monotonic seconds; None for never.

        wadm notes a version as deployed first and then publishes an event to its own workers. In the first moments of a
        new wadm NATS loses events, and nothing in wadm ever looks again. Where hosts are there, a version that was
        worked on has scalers.
        """
        if self.idle_since is None or self.repeats >= len(_REPEAT_AFTER):
            return None
        return self.idle_since + _REPEAT_AFTER[self.repeats]

    def holds(self, content: Content, me: Owner, *, deployed: bool) -> bool:
        """Whether by this the content is stored and (not) deployed already, and is ours."""
        if not self.certain or not me.is_same(self.owner) or self.digest != content.digest:
            return False
        return (self.deployed if deployed else self.newest) in names_of(content) and bool(self.deployed) is deployed


@dataclass(frozen=True, slots=True)
class AppsListed:
    """wadm has listed its applications."""

    changed: bool
    """Whether they are others, or in another state, than in the list before."""

    occasion: Occasion
    """A list because of pushes may find wadm in the midst of things."""

    news: frozenset[str] = frozenset()
    """The applications of which an entry changed."""

    anew: bool = False
    """Whether what has no entry was not known to be absent before."""


@dataclass(frozen=True, slots=True)
class AppsNotListed:
    """wadm did not list its applications: at once of a new connection, else after some attempts; emitted once."""


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """A push changed an application's entry."""

    name: str


class Ledger:
    """The applications of one lattice by name. Lost with the process: the next list brings it back.

    Changes are made by `LedgerWriter` alone, which takes an application in hand by `acquire`.
    """

    def __init__(self, lattice: str, *, clock: Clock, room: Room | None = None) -> None:
        self._lattice = lattice
        self._statuses = StatusRoom(room or Room())
        self._clock = clock
        self._listing = ListState.AWAITED
        self._listed: tuple[ModelSummary, ...] | None = None
        self._deployed_versions: Mapping[str, str] = MappingProxyType({})
        self._entries: dict[str, Entry] = {}
        self._unconfirmed: set[str] = set()
        self._in_progress: set[str] = set()
        self._waiting: dict[Hashable, tuple[str, Wake]] = {}  # first come first served
        self._lags: deque[tuple[float, float]] = deque(maxlen=_AT_ONCE)  # when a new version was reported, and how late

    def __repr__(self) -> str:
        return f"<Ledger {self._lattice} {len(self._entries)} applications, {self._listing.name}>"

    # --- what is known ------------------------------------------------------------------------------------------------

    @property
    def listing(self) -> ListState:
        """Whether what has no entry is known to be absent, and else why not."""
        return self._listing

    @property
    def current(self) -> bool:
        """Whether wadm has listed since the connection stands, and still does."""
        return self._listing is ListState.CURRENT

    @property
    def listed(self) -> tuple[ModelSummary, ...] | None:
        """wadm's last list, by name; None before it has answered once."""
        return self._listed

    @property
    def deployed_versions(self) -> Mapping[str, str]:
        """What is deployed by that list, with its versions; empty before wadm has answered once."""
        return self._deployed_versions

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All that is known, by name."""
        return MappingProxyType(self._entries)

    def entry(self, name: str) -> Entry | None:
        """What is known of an application."""
        return self._entries.get(name)

    def deployed(self, name: str) -> str | None:
        """The deployed version, "" when none is; None when wadm has to be asked."""
        entry = self._entries.get(name)
        if entry is None:
            return "" if self.current else None
        return entry.deployed if entry.certain else None

    def status(self, name: str) -> AppStatus | None:
        """wadm's word about the deployed version, if one is known to be about that."""
        entry = self._entries.get(name)
        return entry.status if entry is not None and entry.deploying is None else None

    def is_unconfirmed(self, name: str) -> bool:
        """Whether wadm may have stored a change without being able to reach its own workers: it has to be repeated."""
        return name in self._unconfirmed

    @property
    def lag(self) -> float:
        """Seconds after which this wadm has surely pushed a new version's status: measured where it could be."""
        now = self._clock.monotonic()
        late = [late for at, late in self._lags if now - at < 2 * _LONGEST_LAG]
        late += [
            now - entry.deploying.since
            for entry in self._entries.values()
            if entry.deploying is not None and entry.deploying.shows_lag
        ]
        return min(max([SETTLE_SECONDS, *(_MARGIN * seconds for seconds in late)]), _LONGEST_LAG)

    # --- turns --------------------------------------------------------------------------------------------------------

    def acquire(self, name: str, *, waiter: Hashable, wake: Wake) -> bool:
        """Take the application of that name in hand, `release` must follow; else have `wake` called by a `release`."""
        if name in self._in_progress or len(self._in_progress) >= _AT_ONCE:
            self._waiting[waiter] = name, wake
            return False
        self._in_progress.add(name)
        self._waiting.pop(waiter, None)
        return True

    def release(self, name: str) -> None:
        """Done with it; wakes those to be taken up now: as many as there is room for, all when none is in hand.

        One that is woken need not acquire (it may be gone by then), so that the last to leave must leave none behind.
        """
        self._in_progress.discard(name)
        room = _AT_ONCE - len(self._in_progress) if self._in_progress else len(self._waiting)
        ready = (waiter for waiter, (wanted, _) in self._waiting.items() if wanted not in self._in_progress)
        for waiter in list(islice(ready, room)):
            _, wake = self._waiting.pop(waiter)
            wake()

    # --- lists and pushes ---------------------------------------------------------------------------------------------

    def lost(self) -> None:
        """The connection broke: nothing is certain until wadm lists them again, or cannot."""
        self._listing = ListState.AWAITED

    def not_listed(self) -> None:
        """wadm cannot list them: what was known before counts only once it was asked for."""
        self._listing = ListState.FAILED
        for name, entry in self._entries.items():
            self._entries[name] = replace(entry, stale=entry.stale or Stale.NOT_LISTED)

    def take_list(self, summaries: Iterable[ModelSummary], occasion: Occasion) -> AppsListed:
        """Take in wadm's list.

        Of what is being changed it may have what was before: unless nothing is certain anyway, that is left out. What
        it lists because of pushes is known from those already.
        """
        apps = tuple(sorted(summaries, key=lambda app: app.name))
        changed, anew = apps != self._listed, not self.current
        if changed:
            self._listed = apps
            self._deployed_versions = {app.name: app.deployed_version for app in apps if app.deployed_version}
        news = self._take_entries(apps) if anew or occasion != "pushes" else frozenset[str]()
        self._listing = ListState.CURRENT
        return AppsListed(changed, occasion, news, anew)

    def _take_entries(self, apps: Iterable[ModelSummary]) -> frozenset[str]:
        fresh = self._in_progress | {name for name, entry in self._entries.items() if entry.deploying is not None}
        left_out = fresh if self.current else frozenset[str]()
        listed = {app.name: app for app in apps if app.name not in left_out}
        news = self._entries.keys() - listed.keys() - left_out
        for name in news:
            del self._entries[name]
        for name, app in listed.items():
            before = self._entries.get(name)
            now = self._entries[name] = self._with_summary(before, app)
            explained = before is not None and (before.deployed, before.newest) == (app.deployed_version, app.version)
            if before is None or not explained or before.status != now.status:
                news.add(name)
        return frozenset(news)

    def _with_summary(self, entry: Entry | None, app: ModelSummary) -> Entry:
        status = in_one_wording(AppStatus(info=app.status, scalers=app.scalers), app.deployed_version)
        now = self._clock.monotonic()
        if entry is None:
            entry = Entry(deployed=app.deployed_version, newest=app.version, as_of=now)
            return self._with_status(app.name, entry, status)
        if (entry.deployed, entry.newest) != (app.deployed_version, app.version):
            return replace(entry, stale=Stale.CHANGED)
        stale = None if entry.stale is Stale.NOT_LISTED else entry.stale
        return replace(self._with_status(app.name, entry, status), stale=stale, as_of=now)

    def take_event(self, event: WadmEvent) -> bool:
        """Take in a push. Returns whether it changed something."""
        entry = self._entries.get(event.name)
        match event:
            case StatusPushed(status=status):
                if entry is None:
                    return False
                changed = self._with_status(event.name, entry, in_one_wording(status, entry.deployed))
                self._entries[event.name] = replace(changed, as_of=self._clock.monotonic())
                return changed != entry
            case ManifestPublished(manifest=manifest):
                if entry is None and len(self._entries) >= LISTED_LIMIT:
                    self.lost()  # what has no entry is not known to be absent, until the next list
                    return True
                if entry is None:
                    self._entries[event.name] = Entry(deployed="", newest="", stale=Stale.CHANGED)
                    return True
                owner = owner_of(manifest)
                known = owner is not None and owner.is_same(entry.owner) and digest_of(manifest) == entry.digest
                return not known and self._make_stale(event.name)
            case ManifestUnpublished():
                # Of what was not deployed only those want to know in whose way it stood.
                return entry is not None and self._make_stale(event.name) and bool(entry.deployed)

    def _make_stale(self, name: str) -> bool:
        self._entries[name] = replace(self._entries[name], stale=Stale.CHANGED)
        return True

    def _with_status(self, name: str, entry: Entry, status: AppStatus) -> Entry:
        """The entry after a status; of a version that was just deployed only what is known to be about that counts."""
        now = self._clock.monotonic()
        status = self._statuses.fitted(name, status, self._entries)
        if not _is_idle(entry.deployed, status):
            entry = replace(entry, idle_since=None)
        elif entry.idle_since is None:
            entry = replace(entry, idle_since=now)
        if entry.deploying is None:
            return replace(entry, status=status)
        shown = entry.deploying.is_shown_by(status)
        waited = now - entry.deploying.since
        if shown and entry.deploying.shows_lag:
            self._lags.append((now, waited))
        over = waited >= (_LONGEST_LAG if shown is False else self.lag)
        return replace(entry, status=status, deploying=None) if shown or over else entry

    # --- changes, by LedgerWriter -------------------------------------------------------------------------------------

    def record(self, name: str, entry: Entry) -> Entry:
        """Take in what wadm was read to have, or was made to have."""
        self._entries[name] = entry = replace(entry, as_of=self._clock.monotonic())
        return entry

    def answered(self, name: str, status: AppStatus) -> Entry:
        """Take in the status that was asked for."""
        entry = self._entries[name]
        return self.record(name, self._with_status(name, entry, in_one_wording(status, entry.deployed)))

    def remove(self, name: str) -> None:
        """It is not there any more."""
        self._entries.pop(name, None)

    def doubt(self, name: str) -> None:
        """A change went unanswered: have wadm asked before anything that is known of the application is believed."""
        self._entries[name] = replace(self._entries.get(name, Entry(deployed="", newest="")), stale=Stale.ANSWER_LOST)

    def unconfirmed(self, name: str, is_so: bool) -> None:
        """Whether wadm stored a change that its own workers did not hear of."""
        (self._unconfirmed.add if is_so else self._unconfirmed.discard)(name)

    def remember(
        self, name: str, content: Content, me: Owner, *, version: object, digest: object, deploying: bool
    ) -> None:
        """Take what an earlier life wrote for what is not known of an entry, if it fits.

        It was read from wadm before it was written, and ownership cannot pass on while the entry stays as it is.
        `deploying`: the earlier life still waited for a status of that version.
        """
        entry = self._entries.get(name)
        if entry is None or entry.owner is not None or not entry.deployed:
            return
        if entry.deployed == version and digest == content.digest:
            begun = begun_before(self._clock.monotonic(), entry.status) if deploying else entry.deploying
            self._entries[name] = replace(entry, owner=me, digest=content.digest, deploying=begun)


def in_one_wording(status: AppStatus, deployed: str) -> AppStatus:
    """The status of a deployed version in one wording: without hosts wadm's list has waiting, its status undeployed.

    Else an application that waits would seem to change between a list and a poll.
    """
    return AppStatus(info=StatusInfo(type=StatusType.WAITING)) if _is_idle(deployed, status) else status


def _is_idle(deployed: str, status: AppStatus) -> bool:
    waits = status.info.type in (StatusType.UNDEPLOYED, StatusType.WAITING)
    return bool(deployed) and waits and not status.scalers
