"""Lookup: the right price for a name, a time and terms, on both sides of every edge."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from outlay.model import CostStatus, Terms, Usage
from outlay.prices import Price, PriceBook, Unpriced

BOOK = PriceBook.bundled()
JUNE = "2026-06-15T12:00:00Z"


def ns(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * 10**9


def find(
    provider: str, model: str, at: str = JUNE, terms: Terms | None = None, input_tokens: int = 0
) -> Price | Unpriced:
    return BOOK.find(provider=provider, model=model, at_ns=ns(at), terms=terms or Terms(), input_tokens=input_tokens)


def rates(
    provider: str, model: str, at: str = JUNE, terms: Terms | None = None, input_tokens: int = 0
) -> tuple[Decimal, Decimal]:
    """Input and output."""
    price = find(provider, model, at, terms, input_tokens)
    assert isinstance(price, Price), price
    return price.rates["input"], price.rates["output"]


def usd(*amounts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, amounts))


@pytest.mark.parametrize(
    ("provider", "model", "last_second", "before", "after"),
    [
        ("openai", "o3", "2025-06-09T23:59:59Z", ("10", "40"), ("2", "8")),
        ("openai", "gpt-5.6-luna", "2026-07-29T23:59:59Z", ("1", "6"), ("0.2", "1.2")),
        ("openai", "gpt-5.6-terra", "2026-07-29T23:59:59Z", ("2.5", "15"), ("2", "12")),
        ("openai", "gpt-5.6-sol", "2026-08-20T23:59:59Z", ("5", "30"), ("4", "20")),
        ("google", "gemini-4-argon", "2026-11-30T23:59:59Z", ("2", "10"), ("4", "20")),
        # Announced to rise to $3 and $15, and then left where it was.
        ("anthropic", "claude-sonnet-5", "2026-08-31T23:59:59Z", ("2", "10"), ("2", "10")),
        ("deepseek", "deepseek-v4-pro", "2026-08-16T23:59:59Z", ("0.435", "0.87"), ("0.66", "1.98")),
        # A Friday's peak hours.
        ("deepseek", "deepseek-v4-pro", "2026-11-20T00:59:59Z", ("0.66", "1.98"), ("1.32", "3.96")),
        ("deepseek", "deepseek-v4-pro", "2026-11-20T03:59:59Z", ("1.32", "3.96"), ("0.66", "1.98")),
        ("deepseek", "deepseek-v4-pro", "2026-11-20T05:59:59Z", ("0.66", "1.98"), ("1.32", "3.96")),
        ("deepseek", "deepseek-v4-pro", "2026-11-20T09:59:59Z", ("1.32", "3.96"), ("0.66", "1.98")),
        # A Saturday has none; the last Saturday before weekends were freed of them had.
        ("deepseek", "deepseek-v4-pro", "2026-11-21T05:59:59Z", ("0.66", "1.98"), ("0.66", "1.98")),
        ("deepseek", "deepseek-v4-pro", "2026-08-22T05:59:59Z", ("0.66", "1.98"), ("1.32", "3.96")),
        # V3's discount hours ran from 16:30 to 00:30.
        ("deepseek", "deepseek-chat", "2026-06-01T00:29:59Z", ("0.135", "0.55"), ("0.27", "1.1")),
        ("deepseek", "deepseek-chat", "2026-06-01T16:29:59Z", ("0.27", "1.1"), ("0.135", "0.55")),
    ],
)
def test_a_price_moves_with_the_second_of_the_call_in_utc(
    provider: str, model: str, last_second: str, before: tuple[str, str], after: tuple[str, str]
) -> None:
    first_second = ns(last_second) + 10**9

    assert rates(provider, model, last_second) == usd(*before)
    moved = BOOK.find(provider=provider, model=model, at_ns=first_second)
    assert isinstance(moved, Price)
    assert (moved.rates["input"], moved.rates["output"]) == usd(*after)
    just_before = BOOK.find(provider=provider, model=model, at_ns=first_second - 1)
    assert isinstance(just_before, Price)
    assert (just_before.rates["input"], just_before.rates["output"]) == usd(*before)


def test_a_size_tier_can_end_on_a_date() -> None:
    # 250,000 x $10 + 1,000 x $37.50 a million; flat from 2026-03-13: 250,000 x $5 + 1,000 x $25.
    usage = Usage({"input": 250_000, "output": 1_000})

    def cost(at: str) -> int | None:
        return BOOK.cost(usage, provider="anthropic", model="claude-opus-4-6", at_ns=ns(at)).nano_usd

    assert cost("2026-03-12T23:59:59Z") == 2_537_500_000
    assert cost("2026-03-13T00:00:00Z") == 1_275_000_000


@pytest.mark.parametrize(
    ("provider", "model", "threshold", "base", "above"),
    [
        ("openai", "gpt-5.4", 272_000, ("2.5", "15"), ("5", "22.5")),
        ("google", "gemini-2.5-pro", 200_000, ("1.25", "10"), ("2.5", "15")),
        ("anthropic", "claude-haiku-5-5", 100_000, ("0.1", "0.5"), ("0.5", "2.5")),
        # xAI's boundary belongs to the dearer side: 200,000 tokens are already above it.
        ("xai", "grok-4.6", 199_999, ("2", "6"), ("4", "12")),
    ],
)
def test_one_token_above_a_threshold_moves_the_whole_request(
    provider: str, model: str, threshold: int, base: tuple[str, str], above: tuple[str, str]
) -> None:
    assert rates(provider, model, input_tokens=threshold) == usd(*base)
    assert rates(provider, model, input_tokens=threshold + 1) == usd(*above)


@pytest.mark.parametrize(
    ("provider", "model", "terms", "expected"),
    [
        ("openai", "gpt-5-mini", Terms(service_tier="flex"), ("0.125", "1")),
        ("openai", "gpt-5-mini", Terms(service_tier="default"), ("0.25", "2")),
        ("openai", "gpt-4o", Terms(service_tier="priority"), ("4.25", "17")),
        ("openai", "gpt-4o", Terms(service_tier="fast"), ("4.25", "17")),
        ("openai", "gpt-5.5", Terms(batch=True), ("2.5", "15")),
        ("anthropic", "claude-opus-5", Terms(batch=True), ("2.5", "12.5")),
        ("anthropic", "claude-opus-5", Terms(speed="fast"), ("10", "50")),
        ("anthropic", "claude-opus-5", Terms(region="us"), ("5.5", "27.5")),
        ("anthropic", "claude-opus-4-5", Terms(region="us"), ("5", "25")),
        ("openai", "gpt-5.5", Terms(region="eu"), ("5.5", "33")),
        ("google", "gemini-2.5-flash", Terms(service_tier="flex"), ("0.15", "1.25")),
        ("google", "gemini-2.5-pro", Terms(service_tier="priority"), ("2.25", "18")),
    ],
)
def test_the_terms_of_the_call_choose_the_rates(
    provider: str, model: str, terms: Terms, expected: tuple[str, str]
) -> None:
    price = find(provider, model, terms=terms)

    assert isinstance(price, Price)
    assert price.inferred is None
    assert (price.rates["input"], price.rates["output"]) == usd(*expected)


def test_batch_and_long_context_stack() -> None:
    # gpt-5.6-sol in a batch above 272,000 tokens: 200,000 x $5 + 100,000 cached x $0.50 + 2,000 x $22.50 a million.
    usage = Usage({"input": 200_000, "cache_read": 100_000, "output": 2_000})
    found = BOOK.cost(usage, provider="openai", model="gpt-5.6-sol", at_ns=ns(JUNE), terms=Terms(batch=True))

    assert (found.nano_usd, found.status) == (1_095_000_000, CostStatus.EXACT)


def test_a_cached_token_of_a_batch_without_a_cached_rate_costs_the_batchs_input() -> None:
    price = find("openai", "gpt-4.1", terms=Terms(batch=True))

    assert isinstance(price, Price)
    assert price.rates["cache_read"] == Decimal(1)


def test_a_published_rate_that_is_rounded_stays_rounded() -> None:
    price = find("openai", "gpt-5.4", terms=Terms(service_tier="flex"))

    assert isinstance(price, Price)
    assert price.rates["cache_read"] == Decimal("0.13")


def test_a_region_multiplies_tokens_and_not_fees() -> None:
    price = find("anthropic", "claude-opus-5", terms=Terms(region="us"))

    assert isinstance(price, Price)
    assert price.rates["cache_write_1h"] == Decimal(11)
    assert price.rates["web_search"] == Decimal(10)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (Terms(service_tier="scale"), "openai/gpt-4o has no price for tier scale: the standard one was used"),
        (Terms(service_tier="flex"), "openai/gpt-4o has no price for tier flex: the standard one was used"),
    ],
)
def test_a_tier_nobody_prices_is_estimated_at_the_standard_rates(terms: Terms, reason: str) -> None:
    cost = BOOK.cost(Usage({"input": 1_000_000}), provider="openai", model="gpt-4o", at_ns=ns(JUNE), terms=terms)

    assert (cost.nano_usd, cost.status, cost.reason) == (2_500_000_000, CostStatus.ESTIMATED, reason)


@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        ("openai", "gpt-4o", "openai/gpt-4o"),
        ("openai", "GPT-4o", "openai/gpt-4o"),
        ("openai", "openai/gpt-4o", "openai/gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),
        ("openai", "gpt-5.4-20260305", "openai/gpt-5.4"),
        ("openai", "ft:gpt-4.1-2025-04-14:acme::x", "openai/ft:gpt-4.1-2025-04-14"),
        ("anthropic", "claude-opus-4-5-20251101", "anthropic/claude-opus-4-5"),
        ("google", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gcp.gemini", "gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("vertex_ai", "claude-opus-4-6@20260205", "google/claude-opus-4-6"),
        ("azure.ai.openai", "gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("bedrock", "global.anthropic.claude-opus-4-8-v1:0", "bedrock/global.anthropic.claude-opus-4-8-v1:0"),
        ("bedrock", "us.anthropic.claude-opus-4-8-v1:0", "bedrock/regional.anthropic.claude-opus-4-8-v1:0"),
        ("aws.bedrock", "anthropic.claude-opus-4-8-v1:0", "bedrock/regional.anthropic.claude-opus-4-8-v1:0"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-8-v1:0",
            "bedrock/regional.anthropic.claude-opus-4-8-v1:0",
        ),
        ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
        ("openrouter", "openai/gpt-4o", "openrouter/openai/gpt-4o"),
        ("x_ai", "grok-4.6", "xai/grok-4.6"),
        ("mistral", "mistral-large-latest", "mistral/mistral-large-2512"),
    ],
)
def test_a_name_means_one_entry(provider: str, model: str, name: str) -> None:
    price = find(provider, model)

    assert isinstance(price, Price), price
    assert price.id.partition("#")[0].partition("@")[0] == name
    assert price.inferred is None


@pytest.mark.parametrize(
    ("provider", "model", "rates_expected", "reason"),
    [
        (
            "openai",
            "gpt-4o-2031-01-01",
            ("2.5", "10"),
            "openai lists no snapshot gpt-4o-2031-01-01: the price of gpt-4o was used",
        ),
        (
            "anthropic",
            "claude-opus-4-6-turbo",
            ("5", "25"),
            "anthropic lists no claude-opus-4-6-turbo: the price of claude-opus-4-6 was used",
        ),
        (
            "some-gateway",
            "openai/gpt-4o",
            ("2.5", "10"),
            "no price list for provider some-gateway: that of openai was used",
        ),
    ],
)
def test_a_name_that_is_only_like_an_entry_says_so(
    provider: str, model: str, rates_expected: tuple[str, str], reason: str
) -> None:
    price = find(provider, model)

    assert isinstance(price, Price), price
    assert (price.rates["input"], price.rates["output"]) == usd(*rates_expected)
    assert price.inferred == reason


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [
        ("openai", "acme-house-model-7b", "no price for openai/acme-house-model-7b: give it a [[price]] entry"),
        ("openai", "gpt-4", None),
        ("openai", "gpt-4o-ultra", "no price for openai/gpt-4o-ultra: give it a [[price]] entry"),
        ("openai", "claude-sonnet-4-6", "no price for openai/claude-sonnet-4-6: give it a [[price]] entry"),
        ("azure", "my-deployment", "no price for azure/my-deployment: give it a [[price]] entry"),
        ("ollama", "llama3", "no price list for provider ollama: give llama3 a [[price]] entry"),
        ("openai", "acme/gpt-4o", "no price for openai/acme/gpt-4o: give it a [[price]] entry"),
        ("openai", "", "the model is not known"),
    ],
)
def test_a_name_without_a_price_has_none_and_says_why(provider: str, model: str, reason: str | None) -> None:
    found = find(provider, model)

    assert (found.reason if isinstance(found, Unpriced) else None) == reason


def test_a_platform_that_sells_anothers_model_says_whose_tier_prices_it_used() -> None:
    price = find("azure", "gpt-4o", terms=Terms(batch=True))

    assert isinstance(price, Price)
    assert price.rates["input"] == Decimal("1.25")
    assert price.inferred == "azure lists no tier prices of gpt-4o: those of openai were used"


def test_a_call_long_after_the_book_was_checked_is_estimated() -> None:
    price = find("openai", "gpt-4", at="2029-01-01T00:00:00Z")

    assert isinstance(price, Price)
    assert price.inferred == "the price was last checked over a year before the call (genai-prices 0.2.3 (2026-11-10))"


@pytest.mark.parametrize("at_ns", [2**80, -(2**80)])
def test_a_moment_beyond_every_calendar_is_unpriced_and_raises_nothing(at_ns: int) -> None:
    cost = BOOK.cost(Usage({"input": 1}), provider="openai", model="gpt-4o", at_ns=at_ns)

    assert cost.reason == f"openai/gpt-4o has no price at {at_ns} ns, which is no date"


def test_what_is_remembered_of_names_from_outside_is_bounded() -> None:
    book = PriceBook.bundled().overridden([])
    for number in range(10_000):
        book.find(provider="openai", model=f"nobody-{number}", at_ns=ns(JUNE))

    assert len(book._listings) <= 4096
