"""How `status` and `tree` look: at a terminal, and where a script reads them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import signal
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.objects.overview import FINE, WAITING, app, pool
from testbed import eventually
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import NAMESPACE
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedApiServer

PROGRAM = Path(sys.executable).with_name("kubectl-wasmcloud")
GREEN, RED = "\x1b[32m", "\x1b[31m"
LONG = "version 1 waits for a host with the labels zone=b and disk=fast, of which there is none in the lattice"


def body(item: CustomResource) -> dict[str, Any]:
    metadata = {"name": item.metadata.name, "namespace": item.metadata.namespace, "uid": item.metadata.uid}
    return {"metadata": {**metadata, "generation": 1}, "spec": item.spec, "status": item.status}


@pytest.fixture
def api() -> ScriptedApi:
    api = ScriptedApi()
    api.put(NAMESPACE, {"metadata": {"name": "team-a", "uid": "n"}})
    api.put(HOST_CONFIG, body(pool(FINE)))
    fields = {"lattice": "x", "hostConfig": "edge", "phase": "Reconciling", "message": LONG}
    api.put(APPLICATION, body(app(WAITING, name="shop[red]", fields=fields)))
    return api


@pytest.fixture
async def kubeconfig(api: ScriptedApi, tmp_path: Path) -> AsyncIterator[Path]:
    async with ScriptedApiServer.serve(api) as server:
        yield server.kubeconfig(tmp_path / "kubeconfig")


class Screen:
    """What a program has printed on a terminal of 100 columns."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.text = ""
        asyncio.get_running_loop().add_reader(terminal, self._read)

    def _read(self) -> None:
        try:
            self.text += os.read(self._terminal, 65536).decode()
        except OSError:  # EIO: the program has ended
            self.close()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._terminal)

    def shows(self, text: str) -> bool:
        return text in self.text

    @property
    def words(self) -> str:
        return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text).split())


@contextlib.asynccontextmanager
async def at_a_terminal(kubeconfig: Path, *arguments: str) -> AsyncIterator[tuple[Screen, asyncio.subprocess.Process]]:
    """The program at a pseudo-terminal that knows colours; killed at the end if it still runs."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (50, 100))
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TERM": "xterm-256color"}
    listening = ("env", "--default-signal=INT")  # where this is a shell's background job it would be ignored
    command = (*listening, PROGRAM, *arguments, "--kubeconfig", str(kubeconfig))
    process = await asyncio.create_subprocess_exec(*command, stdin=slave, stdout=slave, stderr=slave, env=env)
    screen = Screen(master)
    try:
        yield screen, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        screen.close()
        os.close(slave)
        os.close(master)


async def piped(kubeconfig: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, *arguments, "--kubeconfig", str(kubeconfig)),
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TERM": "xterm-256color", "FORCE_COLOR": "1"},
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return out.decode()


async def test_at_a_terminal_states_have_colours_and_long_messages_are_wrapped_whole(kubeconfig: Path) -> None:
    async with at_a_terminal(kubeconfig, "status") as (screen, process):
        async with asyncio.timeout(60):
            assert await process.wait() == 1
        await eventually(lambda: screen.shows("not fine: 1 applications"))
    assert f"{GREEN}Ready" in screen.text
    assert f"{RED}Reconciling" in screen.text
    assert "team-a/shop[red]" in screen.text, "a name is no markup"
    assert "…" not in screen.text
    lines = [line for line in screen.text.splitlines() if "waits" in line or "disk=fast" in line]
    assert len(lines) > 1, "the message takes several lines"


async def test_a_tree_at_a_terminal_has_the_state_of_each_branch_as_its_colour(kubeconfig: Path) -> None:
    async with at_a_terminal(kubeconfig, "tree", "lattice/x") as (screen, process):
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        await eventually(lambda: screen.shows("Application team-a/shop[red]"))
    assert f"{GREEN}WasmCloudHostConfig team-a/edge" in screen.text
    assert f"{RED}Application team-a/shop[red]" in screen.text
    assert "└── " in screen.text


async def test_where_a_script_reads_the_lines_are_plain_and_aligned_whatever_is_forced(kubeconfig: Path) -> None:
    assert await piped(kubeconfig, "status") == (
        "POOL         LATTICE  HOSTS  VERSION  STATE  MESSAGE\n"
        "team-a/edge  x        ?/1    1.9.0    Ready\n"
        "\n"
        "LATTICE  NATS  WADM  POOLS  HOSTS  APPLICATIONS\n"
        "x        ?     ?     1      0      1\n"
        "\n"
        "APPLICATION       LATTICE  PHASE                  VERSION  MESSAGE\n"
        f"team-a/shop[red]  x        Reconciling (Waiting)           {LONG[:59]}…\n"
        "\n"
        "not fine: 1 applications; `kubectl wasmcloud why KIND/NAME` has the reason\n"
    )
    assert await piped(kubeconfig, "tree", "lattice/x") == (
        "Lattice x\n"
        "└─ WasmCloudHostConfig team-a/edge  lattice x\n"
        "   └─ Application team-a/shop[red]  Reconciling  lattice x\n"
    )


async def test_versions_are_a_table_like_any_other(api: ScriptedApi, kubeconfig: Path) -> None:
    fields = {"lattice": "x", "versions": ["1", "10+content-a1b2"], "deployedVersion": "10+content-a1b2"}
    api.put(APPLICATION, body(app(FINE, name="hello", fields=fields)))
    history = ("history", "app/hello", "-n", "team-a")
    assert await piped(kubeconfig, *history) == "VERSION          STATE\n1\n10+content-a1b2  deployed\n"
    async with at_a_terminal(kubeconfig, *history) as (screen, process):
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        await eventually(lambda: screen.shows(f"{GREEN}deployed"))
    assert "10+content-a1b2" in screen.words


async def test_without_a_version_nothing_but_that_is_printed(api: ScriptedApi, kubeconfig: Path) -> None:
    api.put(APPLICATION, body(app(WAITING, name="hello")))
    assert await piped(kubeconfig, "history", "app/hello", "-n", "team-a") == "wadm keeps no version of it\n"
    assert await piped(kubeconfig, "history", "app/hello", "-n", "team-a", "-o", "json") == "[]\n"


async def test_a_watched_screen_is_drawn_anew_with_what_has_changed_until_it_is_interrupted(
    api: ScriptedApi, kubeconfig: Path
) -> None:
    async with at_a_terminal(kubeconfig, "status", "--watch") as (screen, process):
        await eventually(lambda: screen.shows("not fine: 1 applications"), timeout=60)
        assert "team-a/later" not in screen.words
        api.put(HOST_CONFIG, body(pool(FINE, "later")))
        await eventually(lambda: screen.shows("team-a/later"), timeout=60)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            assert await process.wait() == 130
    assert "Traceback" not in screen.text
