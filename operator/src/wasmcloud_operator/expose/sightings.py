"""The hosts of a lattice by the pod that each names, kept up by the changes that the inventory tells."""

from __future__ import annotations

from collections.abc import Iterable

from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator_types import POD_NAME_LABEL


class Sightings:
    """Which hosts name which pod, in one lattice.

    A pod whose host was seen and is not there any more has lost it; of one whose host was never seen nothing is known
    until the inventory has settled. Invariant: `_pod_of` and `_hosts` are each other's inverse.
    """

    def __init__(self, lattice: Lattice) -> None:
        self._lattice = lattice
        self._pod_of: dict[str, str] = {}
        self._hosts: dict[str, set[str]] = {}
        self._seen: set[str] = set()
        self.update(lattice.hosts.hosts)

    def __repr__(self) -> str:
        return f"<Sightings {self._lattice.name} {len(self._pod_of)} hosts>"

    def update(self, host_ids: Iterable[str]) -> set[str]:
        """Take in what the inventory says of these hosts now; gives the pods concerned, before and after."""
        concerned: set[str] = set()
        for host_id in host_ids:
            before = self._pod_of.pop(host_id, "")
            if before:
                concerned.add(before)
                hosts = self._hosts[before]
                hosts.discard(host_id)
                if not hosts:
                    del self._hosts[before]
            host = self._lattice.hosts.hosts.get(host_id)
            now = host.labels.get(POD_NAME_LABEL, "") if host is not None else ""
            if now:
                concerned.add(now)
                self._pod_of[host_id] = now
                self._hosts.setdefault(now, set()).add(host_id)
                self._seen.add(now)
        return concerned

    def hosts(self, pod: str) -> list[Host]:
        """The live hosts that name the pod."""
        alive = self._lattice.hosts.hosts
        return [alive[host_id] for host_id in sorted(self._hosts.get(pod, ())) if host_id in alive]

    def seen(self, pod: str) -> bool:
        """Whether a host that names the pod was ever seen."""
        return pod in self._seen

    def forget(self, pod: str) -> None:
        """The pod is gone for good; a host that still names it is soon gone as well."""
        self._seen.discard(pod)
