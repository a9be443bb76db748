"""`kubectl wasmcloud ui`: serves the page until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import webbrowser

import click

from wasmcloud_operator import logs
from wasmcloud_operator.commands.overview.screens import Screen
from wasmcloud_operator.commands.page.live import Cluster
from wasmcloud_operator.commands.page.server import PageServer
from wasmcloud_operator.kube.access import server_version
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.clock import SYSTEM_CLOCK


def page_screen(namespace: str, port: int, *, browser: bool) -> Screen:
    """Returns the screen of `ui`: the page's address, and the page for as long as the command runs."""

    async def screen(client: Reader) -> int:
        logs.configure("critical", "console")  # what goes wrong with the API server stands on the page
        await server_version(client)  # an API server that cannot be reached at all is worth no page
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        cluster = Cluster(client, namespace, SYSTEM_CLOCK)
        async with cluster.following(), PageServer(cluster, stop).serving(port) as address:
            click.echo(f"{address}\nCtrl-C ends it. Whoever has this address sees what you may see of the cluster.")
            if browser:
                await asyncio.to_thread(webbrowser.open, address)
            await stop.wait()
        return 0

    return screen
