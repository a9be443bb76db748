"""The testbed in the background, as `make cluster` uses it, through its command line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from testbed.background import State
from testbed.waiting import eventually

ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def cli(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "testbed", *map(str, args)]
    return subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=120, check=False)


def test_up_is_idempotent_and_down_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    try:
        up = cli("up", "--with", "nats", "--state", folder)
        assert up.returncode == 0, up.stderr
        state = State.load(folder)
        assert state is not None
        env = (folder / "env").read_text()
        assert f"export KUBECONFIG={folder}/kubeconfig\n" in env
        assert "export NATS_URL=nats://127.0.0.1:" in env
        again = cli("up", "--with", "nats", "--state", folder)
        assert "runs already" in again.stderr
        assert State.load(folder) == state
        wider = cli("up", "--with", "nats,kwok", "--state", folder)
        assert wider.returncode == 1
        assert "runs without kwok: take it down first" in wider.stderr
        assert cli("status", "--state", folder).returncode == 0
    finally:
        down = cli("down", "--state", folder)
    assert down.returncode == 0, down.stderr
    assert not folder.exists()
    assert not any(process.alive for process in [state.supervisor, *state.processes.values()])
    assert cli("status", "--state", folder).returncode == 1


async def test_a_killed_supervisor_takes_everything_with_it_and_up_starts_anew(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    try:
        assert cli("up", "--with", "nats", "--state", folder).returncode == 0
        state = State.load(folder)
        assert state is not None
        state.supervisor.signal(signal.SIGKILL)
        await eventually(lambda: not any(process.alive for process in state.processes.values()))
        assert cli("status", "--state", folder).returncode == 1
        assert cli("up", "--with", "nats", "--state", folder).returncode == 0
        assert cli("status", "--state", folder).returncode == 0
    finally:
        cli("down", "--state", folder)


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    up = cli("up", "--with", "nats", "--state", tmp_path)
    assert up.returncode == 1
    assert "holds something else than a testbed" in up.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_run_gives_the_command_its_environment_and_hands_its_exit_code_on() -> None:
    script = "import os; print(os.environ['KUBECONFIG'], os.environ['NATS_URL'], os.getpid()); raise SystemExit(7)"
    run = cli("run", "--with", "nats", "--", sys.executable, "-c", script)
    assert run.returncode == 7, run.stderr
    kubeconfig, url, _ = run.stdout.split()
    assert url.startswith("nats://127.0.0.1:")
    assert not Path(kubeconfig).exists()


def test_an_interrupted_run_takes_the_testbed_down(tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    script = "pgrep -P $PPID > $0.partial; mv $0.partial $0; sleep 600"
    listening = ["env", "--default-signal=INT"]  # where this is a shell's background job it would be ignored
    run = [sys.executable, "-m", "testbed", "run", "--with", "nats", "--", "sh", "-c", script, str(pid_file)]
    with subprocess.Popen([*listening, *run], env=ENV, start_new_session=True) as process:
        try:
            asyncio.run(eventually(pid_file.exists, timeout=60))
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            assert process.wait(60) == 130
        finally:
            process.terminate()
    pids = pid_file.read_text().split()
    assert len(pids) >= 5
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
