"""Run the unit tests on each supported Python that is here, and on the lowest dependencies that the packages allow.

Environments are made in a temporary folder with uv. An interpreter that is neither here nor to be had is named at the
end; the exit code is that of the tests that ran.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.supported import PYTHONS

_ROOT = Path(__file__).parents[2]
_UV = Path(sys.executable).with_name("uv")
_TOOLS = (
    "pytest|pytest-asyncio|pytest-xdist|hypothesis|cryptography|lupa|mypy|wasmtime|grafana-foundation-sdk|ruamel-yaml"
)
_NOT_HERE = "not run, there is no such interpreter here"
_NO_PACKAGES = "failed: its packages do not install"


def main() -> int:
    """Print a line for each run. Returns 1 when tests failed, else 0."""
    results: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="pythons-") as folder:
        for version in PYTHONS:
            results[f"Python {version}"] = _on(version, Path(folder) / version)
        results[f"Python {PYTHONS[0]}, lowest dependencies"] = _on_lowest(Path(folder) / "lowest")
    for what, result in results.items():
        print(f"{what}: {result}")
    return int(any(result.startswith("failed") for result in results.values()))


def _on(version: str, folder: Path) -> str:
    if not _made(version, folder):
        return _NOT_HERE
    pinned, own = ("--require-hashes", "-r", "requirements-dev.lock"), ("--no-deps", "-e", "types", "-e", "operator")
    if not (_installed(folder, *pinned) and _installed(folder, *own)):
        return _NO_PACKAGES
    return _tests(folder)


def _on_lowest(folder: Path) -> str:
    if not _made(PYTHONS[0], folder):
        return _NOT_HERE
    pins = re.findall(rf"^(?:{_TOOLS})==\S+", (_ROOT / "requirements-dev.lock").read_text(), re.MULTILINE)
    lowest = ("--resolution", "lowest-direct", "-e", "types", "-e", "operator[speed,terminal,tracing]")
    return _tests(folder) if _installed(folder, *lowest, *pins) else _NO_PACKAGES


def _made(version: str, folder: Path) -> bool:
    for python in (*_pyenv(version), version):
        command = [_UV, "venv", "--quiet", "--python", python, folder]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return True
    return False


def _pyenv(version: str) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [str(found) for found in sorted(root.glob(f"versions/{version}.*/bin/python"))]


def _installed(folder: Path, *what: str) -> bool:
    python = str(folder / "bin" / "python")
    command = [_UV, "pip", "install", "--quiet", "--python", python, *what]
    return subprocess.run(command, check=False, cwd=_ROOT).returncode == 0


def _tests(folder: Path) -> str:
    command = [folder / "bin" / "pytest", "-q", "-n", "2", "--dist", "loadfile", "tests/unit"]
    done = subprocess.run(command, check=False, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode:
        print(done.stdout)
    return f"{'failed: ' if done.returncode else ''}{''.join(last)}"


if __name__ == "__main__":
    sys.exit(main())
