from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from testbed.ports import free_ports

TESTS = Path(__file__).parents[1]
GIVE_OUT = "import sys; from testbed.ports import free_ports; print(*free_ports(50), flush=True); sys.stdin.read()"


def test_no_two_processes_give_out_the_same_port() -> None:
    others = [
        subprocess.Popen(
            [sys.executable, "-c", GIVE_OUT], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    given = [free_ports(50)]
    for other in others:
        assert other.stdout
        given.append([int(port) for port in other.stdout.readline().split()])
    for other in others:
        other.communicate(timeout=10)
    assert all(len(ports) == 50 for ports in given)
    assert len({port for ports in given for port in ports}) == sum(map(len, given))


def test_a_port_is_not_given_out_again_soon_nor_while_somebody_listens_on_it() -> None:
    first = free_ports(2)
    assert not set(first) & {free_ports(1)[0] for _ in range(200)}
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as squatter:
        taken = squatter.getsockname()[1]
        assert taken not in {free_ports(1)[0] for _ in range(1000)}
