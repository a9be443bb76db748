"""Free loopback ports that stay ours."""

from __future__ import annotations

import random
import socket

# Below the range of outgoing ports, so that a stopped component finds its port free when it comes back.
_RANGE = range(18000, 29999)
_random = random.SystemRandom()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """`count` different TCP ports that nobody listens on now; whoever uses them retries when somebody was faster."""
    found: list[int] = []
    for port in _random.sample(_RANGE, len(_RANGE)):
        if len(found) == count:
            break
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        found.append(port)
    if len(found) < count:
        raise RuntimeError(f"{count} free ports wanted, {len(found)} found in {_RANGE.start}-{_RANGE.stop - 1}")
    return found
