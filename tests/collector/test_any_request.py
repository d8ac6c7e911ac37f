"""Whatever is asked of the API: no answer is a server's error, and every answer is what the OpenAPI document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from outlay_collector.app import create_app
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.collector.sending import NOW_NS

CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
DOCUMENT = create_app(Settings()).openapi()
FOUND: list[Any] = list(schemathesis.openapi.from_dict(DOCUMENT).get_all_operations())
OPERATIONS = [found.ok() for found in FOUND]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = f"sqlite:///{tmp_path_factory.mktemp('any')}/outlay.db"
    with Server(create_app(Settings(store=Store(url=database)), clock=lambda: NOW_NS)) as server:
        yield server.url


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.label for operation in OPERATIONS])
def test_no_request_makes_the_server_fail(operation: Any, url: str) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    ask()
