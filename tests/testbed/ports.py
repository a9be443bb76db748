"""Free loopback ports that stay ours."""

from __future__ import annotations

import functools
import itertools
import random
import socket
from collections.abc import Iterator

# Below the range of outgoing ports, so that a stopped component finds its port free when it comes back.
_RANGE = range(18000, 30000)
_BLOCK = 300
_claims: list[socket.socket] = []  # a block is claimed by its first port, which stays bound until the process ends


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """`count` different TCP ports that nobody listens on now and that no other process of the testbed gives out.

    The same port comes again only after the hundreds of others in the process's block, so one that is not used at once
    stays free. Whoever listens on them retries where a stranger was faster. RuntimeError where there are not as many.
    """
    ports = _ports_of_this_process()
    found = list(
        itertools.islice((port for port in itertools.islice(ports, _BLOCK - 1) if _is_free(port, host)), count)
    )
    if len(found) < count:
        raise RuntimeError(
            f"{count} free ports wanted, {len(found)} found in {_BLOCK} of {_RANGE.start}-{_RANGE.stop - 1}"
        )
    return found


@functools.cache
def _ports_of_this_process() -> Iterator[int]:
    """The ports of a block that is this process's for its lifetime, over and over."""
    starts = _RANGE[::_BLOCK]
    for start in random.SystemRandom().sample(starts, len(starts)):
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind(("127.0.0.1", start))
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return itertools.cycle(range(start + 1, start + _BLOCK))
    raise RuntimeError(
        f"no free block of {_BLOCK} ports in {_RANGE.start}-{_RANGE.stop - 1}: stop other runs of the tests"
    )


def _is_free(port: int, host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
