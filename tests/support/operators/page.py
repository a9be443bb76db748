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
    # Ctrl-C at a terminal is for the tests: the program is then ended in its turn.
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, start_new_session=True)
    assert program.stdout is not None
    try:
        async with asyncio.timeout(60):
            address = (await program.stdout.readline()).decode().strip()
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.terminate()
        try:
            async with asyncio.timeout(30):
                await program.wait()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
    assert program.returncode == 0
