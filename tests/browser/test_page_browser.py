"""`kubectl wasmcloud ui` in a real Chromium, over a real control plane, NATS, wadm and operator."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from support.operators.in_process import RunningOperator
from support.operators.page import page_of
from support.sites.applications import impatient
from support.sites.hostpools import NOWHERE, host_config
from support.sites.services import ServiceSite, http_components
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, Wadm
from testbed.build import Progress
from testbed.node import needs

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
# Where the pictures of the documents go; nowhere unless they are asked for.
PICTURES = os.environ.get("PICTURES", "")
BROKEN = "broken"
expect.set_options(timeout=30_000)


@dataclass
class Shown:
    """The cluster of these tests, and a browser at the address of its page."""

    cluster: ControlPlane
    admin: Admin
    site: ServiceSite
    address: str
    browser: Browser

    @contextlib.asynccontextmanager
    async def page(self, **options: Any) -> AsyncIterator[Page]:
        """The page as a user has just opened it. Whatever it writes to the console is an error in the end."""
        page = await self.browser.new_page(viewport={"width": 1280, "height": 900}, **options)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(f"{request.url}: {request.failure}"))
        try:
            await page.goto(self.address)
            await expect(page.locator("#connection")).to_have_text("✓ live")
            await expect(application(page, "shop")).to_contain_text("Deployed")
            yield page
            assert said == []
        finally:
            await page.close()

    def broken(self) -> str:
        return f"pool/{self.site.namespace}/{BROKEN}"


def application(page: Page, name: str) -> Any:
    return page.locator(f".application[data-id$='/{name}']")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    needs.install(Progress(), {"chromium": "chromium"})
    folder = tmp_path_factory.mktemp("page")
    async with contextlib.AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(ControlPlane.start(folder / "cluster"))
        nats = await stack.enter_async_context(NatsServer.start(folder / "nats"))
        await stack.enter_async_context(Wadm.start(folder / "wadm", nats.url))
        await stack.enter_async_context(Kwok.start(cluster, nodes=3))
        admin = await stack.enter_async_context(cluster.admin())
        await admin.apply_files(*sorted((ROOT / "manifests" / "crds").glob("*.yaml")))
        stack.enter_context(impatient())
        await stack.enter_async_context(RunningOperator.start(cluster))
        site = await stack.enter_async_context(
            ServiceSite.open(admin, nats, namespace="shop", lattice="default", replicas=3, hostLabels={"zone": "b"})
        )
        for pod in await site.pods():
            await stack.enter_async_context(site.host_on(pod, {"zone": "b"}, heartbeat=3.0))
        await admin.create(
            host_config(site.namespace, BROKEN, lattice=site.lattice.name, natsAddress=NOWHERE, secretName="nowhere")
        )
        await site.create("shop", http_components())
        await site.create("stuck", http_components(8081, requirements={"zone": "c"}))
        await site.app("shop", lambda item: item["status"].get("phase") == "Deployed", timeout=120)
        address = await stack.enter_async_context(page_of(cluster.kubeconfig))
        playwright = await stack.enter_async_context(async_playwright())
        # Chromium's own sandbox needs rights that root in a container does not have.
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield Shown(cluster, admin, site, address, browser)
        await browser.close()


async def test_the_map_has_the_lattice_its_hosts_the_applications_and_their_links(shown: Shown) -> None:
    async with shown.page() as page:
        lattice = page.locator(".lattice")
        await expect(lattice.locator("h3")).to_have_text(shown.site.lattice.name)
        await expect(lattice).to_contain_text("NATS up")
        await expect(page.locator(".host.good")).to_have_count(3)
        shop = application(page, "shop")
        await expect(shop).to_contain_text("3 of 3 scalers deployed")
        await expect(shop).to_contain_text(f"http://shop.{shown.site.namespace}.svc:8080 (1 ready)")
        await expect(shop.locator("svg g")).to_have_count(3)
        await expect(shop.locator("svg > path")).to_have_count(2)
        await expect(shop.locator("svg")).to_have_attribute("aria-label", "Links of shop: httpserver to web")
        await shop.locator(".open").click()
        await expect(page.locator(".host.lit").first).to_be_visible()
        await expect(page.locator("#detail")).to_contain_text("Runs on")


async def test_a_change_in_the_cluster_is_on_the_page_within_two_seconds(shown: Shown) -> None:
    async with shown.page() as page:
        made = host_config(shown.site.namespace, "fresh", lattice="another", natsAddress=NOWHERE)
        started = time.monotonic()
        await shown.admin.create(made)
        await expect(page.locator(".pool[data-id$='/fresh']")).to_be_visible(timeout=2000)
        assert time.monotonic() - started < 2.0
        await expect(page.locator("#recent")).to_contain_text(f"pool/{shown.site.namespace}/fresh")
        await shown.admin.delete(CONFIG, "fresh", shown.site.namespace)
        await expect(page.locator(".pool[data-id$='/fresh']")).to_have_count(0)
        await expect(page.locator("#recent")).to_contain_text("fresh deleted")


async def test_search_namespace_labels_and_troubled_filter_what_is_shown(shown: Shown) -> None:
    async with shown.page() as page:
        pools, applications = page.locator(".pool"), page.locator(".application")
        await page.fill("#search", "stuck")
        await expect(applications).to_have_count(1)
        await expect(page.locator(".host")).to_have_count(1)  # where a part of it runs
        await page.fill("#search", "no such thing")
        await expect(page.locator("#nothing")).to_have_text("Nothing matches the filter.")
        await page.fill("#search", "")
        await page.fill("#labels", "zone=b")
        await expect(pools).to_have_count(1)
        await expect(page.locator(".host")).to_have_count(3)
        await page.fill("#labels", "zone=c")
        await expect(pools).to_have_count(0)
        await page.fill("#labels", "")
        await page.check("#troubled")
        await expect(pools).to_have_count(1)
        await expect(applications).to_have_count(1)
        await page.uncheck("#troubled")
        await page.select_option("#namespace", shown.site.namespace)
        await expect(pools).to_have_count(2)


async def test_why_is_one_click_away(shown: Shown) -> None:
    async with shown.page() as page:
        await page.locator(f".pool[data-id='{shown.broken()}'] .open").click()
        first = page.locator(".causes li").first
        await expect(first).to_contain_text("Secret nowhere does not exist")
        await expect(first.locator("pre")).to_contain_text(f"kubectl -n {shown.site.namespace}")


async def test_the_keyboard_alone_reaches_search_hosts_and_details(shown: Shown) -> None:
    async with shown.page() as page:
        await page.keyboard.press("/")
        await page.keyboard.type("pool-")
        await expect(page.locator("#search")).to_have_value("pool-")
        hosts = page.locator(".host")
        await expect(hosts).to_have_count(3)
        await expect(page.locator(".host[tabindex='0']")).to_have_count(1)
        await page.locator(".host[tabindex='0']").focus()
        await page.keyboard.press("ArrowRight")
        await expect(hosts.nth(1)).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#detail")).to_be_focused()
        await expect(page.locator("#detail-title")).to_contain_text("Host ")
        await page.keyboard.press("Escape")
        await expect(hosts.nth(1)).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_fault(shown: Shown, scheme: str) -> None:
    async with shown.page(color_scheme=scheme) as page:
        await application(page, "shop").locator(".open").click()
        found = [await Axe().run(page)]
        if PICTURES and scheme == "light":
            await page.screenshot(path=Path(PICTURES) / "page-light.png")
        await page.locator(f".pool[data-id='{shown.broken()}'] .open").click()
        await expect(page.locator(".causes li").first).to_be_visible()
        found.append(await Axe().run(page))
        faults = [(fault["id"], fault["nodes"]) for each in found for fault in each.response["violations"]]
        assert faults == []
        if PICTURES and scheme == "dark":
            await page.screenshot(path=Path(PICTURES) / "page-why-dark.png")


async def test_a_thousand_hosts_are_drawn_and_a_change_redraws_one(shown: Shown) -> None:
    """Written by hand, without an operator in between: what the page does is the question here."""
    many, lattice = "many", "many"
    await shown.admin.create_namespace(many)
    try:
        async with asyncio.TaskGroup() as tasks:
            limit = asyncio.Semaphore(16)
            for number in range(20):
                tasks.create_task(paused_pool(shown.admin, many, lattice, f"p{number}", limit))
        async with shown.page() as page:
            await page.select_option("#namespace", many)
            await expect(page.locator(".host")).to_have_count(1000)
            await page.evaluate("""() => {
                window.made = 0;
                new MutationObserver((all) => { for (const one of all) window.made += one.addedNodes.length; })
                    .observe(document.getElementById("lattices"), {childList: true, subtree: true});
            }""")
            status = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
            await shown.admin.patch("v1/Pod", "p7-7", many, status, subresource="status")
            await expect(page.locator(f".host[data-id='host/{many}/p7-7']")).to_have_class("host good")
            assert await page.evaluate("window.made") < 100
            slowest = await page.evaluate("""async () => {
                let slowest = 0, last = performance.now();
                document.getElementById("search").value = "p1";
                document.getElementById("search").dispatchEvent(new Event("input", {bubbles: true}));
                for (let frame = 0; frame < 20; frame += 1) {
                    await new Promise(requestAnimationFrame);
                    slowest = Math.max(slowest, performance.now() - last);
                    last = performance.now();
                }
                return slowest;
            }""")
            print(f"1,000 hosts: the slowest frame while filtering took {slowest:.0f} ms")
            assert slowest < 1000
    finally:
        await shown.admin.delete("v1/Namespace", many)


async def paused_pool(admin: Admin, namespace: str, lattice: str, name: str, limit: asyncio.Semaphore) -> None:
    """A host config that the operator leaves alone, with 50 pods that no scheduler takes."""
    config = host_config(namespace, name, lattice=lattice, natsAddress=NOWHERE)
    config["metadata"]["annotations"] = {"k8s.wasmcloud.dev/paused": "true"}
    labels = {
        "app.kubernetes.io/name": "wasmcloud",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "wasmcloud-operator",
        "app.kubernetes.io/component": "host",
    }
    async with limit:
        await admin.create(config)
        for number in range(50):
            await admin.create(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": f"{name}-{number}", "namespace": namespace, "labels": labels},
                    "spec": {"schedulerName": "none", "containers": [{"name": "wasmcloud-host", "image": "x/host:1"}]},
                }
            )


async def test_an_api_server_that_is_gone_is_shown_and_found_again(shown: Shown) -> None:
    async with shown.page() as page:
        server = api_server(shown.cluster)
        await server.kill()
        await expect(page.locator("#problems")).to_contain_text("What is shown may be out of date")
        await expect(application(page, "shop")).to_be_visible()
        await server.restart()
        await expect(page.locator("#problems")).to_be_hidden(timeout=60_000)
        await shown.admin.create(host_config(shown.site.namespace, "later", lattice="another", natsAddress=NOWHERE))
        await expect(page.locator(".pool[data-id$='/later']")).to_be_visible()


def api_server(cluster: ControlPlane) -> Server:
    return next(server for server in cluster.servers if "apiserver" in server.name)
