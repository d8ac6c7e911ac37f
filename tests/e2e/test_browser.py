"""The dashboard in a real browser, over a collector that real calls were reported to."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openai
import outlay
import pytest
from outlay_collector.dashboard_process import DashboardProcess
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.waiting import own_port

if TYPE_CHECKING:
    from tests.conftest import CollectorProcess, Provider

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE_MS = 60_000
HELLO: list[Any] = [{"role": "user", "content": "Say hello to the new customer."}]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path: apt-get install chromium")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard being served, and the address at which it looks for a collector."""

    url: str
    collector_url: str


@pytest.fixture(scope="module")
def dashboard() -> Iterator[Dashboard]:
    """The process `outlay up` starts. It is there before any collector is, as after a restart of the machine."""
    with own_port() as port, own_port() as collector_port:
        collector_url = f"http://127.0.0.1:{collector_port}"
        process = DashboardProcess(collector_url, port=port)
        process.start()
        try:
            assert process.wait(threading.Event())
            yield Dashboard(process.url, collector_url)
        finally:
            process.stop()


@pytest.fixture
def collector(stopped_collector: CollectorProcess, dashboard: Dashboard) -> CollectorProcess:
    """A collector without a call, where the dashboard looks for it."""
    stopped_collector.url = dashboard.collector_url
    stopped_collector.start()
    return stopped_collector


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page. It may reach this machine and nothing else."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(PATIENCE_MS)
    strangers: list[str] = []
    page.on("request", lambda request: strangers.append(request.url) if _leaves(request.url) else None)
    yield page
    page.close()
    assert strangers == []


def _leaves(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def exact(page: Page, label: str) -> str | None:
    """The figure of a headline card to its last digit."""
    return page.get_by_label(label, exact=True).locator(".figure").get_attribute("data-value")


def report_calls(collector: CollectorProcess, provider: Provider) -> None:
    """Two priced calls and one of a model nobody has a price for."""
    outlay.instrument(endpoint=collector.url, service="shop", environment="test")
    try:
        with openai.OpenAI(base_url=provider.openai, api_key="k") as client, outlay.context(feature="chat", user="ada"):
            client.chat.completions.create(model="gpt-4.1-mini", messages=HELLO)
            client.chat.completions.create(model="gpt-4.1", messages=HELLO)
            client.chat.completions.create(model="ft:gpt-4.1:acme::x", messages=HELLO)
        assert outlay.flush(timeout_s=60)
    finally:
        outlay.uninstrument()


def test_a_page_has_its_frame_when_it_is_the_first_one_ever_opened(
    collector: CollectorProcess, dashboard: Dashboard, page: Page
) -> None:
    page.goto(f"{dashboard.url}/calls")
    expect(page.get_by_role("heading", name="Calls")).to_be_visible()
    expect(page.get_by_role("link", name="Budgets")).to_be_visible()
    page.get_by_role("link", name="Budgets").click()
    expect(page.get_by_role("heading", name="Budgets")).to_be_visible()


def test_the_overview_fills_itself_with_the_figures_of_the_api(
    collector: CollectorProcess, fake_provider: Provider, dashboard: Dashboard, page: Page
) -> None:
    page.goto(dashboard.url)
    expect(page.get_by_text("No calls yet")).to_be_visible()
    expect(page.get_by_text(f'endpoint="{collector.url}"')).to_be_visible()

    report_calls(collector, fake_provider)
    expect(page.get_by_label("Calls today", exact=True)).to_contain_text("3 this month")

    today = collector.get("/api/v1/summary")["today"]
    assert Decimal(exact(page, "Spend today") or "") == Decimal(today["cost_usd"]) > 0
    assert exact(page, "Calls today") == str(today["calls"])
    assert float(exact(page, "p95 latency today") or "") == today["latency_ms"]["p95"]
    expect(page.get_by_label("Month to date", exact=True)).to_contain_text("and 1 call without a price")
    expect(page.get_by_text("outlay prices missing")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(5)


def test_a_collector_that_goes_away_and_comes_back_is_told_and_found_again(
    collector: CollectorProcess, dashboard: Dashboard, page: Page
) -> None:
    page.goto(dashboard.url)
    expect(page.get_by_text("No calls yet")).to_be_visible()
    collector.stop()
    expect(page.get_by_text("The collector is away")).to_be_visible()
    expect(page.get_by_text(f"No collector answers at {collector.url}")).to_be_visible()
    assert "Traceback" not in page.inner_text("body")
    collector.start()
    expect(page.get_by_text("No calls yet")).to_be_visible()
