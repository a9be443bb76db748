"""A NATS server that means ill: scripted, as a real one cannot be made to do any of this."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHUNK = 64 * 1024

PLAIN_INFO: dict[str, object] = {"server_id": "HOSTILE", "version": "2.11.0", "proto": 1, "headers": True}


def info_line(**more: object) -> bytes:
    return b"INFO " + json.dumps({**PLAIN_INFO, "max_payload": 1024 * 1024, **more}).encode() + b"\r\n"


class HostileNats:
    """Runs `script` for each client. `url` is its address, `received` all that clients sent, `clients` their number."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.port = 0
        self.received = bytearray()
        self.clients = 0

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[HostileNats]:
        server = cls(script)
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            server.clients += 1
            try:
                await script(_Recording(reader, server.received), writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # the client went, as it should, or the test is over: asyncio logs each task that was cancelled
            finally:
                tasks.discard(task)
                writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listener.close()
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Recording:
    def __init__(self, reader: asyncio.StreamReader, received: bytearray) -> None:
        self._reader = reader
        self._received = received

    async def readline(self) -> bytes:
        line = await self._reader.readline()
        self._received += line[: 64 * 1024]
        return line

    async def read(self, count: int) -> bytes:
        data = await self._reader.read(count)
        self._received += data[: 64 * 1024]
        return data


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **info: object) -> None:
    """Be a good server up to the first PONG."""
    writer.write(info_line(**info))
    while line := await reader.readline():
        if line.startswith(b"PING"):
            writer.write(b"PONG\r\n")
            await writer.drain()
            return


async def answer_pings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a good server from there on, until the client goes."""
    while line := await reader.readline():
        if line.startswith(b"PING"):
            writer.write(b"PONG\r\n")


def flood(frame: bytes, *, total: int = 1 << 40, **info: object) -> Script:
    """Shake hands, then send `frame` again and again for as long as the client takes it, up to `total` bytes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer, **info)
        pongs = asyncio.create_task(answer_pings(reader, writer))
        # A small frame alone would be a system call each, and drain() leaves the loop to the client only when the
        # kernel's buffers are full: on a busy machine that took longer than the client waits.
        frames = frame * max(1, CHUNK // len(frame))
        try:
            for _ in range(total // len(frames)):
                writer.write(frames)
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            pongs.cancel()

    return script


def greet(banner: bytes) -> Script:
    """Say something that is not NATS, then nothing."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        while await reader.read(4096):
            pass

    return script


def drip(data: bytes, *, pause: float) -> Script:
    """Send one byte at a time."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return script


# `certificate` is whatever the context has that clients cannot trust.
TLS_FAULTS = ("certificate", "plain", "closes", "garbage", "alert", "record", "silence")


def failing_tls(fault: str, scheme: str, context: ssl.SSLContext) -> Script:
    """Offer TLS, and fail in that way. Over wss TLS comes first: there the listener itself has the certificate."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if scheme == "tls":
            writer.write(info_line(tls_required=True))
        if fault == "closes":
            return
        if fault == "certificate":
            if scheme == "tls":
                await writer.start_tls(context)
        elif fault != "silence":
            await reader.read(1)
            writer.write(_IN_PLACE_OF_TLS[fault])
        while await reader.read(4096):
            pass

    return script


_IN_PLACE_OF_TLS = {
    "plain": b"HTTP/1.1 200 OK\r\nServer: hunter2-7c1e\r\n\r\n",
    "garbage": b"\x16\x03" + b"x" * 99,
    "alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "record": b"\x16\x03\x03\xff\xff" + b"x" * 65535,
}
