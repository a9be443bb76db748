"""What a real node needs of the machine, and the Debian packages that bring it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from testbed.build import Progress, ToolchainMissing

# program -> the Debian package that has it
_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "busybox": "busybox-static",
    "mount": "mount",
    "curl": "curl",
}
IMAGE_PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap"}


def problems() -> list[str]:
    """Why a node cannot run on this machine; what `install` can mend does not count."""
    found = []
    if sys.platform != "linux":
        found.append("a node needs Linux")
        return found
    if os.geteuid() != 0:
        found.append("a node needs root (containers, network, mounts)")
    if not Path("/proc/sys/net/bridge").is_dir():
        found.append("the kernel lacks br_netfilter (modprobe br_netfilter)")
    if shutil.which("apt-get") is None:
        missing = sorted({program for program in _PROGRAMS if shutil.which(program) is None})
        if missing:
            found.append(f"missing: {', '.join(missing)}, and there is no apt-get to install them")
    return found


def install(progress: Progress, programs: dict[str, str] | None = None) -> None:
    """Install the Debian packages of the programs that are missing. Raises `ToolchainMissing`."""
    wanted = programs if programs is not None else _PROGRAMS
    packages = sorted({package for program, package in wanted.items() if shutil.which(program) is None})
    if not packages:
        return
    progress.say(f"installing Debian packages: {' '.join(packages)}")
    for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", *packages]):
        _apt(command)


def _apt(command: Sequence[str]) -> None:
    # a package's service would start a containerd of the machine's own: the policy forbids it where nobody has said
    # otherwise, and is gone afterwards
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        if ours:
            policy.unlink()
    if done.returncode:
        raise ToolchainMissing(f"{' '.join(command)} failed:\n{done.stderr.strip()[-2000:]}")
