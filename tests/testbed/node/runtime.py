"""containerd and the CNI plugins, with every folder and socket of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from testbed.cache import ensure
from testbed.node.commands import CommandFailed, run
from testbed.node.network import BRIDGE, POD_CIDR
from testbed.process import Server

NAMESPACE = "k8s.io"  # where the kubelet's images and containers are
PAUSE = "localhost/testbed-pause:1"
_PLUGINS = ("bridge", "loopback", "host-local")


async def containerd(folder: Path) -> Server:
    """A containerd below `folder`, not started yet."""
    socket = socket_of(folder)
    config = folder / "containerd.toml"
    config.write_text(_config(folder, await _cni(folder)))
    return Server(
        "containerd",
        ["containerd", "--config", config],
        log=folder / "logs" / "containerd.log",
        ready=lambda: _answers(socket),
    )


def socket_of(folder: Path) -> Path:
    return folder / "containerd.sock"


async def import_image(folder: Path, archive: Path) -> None:
    """Make the images of a docker-archive known under the names that stand in it."""
    await _ctr(socket_of(folder), "images", "import", archive, timeout=120)


async def _answers(socket: Path) -> bool:
    try:
        await _ctr(socket, "images", "list", "-q", timeout=5)
    except CommandFailed:
        return False
    return True


async def _ctr(socket: Path, *args: str | Path, timeout: float) -> str:
    return await run("ctr", "--address", socket, "--connect-timeout", "2s", "-n", NAMESPACE, *args, timeout=timeout)


async def _cni(folder: Path) -> Path:
    """The folder with `bin` and `conf`: a bridge that also hands out the addresses."""
    cni = folder / "cni"
    (cni / "bin").mkdir(parents=True)
    (cni / "conf").mkdir()
    for plugin in _PLUGINS:
        shutil.copy2(await ensure(plugin), cni / "bin" / plugin)
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,  # a pod may reach itself through its Service
        "ipam": {
            "type": "host-local",
            "dataDir": str(cni / "addresses"),
            "ranges": [[{"subnet": POD_CIDR}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    network = {"cniVersion": "1.0.0", "name": "testbed", "plugins": [bridge]}
    (cni / "conf" / "10-testbed.conflist").write_text(json.dumps(network, indent=2))
    return cni


def _config(folder: Path, cni: Path) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE a score below containerd's own cannot be set
    return f"""version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
[grpc]
  address = "{socket_of(folder)}"
[ttrpc]
  address = "{socket_of(folder)}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = "{folder}/runc"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{cni}/bin"
  conf_dir = "{cni}/conf"
"""
