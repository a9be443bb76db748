"""The operator as a process of its own, as a user runs it: for benches and for tests of start, stop and memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from testbed.process import ProcessId
from testbed.waiting import eventually

USER_AGENT = "wasmcloud-operator/"


@dataclass(frozen=True)
class OperatorProcess:
    """A running operator; `start` makes one."""

    process: asyncio.subprocess.Process
    log: Path
    address: str

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, kubeconfig: Path, folder: Path, *flags: str, name: str = "operator", sources: Sequence[Path] = ()
    ) -> AsyncIterator[OperatorProcess]:
        """`wasmcloud-operator run` with these flags, ready when this is entered, ended by SIGTERM.

        It runs from `sources` of an earlier release where they are given, else from those that are installed. Simulated
        pods have addresses that lead nowhere, so it connects to none: an earlier release never does, and a setting that
        it does not know ends it.
        """
        to_no_pods = {"WASMCLOUD_OPERATOR_CONNECT_TO_PODS": "false"}
        env = {"PYTHONPATH": os.pathsep.join(map(str, sources))} if sources else to_no_pods
        log = folder / f"{name}.log"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "wasmcloud_operator", "run", "--kubeconfig", str(kubeconfig)),
                *("--http-address", "127.0.0.1:0", "--log-format", "json", *flags),
                stderr=stderr,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | env,
            )
        try:
            address = await eventually(lambda: _address(log), timeout=120, message=f"operator's address in {log}")
            operator = cls(process, log, address)
            await eventually(operator.ready, timeout=120, message=f"operator ready, see {log}")
            yield operator
        finally:
            await cls._end(process)

    @staticmethod
    async def _end(process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(60):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def ready(self) -> bool:
        """Whether /readyz says so."""
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(f"http://{self.address}/readyz") as answer:
                return answer.status == 200
        return False

    async def metrics(self) -> str:
        """The text of /metrics."""
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.address}/metrics") as answer:
            return await answer.text()

    @property
    def resident_mebibytes(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far, user and system."""
        running = ProcessId.of(self.process.pid)
        return running.cpu_seconds if running else 0.0

    def logged(self, event: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return [line for line in _lines(self.log) if line.get("event") == event]


def _lines(log: Path) -> list[dict[str, object]]:
    lines = []
    for text in log.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return lines


def _address(log: Path) -> str | None:
    for line in _lines(log):
        if line.get("event") == "serving metrics and probes":
            return str(line["address"])
        if line.get("level") == "error" and line.get("event") == "cannot start":
            raise RuntimeError(f"the operator did not start: {line}")
    return None
