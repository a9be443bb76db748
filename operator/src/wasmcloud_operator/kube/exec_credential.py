"""Credentials from a plugin that a kubeconfig names (client.authentication.k8s.io): EKS, GKE, AKS and others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from wasmcloud_operator.kube.clock import Clock
from wasmcloud_operator.kube.errors import NoCredentials, Unreachable

# A plugin may ask a cloud for a token, over a network that hangs.
_DEADLINE_SECONDS = 30.0
# Credentials are looked at every minute: those that would expire before the look after the next are renewed now.
_MARGIN = timedelta(seconds=90)
# A server that refuses every credential must not have the plugin run for each request.
_REJECTED_SECONDS = 10.0
_SHOWN = 300


class _EnvVar(msgspec.Struct, frozen=True):
    name: str
    value: str


class PluginSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The `exec` part of a kubeconfig's user."""

    command: str
    api_version: str
    args: list[str] | None = None
    env: list[_EnvVar] | None = None


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    status: _Status


@dataclass(frozen=True, slots=True)
class ExecCredential:
    """What a plugin gave: a token, a client certificate with its key, or both."""

    token: str
    certificate: str
    key: str
    expires: datetime | None


@dataclass(slots=True)
class ExecPlugin:
    """Runs the plugin when its credential is about to expire, or was rejected; else returns the last one."""

    clock: Clock
    _spec: PluginSpec | None = None
    _credential: ExecCredential | None = None
    _ran: float = float("-inf")

    async def credential(self, spec: PluginSpec, folder: Path, *, rejected: bool) -> ExecCredential:
        """Returns a credential that holds for a while. `folder` is the kubeconfig's: a relative command is in it.

        Raises NoCredentials if there is no such command, Unreachable if it fails.
        """
        held = self._credential if self._spec == spec else None
        now = self.clock.monotonic()
        if held is not None and not (rejected and now - self._ran > _REJECTED_SECONDS) and self._holds(held):
            return held
        self._ran = now
        fresh = parse(spec, await run(spec, folder))
        self._spec, self._credential = spec, fresh
        return fresh

    def _holds(self, credential: ExecCredential) -> bool:
        return credential.expires is None or self.clock.now() < credential.expires - _MARGIN


async def run(spec: PluginSpec, folder: Path) -> bytes:
    """Returns the plugin's output. The plugin is killed when it takes too long, or when the caller is cancelled."""
    command = str(folder / spec.command) if os.sep in spec.command else spec.command
    info = {"apiVersion": spec.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    env = {**os.environ, **{var.name: var.value for var in spec.env or ()}, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            command, *(spec.args or ()), env=env, stdin=nothing, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        raise NoCredentials(f"the credential plugin {spec.command} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            out, stderr = await process.communicate()
    except TimeoutError as error:
        raise Unreachable(f"credential plugin {spec.command} returned nothing for {_DEADLINE_SECONDS:.0f} s") from error
    finally:
        await _end(process)
    if process.returncode:
        words = stderr.decode(errors="replace").strip()[-_SHOWN:]
        raise Unreachable(f"the credential plugin {spec.command} failed with {process.returncode}: {words}")
    return out


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the plugin and whatever it has started, which may hold its output open."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def parse(spec: PluginSpec, output: bytes) -> ExecCredential:
    """Returns the credential in a plugin's output. Raises Unreachable, without quoting it, if there is none."""
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except (ValueError, RecursionError):
        raise Unreachable(f"the credential plugin {spec.command} printed no ExecCredential") from None
    status = answer.status
    if answer.api_version != spec.api_version:
        raise Unreachable(f"the credential plugin {spec.command} speaks {answer.api_version}, not {spec.api_version}")
    certificate, key = status.client_certificate_data or "", status.client_key_data or ""
    if bool(certificate) != bool(key) or not (certificate or status.token):
        raise Unreachable(f"credential plugin {spec.command} returned neither a token nor a certificate with its key")
    expires = status.expiration_timestamp
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    return ExecCredential(status.token or "", certificate, key, expires)
