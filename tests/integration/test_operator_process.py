"""The operator as users start and stop it: what it says first, and that it ends on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from support.operators.process import OperatorProcess
from testbed import ControlPlane
from testbed.ports import free_ports


@contextlib.asynccontextmanager
async def started(kubeconfig: Path, *flags: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ("-m", "wasmcloud_operator", "run", "--kubeconfig", str(kubeconfig), "--http-address", "127.0.0.1:0")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--log-format", "json", *flags, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended_by_a_signal(process: asyncio.subprocess.Process) -> int:
    """The exit code; raises TimeoutError before the kubelet would kill it, after 30 seconds."""
    process.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(process.wait(), 28)


async def test_sigterm_ends_it_cleanly(crds, tmp_path):
    async with OperatorProcess.start(crds.kubeconfig, tmp_path, "--no-leader-election") as operator:
        assert await ended_by_a_signal(operator.process) == 0
        assert operator.logged("stopped")


async def test_sigterm_ends_it_while_the_api_server_says_nothing(crds, tmp_path):
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    asked = asyncio.Event()
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(crds.kubeconfig.read_text().replace(crds.url, f"http://127.0.0.1:{port}"))
    async with server, started(kubeconfig) as process:
        await asyncio.wait_for(asked.wait(), 120)
        assert await ended_by_a_signal(process) == 0


async def test_a_port_that_is_taken_is_said_in_one_line(crds):
    (port,) = free_ports(1)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    async with server, started(crds.kubeconfig, "--http-address", f"127.0.0.1:{port}") as process:
        said = (await process.communicate())[1].decode()
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "address already in use" in json.loads(said.splitlines()[-1])["error"]


async def said_at_the_start(crds: ControlPlane, *flags: str) -> list[dict]:
    """The log of one who has no rights, until it tries to watch."""
    async with started(crds.kubeconfig_for(crds.user("erin")), *flags) as process:
        said = []
        async with asyncio.timeout(120):
            while not said or said[-1]["event"] != "watch interrupted":
                said.append(json.loads(await process.stderr.readline()))
    return said


async def test_missing_permissions_are_logged_by_name_at_the_start(crds: ControlPlane):
    said = await said_at_the_start(crds, "--no-leader-election")
    found = next(line for line in said if line["event"] == "cluster found")
    assert found["version"].startswith("v1.")
    assert found["crds"]["wasmcloudhostconfigs.k8s.wasmcloud.dev"] is True
    missing = {line["permission"] for line in said if "permission" in line}
    assert {"patch wasmcloudhostconfigs/status.k8s.wasmcloud.dev", "create deployments.apps"} <= missing


async def test_nothing_is_missed_that_is_switched_off(crds: ControlPlane):
    said = await said_at_the_start(crds, "--no-leader-election", "--no-applications", "--no-services")
    missing = " ".join(line["permission"] for line in said if "permission" in line)
    assert "deployments.apps" in missing
    assert not any(kind in missing for kind in ("leases", "applications.core", "ingresses", "httproutes"))
