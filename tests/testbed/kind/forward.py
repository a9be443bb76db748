"""A port of this machine that leads into another network namespace: `python -m testbed.kind.forward PORT PID TARGET`.

A socket stays in the network namespace where it was made: the listening one here, those that connect there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys

_CLONE_NEWNET = 0x40000000


def enter_network_of(pid: int) -> None:
    """This thread's sockets are made in the network namespace of process `pid` from now on."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"the network namespace of process {pid} cannot be entered")
    finally:
        os.close(namespace)


async def serve(listener: socket.socket, target: int) -> None:
    """Until it is stopped: what connects to `listener` is connected to port `target` of the namespace's loopback."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                there = await asyncio.open_connection("127.0.0.1", target)
            except OSError:
                return
            with contextlib.closing(there[1]):
                await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    server = await asyncio.start_server(connected, sock=listener)
    await server.serve_forever()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """All bytes, then the end of them. A connection that breaks ends the other one too."""
    try:
        while block := await source.read(2**16):
            target.write(block)
            await target.drain()
        target.write_eof()
    except OSError:
        target.transport.abort()


def main() -> None:
    port, pid, target = map(int, sys.argv[1:])
    listener = socket.create_server(("127.0.0.1", port))
    enter_network_of(pid)
    asyncio.run(serve(listener, target))


if __name__ == "__main__":
    main()
