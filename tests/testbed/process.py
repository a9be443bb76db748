"""One started component: its process, its log, its health check, and ways to hurt it.

A process is known by its id and its start time, so that an id the kernel gave to somebody else is never signalled.
Nothing here is bound to an event loop: a server started in one loop can be stopped or restarted from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from testbed.ports import free_ports

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Ready = Callable[[], Awaitable[bool]]


class ComponentFailed(RuntimeError):
    """A component ended or did not become ready; the text ends with the tail of its log."""


class PortTaken(ComponentFailed):
    """It ended because somebody else listens on its port."""


@dataclass(frozen=True)
class ProcessId:
    """A process, also after its number was given to another one: then it counts as gone."""

    pid: int
    start_time: int  # clock ticks since boot, /proc/<pid>/stat field 22

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now; None when there is none (a zombie is none)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # the command's name may hold spaces and brackets
        state, start_time = fields[0], int(fields[19])
        return None if state in "ZX" else cls(pid, start_time)

    @property
    def alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far, user and system. Raises FileNotFoundError when it is gone."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it (or to its process group); nothing happens when it is gone."""
        if not self.alive:
            return
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)


class Server:
    """A component as one process in a process group of its own; it dies with the process that started it."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        ready: Ready,
        env: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
        stop_grace: float = 10.0,
    ) -> None:
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log = log
        self.env = dict(env or {})
        self.start_timeout = start_timeout  # seconds, as is stop_grace
        self.stop_grace = stop_grace
        self.ports: list[int] = []  # those it was given by `start_on_free_ports`
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self._id: ProcessId | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {f'pid {self._id.pid}' if self._id and self.running else 'not running'}>"

    @property
    def id(self) -> ProcessId | None:
        """The running process; None while it is down."""
        return self._id if self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it and wait until its health check answers. Raises `ComponentFailed`, with nothing left running."""
        self.spawn()
        try:
            await self.wait_ready()
        except BaseException:
            await self.kill()
            raise

    def spawn(self) -> None:
        """Start it without waiting. The kernel kills it when this process dies, however that comes about."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                start_new_session=True,
                preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509 - a call of libc, no lock is taken
            )
        self._id = ProcessId.of(self._process.pid)

    async def wait_ready(self) -> None:
        """Wait until the health check answers."""
        deadline = time.monotonic() + self.start_timeout
        while not await self._answers():
            if not self.running:
                code = self._process.returncode if self._process else None
                raise self._failure(f"ended with exit code {code}")
            if time.monotonic() > deadline:
                raise self._failure(f"not ready within {self.start_timeout:g} s")
            await asyncio.sleep(0.03)
        if not self.running:  # what answered was somebody else on the same port
            raise self._failure("ended while another process answered its health check", kind=PortTaken)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(5):
                return await self._ready()
        except (OSError, TimeoutError, aiohttp.ClientError):
            return False

    def _failure(self, what: str, kind: type[ComponentFailed] | None = None) -> ComponentFailed:
        tail = log_tail(self.log)
        kind = kind or (PortTaken if "address already in use" in tail else ComponentFailed)
        return kind(f"{self.name} {what}; the end of {self.log}:\n{tail}")

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after `stop_grace`. Does nothing when it is down."""
        await self._end(signal.SIGTERM, self.stop_grace)

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        await self._end(signal.SIGKILL, 0.0)

    async def _end(self, number: signal.Signals, grace: float) -> None:
        if self._process is None or self._id is None:
            return
        self._id.signal(number, group=True)
        self._id.signal(signal.SIGCONT, group=True)  # a paused process takes no SIGTERM
        deadline = time.monotonic() + grace
        while self.running:
            if time.monotonic() > deadline:
                self._id.signal(signal.SIGKILL, group=True)
            await asyncio.sleep(0.01)

    async def restart(self) -> None:
        """Stop and start on the same ports with the same data."""
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, as with a hung process or a lost network."""
        if self._id:
            self._id.signal(signal.SIGSTOP, group=True)

    def resume(self) -> None:
        if self._id:
            self._id.signal(signal.SIGCONT, group=True)


def dying_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends the new process this signal when the thread that started it ends."""
    parent = os.getpid()

    def ask_for_it() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # it ended before we could ask
                os._exit(1)

    return ask_for_it


def log_tail(path: Path, lines: int = 25) -> str:
    """The last lines of a log; each at most 500 characters."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(line[:500] for line in text.splitlines()[-lines:]) or "(empty log)"


async def http_ok(url: str, *, token: str | None = None, ca_file: Path | None = None) -> bool:
    """Whether GET `url` answers 200; with https, without a CA file the certificate is not looked at."""
    tls: ssl.SSLContext | bool = False
    if ca_file is not None:
        tls = ssl.create_default_context(cafile=str(ca_file))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=tls) as answer:
        return answer.status == 200


async def start_on_free_ports(make: Callable[[list[int]], Server], count: int, *, host: str = "127.0.0.1") -> Server:
    """The server that `make` gives for `count` free ports, started; tried again when a port was taken meanwhile."""
    attempts = 5
    while True:
        ports = free_ports(count, host)
        server = make(ports)
        server.ports = ports
        try:
            await server.start()
        except PortTaken:
            attempts -= 1
            if not attempts:
                raise
            server.log.unlink(missing_ok=True)
        else:
            return server
