"""Which live host of a lattice runs in which pod, and which host pool that pod belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.store import Change as PodChange
from wasmcloud_operator.lattice.host_types import Change, Host
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator.names import INSTANCE_LABEL
from wasmcloud_operator.shared.context import INSTANCE_INDEX
from wasmcloud_operator_types import POD_NAME_LABEL


class Roster:
    """Live hosts by pod, kept up by what the lattices tell, so that no look-up walks through all hosts."""

    def __init__(self, pods: Informer[Pod]) -> None:
        self._pods = pods
        self._keys: dict[str, set[Key]] = {}  # of the pods, by name alone, which is all that a host tells
        self._pod_of: WeakKeyDictionary[Lattice, dict[str, str]] = WeakKeyDictionary()  # by host id
        self._hosts_in: WeakKeyDictionary[Lattice, dict[str, set[str]]] = WeakKeyDictionary()  # by pod name
        pods.on_change(self._on_pod)

    def take(self, lattice: Lattice, change: Change) -> set[Key]:
        """Take in what changed of a lattice's hosts; gives the pools concerned."""
        concerned: set[Key] = set()
        pod_of = self._pod_of.setdefault(lattice, {})
        hosts_in = self._hosts_in.setdefault(lattice, {})
        for host_id in change.hosts:
            host = lattice.hosts.hosts.get(host_id)
            pod = host.labels.get(POD_NAME_LABEL, "") if host is not None else ""
            before = pod_of.pop(host_id, "")
            if before and before != pod:
                hosts_in[before].discard(host_id)
                if not hosts_in[before]:
                    del hosts_in[before]
            if pod:
                pod_of[host_id] = pod
                hosts_in.setdefault(pod, set()).add(host_id)
            for name in {before, pod} - {""}:
                concerned.update(self.pools_of(name))
        return concerned

    def pools_of(self, pod: str) -> set[Key]:
        """The pools that have a pod of that name: one, but for a name that occurs in several namespaces."""
        held = (self._pods.store.get(key) for key in self._keys.get(pod, ()))
        return {key for item in held if item is not None for key in self.pool_of(item)}

    @staticmethod
    def pool_of(pod: Pod) -> tuple[Key, ...]:
        """The pool that a pod belongs to, if any."""
        instance = pod.metadata.labels.get(INSTANCE_LABEL, "")
        return (Key(pod.metadata.namespace, instance),) if instance else ()

    def hosts_of(self, key: Key, lattice: Lattice) -> Iterator[tuple[str, Host]]:
        """The live hosts of a pool with their pods' names, by name.

        A container that was restarted comes back as another host; the one before it is still counted as alive for a
        while, so of several hosts in a pod it is the one that was started last.
        """
        hosts_in = self._hosts_in.get(lattice, {})
        for pod in self._pods.store.by_index(INSTANCE_INDEX, key.name):
            if pod.metadata.namespace != key.namespace:
                continue
            hosts = [host for id_ in hosts_in.get(pod.metadata.name, ()) if (host := lattice.hosts.hosts.get(id_))]
            if hosts:
                yield pod.metadata.name, max(hosts, key=_age)

    def _on_pod(self, change: PodChange[Pod], _listed: bool) -> None:
        name = change.key.name
        if change.new is not None:
            self._keys.setdefault(name, set()).add(change.key)
        else:
            self._keys.get(name, set()).discard(change.key)
            if not self._keys.get(name):
                self._keys.pop(name, None)


def _age(host: Host) -> tuple[float, float, str]:
    return (host.started_at.timestamp() if host.started_at else 0.0, host.last_seen, host.id)
