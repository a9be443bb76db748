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
_TOOLS = "pytest|pytest-asyncio|pytest-xdist|hypothesis|cryptography|lupa|wasmtime|grafana-foundation-sdk|ruamel-yaml"


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
        return "not run, there is no such interpreter here"
    _install(folder, "--require-hashes", "-r", "requirements-dev.lock")
    _install(folder, "--no-deps", "-e", "types", "-e", "operator")
    return _tests(folder)


def _on_lowest(folder: Path) -> str:
    if not _made(PYTHONS[0], folder):
        return "not run, there is no such interpreter here"
    pins = re.findall(rf"^(?:{_TOOLS})==\S+", (_ROOT / "requirements-dev.lock").read_text(), re.MULTILINE)
    _install(folder, "--resolution", "lowest-direct", "-e", "types", "-e", "operator[speed,tracing]", *pins)
    return _tests(folder)


def _made(version: str, folder: Path) -> bool:
    for python in (*_pyenv(version), version):
        command = [_UV, "venv", "--quiet", "--python", python, folder]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return True
    return False


def _pyenv(version: str) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [str(found) for found in sorted(root.glob(f"versions/{version}.*/bin/python"))]


def _install(folder: Path, *what: str) -> None:
    python = str(folder / "bin" / "python")
    subprocess.run([_UV, "pip", "install", "--quiet", "--python", python, *what], check=True, cwd=_ROOT)


def _tests(folder: Path) -> str:
    command = [folder / "bin" / "pytest", "-q", "-n", "2", "--dist", "loadfile", "tests/unit"]
    done = subprocess.run(command, check=False, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode:
        print(done.stdout)
    return f"{'failed: ' if done.returncode else ''}{''.join(last)}"


if __name__ == "__main__":
    sys.exit(main())
