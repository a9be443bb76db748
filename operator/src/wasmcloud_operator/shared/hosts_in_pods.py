"""Which host of a lattice runs in which pod: one map for the status of pools, registry credentials and pod labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from weakref import WeakKeyDictionary

from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.lattice.host_types import Host, InventoryChange
from wasmcloud_operator.lattice.indexed import Grouped
from wasmcloud_operator.lattice.lattice import Lattice, LatticeEvent
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.shared.context import INSTANCE_INDEX
from wasmcloud_operator_types import POD_UID_LABEL


class HostState(Enum):
    """What is known of the host in a pod."""

    UNHEARD = auto()
    """No host was ever heard to run there."""

    LIVE = auto()
    SILENT = auto()
    """Its host was heard, and stays silent since: whether it lives is not known."""

    STOPPED = auto()
    """Its host announced its end."""


@dataclass(frozen=True, slots=True)
class PodHost:
    """The host in a pod. `host` is the live one, or the last state of a silent one; else None."""

    state: HostState
    host: Host | None = None


# Receives the pods whose hosts may be others than before. It must only enqueue.
Listener = Callable[[Lattice, frozenset[Key]], None]


class HostsInPods:
    """The map, kept up by what lattices and pods report, so that no look-up walks through all hosts.

    Hosts name their pod by its uid: pods of equal name in two namespaces, in two clusters, or one after the other, are
    different pods.
    """

    def __init__(self, pods: Informer[Pod], lattices: Lattices) -> None:
        self._pods = pods
        self._keys: dict[str, Key] = {}  # of the pods, by uid
        # By lattice: the ids of its hosts, each with the uid of the pod that the host names.
        self._of: WeakKeyDictionary[Lattice, Grouped[str, str]] = WeakKeyDictionary()
        # By uid of a pod that is there: the lattices in which its last host is gone, with that host if it is silent.
        self._gone: dict[str, WeakKeyDictionary[Lattice, Host | None]] = {}
        self._listeners: list[Listener] = []
        pods.on_change(self._on_pod)
        lattices.listen(self._on_news)

    def __repr__(self) -> str:
        return f"<HostsInPods {len(self._keys)} pods, {sum(map(len, self._of.values()))} hosts>"

    def listen(self, listener: Listener) -> None:
        """Call `listener` with the pods that a change of a lattice's hosts concerns."""
        self._listeners.append(listener)

    def pod(self, uid: str) -> Pod | None:
        """The pod of that uid, if it is one of ours."""
        key = self._keys.get(uid)
        pod = self._pods.store.get(key) if key is not None else None
        return pod if pod is not None and pod.metadata.uid == uid else None

    def uid_of_pod(self, host: Host) -> str:
        """The uid of the pod that a host's labels name, if it is one of ours; else ""."""
        uid = host.labels.get(POD_UID_LABEL, "")
        return uid if self.pod(uid) is not None else ""

    def host_in(self, pod: Pod, lattice: Lattice) -> PodHost:
        """The host in a pod.

        A container that was restarted comes back as another host, while the former host still counts as alive: of
        several the host that started last counts.
        """
        hosts, uid = self._hosts(lattice), pod.metadata.uid
        alive = lattice.hosts.hosts
        live = [alive[host_id] for host_id in hosts.keys_of(uid) if host_id in alive]
        if live:
            return PodHost(HostState.LIVE, max(live, key=_started))
        if uid in self._gone and lattice in self._gone[uid]:
            silent = self._gone[uid][lattice]
            return PodHost(HostState.STOPPED if silent is None else HostState.SILENT, silent)
        return PodHost(HostState.STOPPED if hosts.has(uid) else HostState.UNHEARD)

    def hosts_of(self, pool: Key, lattice: Lattice) -> Iterator[tuple[Pod, Host]]:
        """The live hosts of a pool with their pods, by the pods' names."""
        for pod in self.pods_of(pool):
            found = self.host_in(pod, lattice)
            if found.state is HostState.LIVE and found.host is not None:
                yield pod, found.host

    def pods_of(self, pool: Key) -> list[Pod]:
        """The pods of a pool, by name."""
        return self._pods.store.by_index(INSTANCE_INDEX, str(pool))

    def _hosts(self, lattice: Lattice) -> Grouped[str, str]:
        found = self._of.get(lattice)
        if found is None:
            found = self._of[lattice] = Grouped()
        return found

    def _on_news(self, lattice: Lattice, news: LatticeEvent) -> None:
        if isinstance(news, InventoryChange):
            uids = self._take(lattice, news)
            pods = frozenset(self._keys[uid] for uid in uids if uid in self._keys)
            if pods:
                for listener in self._listeners:
                    listener(lattice, pods)

    def _take(self, lattice: Lattice, change: InventoryChange) -> set[str]:
        """Take in what changed; returns the uids concerned, before and after."""
        hosts, concerned = self._hosts(lattice), set[str]()
        for host_id in change.hosts:
            before = hosts.pop(host_id)
            if before is not None:
                concerned.add(before)
            host = lattice.hosts.hosts.get(host_id)
            if before is not None and before in self._keys and not hosts.has(before):
                silent = change.silent.get(host_id) if host is None else None
                self._gone.setdefault(before, WeakKeyDictionary())[lattice] = silent
            uid = host.labels.get(POD_UID_LABEL, "") if host is not None else ""
            if uid:
                concerned.add(uid)
                hosts.put(host_id, uid)
                if uid in self._gone:
                    self._gone[uid].pop(lattice, None)
        return concerned

    def _on_pod(self, change: Change[Pod], _listed: bool) -> None:
        old, new = change.old, change.new
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._keys.pop(old.metadata.uid, None)
            self._gone.pop(old.metadata.uid, None)
        if new is not None:
            self._keys[new.metadata.uid] = new.metadata.key


def _started(host: Host) -> tuple[bool, float, float, str]:
    """Orders hosts by their start; a host without a known start has only announced itself, so it is the latest."""
    started = host.started_at.timestamp() if host.started_at is not None else 0.0
    return host.started_at is None, started, host.last_seen, host.id
