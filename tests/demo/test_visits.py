"""Who comes to the sample application, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from outlay_collector.demo.visits import FEATURES, TENANTS, spread, visits

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def test_the_same_seed_brings_the_same_visitors() -> None:
    assert list(islice(visits(7), 50)) == list(islice(visits(7), 50))
    assert list(islice(visits(7), 50)) != list(islice(visits(8), 50))


def test_every_feature_and_tenant_is_used() -> None:
    seen = list(islice(visits(1), 300))
    assert {visit.feature for visit in seen} == set(FEATURES)
    assert {visit.tenant for visit in seen} == set(TENANTS)


def test_moments_are_in_the_window_oldest_first() -> None:
    moments = spread(500, 30, NOW, 1)
    assert moments == sorted(moments, reverse=True)
    assert moments[0] <= timedelta(days=30)
    assert moments[-1] >= timedelta()
    assert len({moment.days for moment in moments}) > 20


def test_there_is_more_to_do_by_day_than_by_night() -> None:
    hours = [(NOW - moment).hour for moment in spread(1000, 30, NOW, 1)]
    assert sum(8 <= hour < 18 for hour in hours) > 3 * sum(hour < 5 for hour in hours)
