"""For tests: NATS, wadm and hosts that play a script, and a host without a runtime for a real NATS.

In memory: `ScriptedNetwork` has servers by address (`ScriptedNats`), and makes the clients that `Lattices` and
`ConnectionPool` take as `new_client`. On a server, `ScriptedWadm` keeps applications and answers wadm's API, and
`ScriptedHost` runs what it places. They stop, fall silent, lose answers and forget. None of it replaces the real ones:
it has no JetStream, no accounts and no permissions, and of wadm's scalers only what the operator sees.

Over the wire: `LatticeHost` is all that a lattice sees of a wasmCloud host, for a real nats-server and a real wadm.
"""

from wasmcloud_operator.lattice.testing.host import HTTP_SERVER, LatticeHost, SharedLattice, flushed, new_host_id
from wasmcloud_operator.lattice.testing.nats import (
    ScriptedClient,
    ScriptedMessage,
    ScriptedNats,
    ScriptedNetwork,
    ScriptedSubscription,
)
from wasmcloud_operator.lattice.testing.scripted_host import ScriptedHost
from wasmcloud_operator.lattice.testing.wadm import ScriptedModel, ScriptedWadm, component_id

__all__ = [
    "HTTP_SERVER",
    "LatticeHost",
    "ScriptedClient",
    "ScriptedHost",
    "ScriptedMessage",
    "ScriptedModel",
    "ScriptedNats",
    "ScriptedNetwork",
    "ScriptedSubscription",
    "ScriptedWadm",
    "SharedLattice",
    "component_id",
    "flushed",
    "new_host_id",
]
