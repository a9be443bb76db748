"""What wadm is to run on a host: asked by the readiness of pods, answered by who reads the manifests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.lattice import Lattice


@dataclass(frozen=True, slots=True)
class PlacementGap:
    """What wadm places on a host to serve HTTP and does not run there (yet), as application/id: providers and what they
    lead to.

    `known` is False while not all that is deployed has been read, `awaited` is whether it soon may be: wadm answers.
    """

    missing: tuple[str, ...] = ()
    known: bool = True
    awaited: bool = True


def _nothing_is_placed(lattice: Lattice, host: Host) -> PlacementGap:
    del lattice, host
    return PlacementGap()


@dataclass(slots=True)
class PlacementGaps:
    """Where to ask. Nothing is expected of hosts as long as nobody reads manifests (Services are switched off)."""

    on: Callable[[Lattice, Host], PlacementGap] = field(default=_nothing_is_placed)
