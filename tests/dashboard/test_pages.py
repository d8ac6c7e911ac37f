"""The pages as Streamlit runs them, over a real collector."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import outlay_dashboard
import pytest
import streamlit as st
from outlay.losses import encode_losses
from outlay.tally import Loss, Who
from outlay_dashboard.client import Client
from streamlit.testing.v1 import AppTest

if TYPE_CHECKING:
    from tests.dashboard.conftest import Collector

APP = Path(outlay_dashboard.__file__).with_name("app.py")


def opened(page: str = "") -> AppTest:
    """The dashboard at a page, after everything was drawn."""
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    if page:
        app.switch_page(f"views/{page}.py").run()
    assert not app.exception, app.exception
    return app


def words(app: AppTest) -> str:
    """All text of a page, markup left out."""
    texts = [element.proto.body for element in app.get("html")]
    for kind in (app.markdown, app.caption, app.warning, app.info, app.subheader, app.code):
        texts += [element.value for element in kind]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", " ".join(texts)))


def figure(app: AppTest, label: str) -> str | None:
    """The exact figure of a headline card; None where it is unknown."""
    markup = " ".join(element.proto.body for element in app.get("html"))
    card = re.search(rf'<section class="outlay-card[^"]*" aria-label="{label}">(.*?)</section>', markup)
    assert card is not None, f"no card {label!r}"
    value = re.search(r'data-value="([^"]*)"', card.group(1))
    return value and value.group(1)


def test_the_overview_shows_what_the_api_says(collector: Collector) -> None:
    for _ in range(3):
        collector.report()
    # gpt-4o at $2.50 and $10.00 a million: 1000 x 0.0000025 + 100 x 0.00001 = 0.0035 for each call.
    app = opened()
    assert Decimal(figure(app, "Month to date") or "") == Decimal("0.0105")
    today = collector.get("/api/v1/summary")["today"]
    assert figure(app, "Spend today") == today["cost_usd"]
    assert figure(app, "Calls today") == str(today["calls"])
    assert figure(app, "p95 latency today") == str(today["latency_ms"]["p95"])


def test_an_unpriced_call_is_counted_and_never_shown_as_nothing_spent(collector: Collector) -> None:
    collector.report(gen_ai__request__model="llm-nobody-knows", gen_ai__response__model="llm-nobody-knows")
    app = opened()
    assert figure(app, "Month to date") is None
    assert "and 1 call without a price" in words(app)
    assert "outlay prices missing" in words(app)


def test_that_every_call_is_priced_is_said_too(collector: Collector) -> None:
    collector.report()
    assert "Calls without a price: **0** today, **0** this month." in words(opened())


def test_calls_that_clients_have_lost_are_a_notice_above_the_figures(collector: Collector) -> None:
    collector.report()
    assert "lost by clients" not in words(opened())
    st.cache_data.clear()
    body = encode_losses(Who("p1", "shop", None, 1), {Loss.QUEUE_FULL: 10, Loss.KILLED: 2})
    headers = {"content-type": "application/x-protobuf"}
    httpx2.post(f"{collector.url}/v1/metrics", content=body, headers=headers, timeout=60).raise_for_status()
    assert "**12 calls were lost by clients** this month: killed 2, queue full 10." in words(opened())


def test_an_empty_database_shows_the_lines_to_paste_with_this_address(collector: Collector) -> None:
    app = opened()
    code = next(block.value for block in app.code if "instrument" in block.value)
    assert f'outlay.instrument(service="my-service", endpoint="{collector.url}")' in code
    compile(code, "pasted", "exec")


def test_with_a_key_the_lines_to_paste_take_it_from_the_environment(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_API_KEY", "secret")
    st.cache_resource.clear()
    code = next(block.value for block in opened().code if "instrument" in block.value)
    assert 'api_key=os.environ["OUTLAY_API_KEY"]' in code
    assert "secret" not in code
    compile(code, "pasted", "exec")


@pytest.mark.parametrize("page", ["overview", "calls", "budgets", "alerts"])
def test_a_collector_that_is_away_is_a_page_with_the_way_out_and_no_traceback(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("OUTLAY_ENDPOINT", url)
        st.cache_data.clear()
        st.cache_resource.clear()
        said = words(opened(page)).replace("\\", "")
    assert "The collector is away" in said
    assert url in said
    assert "outlay up" in said


@pytest.mark.parametrize("page", ["calls", "budgets", "alerts"])
def test_every_page_opens_on_an_empty_database(collector: Collector, page: str) -> None:
    opened(page)


def test_the_calls_can_be_filtered_by_what_occurs(collector: Collector) -> None:
    collector.report(user__id="ada")
    collector.report(user__id="bob")
    collector.report()
    app = opened("calls")
    users = app.multiselect(key="only-user")
    assert sorted(users.options) == ["(not set)", "ada", "bob"]
    users.select("bob").run()
    assert app.dataframe[0].value["User"].tolist() == ["bob"]


def test_the_calls_page_goes_to_older_calls_and_back(collector: Collector) -> None:
    for number in range(60):
        collector.report(seconds_ago=60 - number, user__id=f"user-{number}")
    app = opened("calls")
    assert app.dataframe[0].value["User"].tolist() == [f"user-{number}" for number in range(59, 9, -1)]
    app.button(key="older").click().run()
    assert app.dataframe[0].value["User"].tolist() == [f"user-{number}" for number in range(9, -1, -1)]
    app.button(key="newer").click().run()
    assert app.dataframe[0].value["User"].tolist()[0] == "user-59"


def test_a_list_of_calls_stands_still_until_its_reader_turns_it(collector: Collector) -> None:
    collector.report(user__id="ada")
    app = opened("calls")
    collector.report(user__id="bob", seconds_ago=0)
    st.cache_data.clear()
    assert app.run().dataframe[0].value["User"].tolist() == ["ada"]
    assert app.button(key="newest").click().run().dataframe[0].value["User"].tolist() == ["bob", "ada"]


def test_a_page_asks_the_collector_each_question_once(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    collector.report()
    asked: list[str] = []
    real = Client._get

    def noted(self: Client, path: str, read: Callable[[Any], Any], **params: Any) -> Any:
        asked.append(f"{path} {params}")
        return real(self, path, read, **params)

    monkeypatch.setattr(Client, "_get", noted)
    monkeypatch.setattr("streamlit.runtime.caching.cache_utils.TTLCACHE_TIMER", lambda: 0.0)  # no answer grows old
    app = opened()
    app.run()
    assert len(asked) == len(set(asked))
    assert len(asked) <= 10
