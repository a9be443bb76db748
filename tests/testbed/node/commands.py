"""Commands of the machine (ip, nft, ctr, buildah), without blocking the loop; a failure says what they said."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path


class CommandFailed(RuntimeError):
    """The text has the command, its exit code and the end of what it wrote."""


async def run(
    *command: str | Path,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    accepts: Collection[int] = (0,),
) -> str:
    """What the command wrote to stdout. `timeout` is seconds. Raises `CommandFailed` for any other exit code."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    shown = " ".join(map(str, command))
    try:
        async with asyncio.timeout(timeout):
            out, errors = await process.communicate(stdin)
    except TimeoutError:
        raise CommandFailed(f"{shown} took longer than {timeout:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in accepts:
        said = (errors or out).decode(errors="replace").strip()[-3000:]
        raise CommandFailed(f"{shown} ended with {process.returncode}: {said}")
    return out.decode(errors="replace").strip()
