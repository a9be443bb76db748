"""Builds one component from its module registry, with a progress line, and never hides why a build failed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

from testbed.components import Component, Toolchain
from testbed.process import dying_with_parent, log_tail


class BuildFailed(RuntimeError):
    """The text has the end of the build's log and where the rest is."""


class ToolchainMissing(BuildFailed):
    """The text names the toolchain and how to get it."""


class Progress:
    """One line that says what is being built, for how long, and how long it takes; on a terminal it is rewritten.

    What goes on side by side shares the line.
    """

    def __init__(self, out: TextIO = sys.stderr, *, every: float = 20.0) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._every = every  # seconds between lines where there is no terminal
        self._last = 0.0
        self._going_on: dict[str, str] = {}

    def say(self, text: str) -> None:
        """A line of its own."""
        print(f"\r\x1b[K{text}" if self._terminal else text, file=self._out, flush=True)
        self._last = time.monotonic()

    def update(self, text: str, *, of: str = "") -> None:
        """The state of what goes on, one of several where it has a name."""
        self._going_on[of] = text
        text = "; ".join(self._going_on.values())
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:width]}", end="", file=self._out, flush=True)
        elif time.monotonic() - self._last >= self._every:
            self.say(text)

    def ended(self, of: str) -> None:
        """It no longer goes on."""
        self._going_on.pop(of, None)


def toolchain_problem(component: Component) -> str | None:
    """What has to be installed before the component can be built; None when nothing has to."""
    toolchain = component.toolchain
    if shutil.which(toolchain.value) is None:
        return f"{toolchain.value} is missing, and {component.name} is built with it: {toolchain.how_to_get_it}"
    if toolchain is Toolchain.GO:
        wanted = _version_tuple(re.search(r"^go (\S+)", (component.recipe / "go.mod").read_text(), re.MULTILINE))
        shown = subprocess.run(["go", "env", "GOVERSION", "GOTOOLCHAIN"], capture_output=True, text=True, check=True)
        version, _, switch = shown.stdout.partition("\n")
        have = _version_tuple(re.match(r"go(\S+)", version))
        if have < wanted and switch.strip() in ("", "local"):  # before 1.21 Go knows no GOTOOLCHAIN
            needed = ".".join(map(str, wanted))
            return f"{version} is too old to build {component.name}, {needed} is needed: {toolchain.how_to_get_it}"
    elif shutil.which("cc") is None:
        return f"cc is missing, and Rust links {component.name} with it: install gcc (Debian: apt-get install gcc)"
    return None


async def build(component: Component, target: Path, *, work: Path, log: Path, progress: Progress) -> None:
    """Build the component into the file `target`; `work` holds what the next build of it can reuse."""
    if problem := toolchain_problem(component):
        raise ToolchainMissing(problem)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb"):
        pass
    started = time.monotonic()
    progress.say(
        f"building {component.name} {component.version} with {component.toolchain.value} "
        f"(about {component.cold_seconds} s on two cores; log: {log})"
    )
    if component.toolchain is Toolchain.GO:
        await _go(component, target, log, progress)
    else:
        await _cargo(component, target, work, log, progress)
    progress.say(f"built {component.name} {component.version} in {time.monotonic() - started:.0f} s")


async def _go(component: Component, target: Path, log: Path, progress: Progress) -> None:
    major, minor, _ = component.version.split(".", 2)
    flags = component.linker_flags.format(version=component.version, major=major, minor=minor)
    command = ["go", "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", f"-s -w {flags}"]
    command += ["-tags", component.tags] if component.tags else []
    # without CGO the program also runs in an image that holds nothing else
    await _run(
        component,
        [*command, "-o", str(target), component.package],
        component.recipe,
        {"CGO_ENABLED": "0"},
        log,
        progress,
    )


async def _cargo(component: Component, target: Path, work: Path, log: Path, progress: Progress) -> None:
    source, target_folder = work / component.name, work / f"{component.family}-target"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(component.recipe, source)
    env = {"CARGO_TARGET_DIR": str(target_folder), "CARGO_TERM_COLOR": "never"}
    wrapper = source / "rustc-wrapper"
    if wrapper.exists():
        env["RUSTC_WRAPPER"] = str(wrapper)
    await _run(component, ["cargo", "generate-lockfile"], source, env, log, progress)
    lock = source / "Cargo.lock"
    lock.write_text(pinned_lock((source / "Cargo.lock.in").read_text(), resolved=lock.read_text()))
    await _run(component, ["cargo", "build", "--release", "--locked"], source, env, log, progress)
    shutil.copy2(target_folder / "release" / component.package, target)


def pinned_lock(pins: str, *, resolved: str) -> str:
    """The lock file of a Rust recipe: its pins (checksums and all), with the registry that this machine resolves from.

    Pins are a Cargo.lock in which `registry` stands for the address of the registry.
    """
    source = re.search(r'^source = "(.+)"$', resolved, re.MULTILINE)
    if source is None:
        raise BuildFailed("cargo resolved no package from a registry, so the recipe's pins cannot be used")
    return pins.replace('source = "registry"', f'source = "{source[1]}"')


async def _run(
    component: Component, command: list[str], folder: Path, env: dict[str, str], log: Path, progress: Progress
) -> None:
    title = f"{component.name} {component.version}"
    await run_step(title, command, folder, log, progress, env=env, about=component.cold_seconds)


async def run_step(
    title: str,
    command: list[str],
    folder: Path,
    log: Path,
    progress: Progress,
    *,
    about: int,
    env: dict[str, str] | None = None,
) -> None:
    """Run a command of a build, of `about` seconds. Raises `BuildFailed` with the end of its log."""
    started = time.monotonic()
    process = _spawn(command, folder, env or {}, log)
    try:
        while process.poll() is None:
            step = log_tail(log, 1).strip().split("/")[-1]
            progress.update(f"  {title}: {time.monotonic() - started:.0f} s of about {about} s: {step}", of=title)
            await asyncio.sleep(0.25)
    finally:
        progress.ended(title)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    if process.returncode:
        raise BuildFailed(
            f"{title} did not build ({command[0]} ended with {process.returncode}); the end of {log}:\n{log_tail(log)}"
        )


def _spawn(command: list[str], folder: Path, env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            ["nice", "-n", "5", *command],
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dying_with_parent(signal.SIGTERM),  # noqa: PLW1509 - a call of libc, no lock is taken
        )


def _version_tuple(found: re.Match[str] | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", found[1])) if found else ()
