from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.ports import free_ports
from testbed.process import ComponentFailed, PortTaken, ProcessId, Server, start_on_free_ports
from testbed.waiting import eventually

TESTS = Path(__file__).parents[1]
# listens on a port until it is stopped, and says so in its log when it cannot
LISTENER = """
import socket, sys
try:
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
except OSError as error:
    sys.exit(f"{error.strerror.lower()}")
while True:
    server.accept()[0].sendall(b"here")
"""


def listener(folder: Path, port: int) -> Server:
    async def ready() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"here"

    return Server("listener", [sys.executable, "-c", LISTENER, str(port)], log=folder / "log", ready=ready)


async def test_starts_restarts_and_stops(tmp_path: Path) -> None:
    server = listener(tmp_path, free_ports(1)[0])
    await server.start()
    first = server.id
    assert first
    assert first.alive
    await server.restart()
    assert server.id
    assert server.id != first
    assert not first.alive
    await server.stop()
    assert server.id is None
    assert not server.running


async def test_a_paused_server_can_be_stopped_in_good_order(tmp_path: Path) -> None:
    server = listener(tmp_path, free_ports(1)[0])
    await server.start()
    assert server.id
    stat = Path(f"/proc/{server.id.pid}/stat")
    server.pause()
    await eventually(lambda: stat.read_text().split()[2] == "T", message="stopped by the signal")
    server.resume()
    await eventually(lambda: stat.read_text().split()[2] in "RS", message="running again")
    server.pause()
    await server.stop()
    assert not server.running


async def test_a_server_that_ends_shows_the_end_of_its_log(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    script = "print('no such flag: --frobnicate', flush=True); raise SystemExit(3)"
    server = Server("picky", [sys.executable, "-c", script], log=tmp_path / "log", ready=never)
    with pytest.raises(ComponentFailed, match=r"(?s)picky ended with exit code 3.*no such flag: --frobnicate"):
        await server.start()


async def test_a_server_that_never_gets_ready_is_not_left_running(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    script = "import signal; signal.pause()"
    server = Server("mute", [sys.executable, "-c", script], log=tmp_path / "log", ready=never, start_timeout=0.3)
    with pytest.raises(ComponentFailed, match=r"mute not ready within 0.3 s"):
        await server.start()
    assert not server.running


async def test_another_port_is_tried_when_one_is_taken_meanwhile(tmp_path: Path) -> None:
    tried: list[int] = []
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as squatter:
        taken = squatter.getsockname()[1]

        def make(ports: list[int]) -> Server:
            tried.append(ports[0])
            return listener(tmp_path, taken if len(tried) == 1 else ports[0])

        # the squatter accepts and says nothing, as a stranger on our port would
        server = await start_on_free_ports(make, 1)
    assert len(tried) == 2
    assert server.ports == [tried[1]]
    await server.stop()


async def test_a_port_that_stays_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as squatter:
        taken = squatter.getsockname()[1]
        with pytest.raises(PortTaken, match="address already in use"):
            await start_on_free_ports(lambda _: listener(tmp_path, taken), 1)


def test_a_recycled_process_id_is_never_signalled() -> None:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        own = ProcessId.of(process.pid)
        assert own
        stranger = ProcessId(own.pid, own.start_time - 1)
        assert not stranger.alive
        stranger.signal(signal.SIGKILL)
        assert own.alive
        own.signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not own.alive


def test_a_zombie_counts_as_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert ProcessId.of(process.pid) is None
    process.wait()


def test_servers_die_with_their_parent_even_when_it_is_killed(tmp_path: Path) -> None:
    script = f"""
import asyncio, signal, sys
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
from testbed.process import Server
async def ready():
    return True
command = [sys.executable, "-c", "import signal; signal.pause()"]
server = Server("child", command, log=Path({str(tmp_path)!r}) / "log", ready=ready)
asyncio.run(server.start())
print(server.id.pid, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = ProcessId.of(int(parent.stdout.readline()))
        assert child
        assert child.alive
        parent.kill()
    asyncio.run(eventually(lambda: not child.alive, message="the child's end"))
