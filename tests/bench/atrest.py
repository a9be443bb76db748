"""When a bench may begin to measure: nobody is at work any more on what went before."""

from __future__ import annotations

import asyncio

from support.operators.process import USER_AGENT
from testbed import ControlPlane

_IDLE = 0.2  # of a core: what the control plane takes for itself is less


async def at_rest(cluster: ControlPlane, *, quiet: float = 5, timeout: float = 180) -> None:
    """Until for `quiet` seconds the operator has written nothing and the control plane has had next to nothing to do.

    Raises TimeoutError after `timeout` seconds.
    """
    audit = cluster.audit
    assert audit is not None
    async with asyncio.timeout(timeout):
        while True:
            busy = _cpu_seconds(cluster)
            with audit.counting(user_agent=USER_AGENT) as counter:
                await asyncio.sleep(quiet)  # the stretch that is looked at
            if not counter.writes and _cpu_seconds(cluster) - busy < _IDLE * quiet:
                return


def _cpu_seconds(cluster: ControlPlane) -> float:
    return sum(server.id.cpu_seconds for server in cluster.servers if server.id)
