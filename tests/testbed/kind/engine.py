"""A Docker engine of our own: Debian's dockerd in namespaces of its own, so that the machine's network stays as it is.

All that it starts is in one PID namespace, which ends with its first process; its mounts are in one mount namespace.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.node.commands import CommandFailed, run
from testbed.process import ProcessId, Server

CGROUP = "wasmcloud-testbed-kind"
PROGRAMS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "tini": "tini",
    "ip": "iproute2",
    "iptables": "iptables",
    "unshare": "util-linux",
    "mount": "mount",
}
_RUNC = Path(__file__).with_name("runc")


@dataclass(frozen=True)
class Engine:
    """A running engine; its processes end with this one."""

    server: Server
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """What `docker` and `kind` need to find it."""
        return {"DOCKER_HOST": f"unix://{_socket(self.folder)}", "DOCKER_CONFIG": str(self.folder / "client")}

    @property
    def inside(self) -> int:
        """The id of a process in its namespaces."""
        assert self.server.id is not None, "the engine is down"
        return _child_of(self.server.id)

    async def docker(self, *args: str | Path, timeout: float = 120, stdin: bytes | None = None) -> str:
        return await run("docker", *args, env=self.env, timeout=timeout, stdin=stdin)

    @classmethod
    async def start(cls, folder: Path) -> Engine:
        """An engine with all of its files below `folder`. Raises `ComponentFailed` with the end of its log."""
        programs = folder / "bin"
        programs.mkdir(parents=True)
        shutil.copy2(_RUNC, programs / "runc")
        (programs / "runc").chmod(0o755)
        socket = _socket(folder)
        engine: list[str | Path] = ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec"]
        engine += ["--host", f"unix://{socket}", "--pidfile", folder / "docker.pid"]
        engine += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{CGROUP}"]
        engine += ["--storage-driver", "overlay2", "--oom-score-adjust", "0", "--shutdown-timeout", "1"]
        # a network namespace begins with its loopback down
        script = 'ip link set lo up && exec tini -s -- "$@"'
        argv: list[str | Path] = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        argv += ["sh", "-c", script, "engine", *engine]

        async def answers() -> bool:
            try:
                await run("docker", "--host", f"unix://{socket}", "version", timeout=5)
            except CommandFailed:
                return False
            return True

        path = os.pathsep.join([str(programs), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        log = folder / "logs" / "dockerd.log"
        server = Server("dockerd", argv, log=log, ready=answers, env={"PATH": path}, start_timeout=90)
        await server.start()
        return cls(server, folder)


def _socket(folder: Path) -> Path:
    return folder / "docker.sock"


def _child_of(process: ProcessId) -> int:
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)
