"""`kubectl wasmcloud ui` as a user starts it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("kubectl-wasmcloud")


@contextlib.asynccontextmanager
async def page_of(kubeconfig: Path, *arguments: str) -> AsyncIterator[str]:
    """The program until the end, which SIGTERM brings in order also while somebody looks. Yields its address."""
    command = [PROGRAM, "ui", "--kubeconfig", str(kubeconfig), *arguments]
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert program.stdout is not None
    try:
        async with asyncio.timeout(60):
            address = (await program.stdout.readline()).decode().strip()
        yield address
        program.terminate()
        async with asyncio.timeout(30):
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
