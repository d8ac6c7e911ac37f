"""Whatever is asked of the API: no answer is a server's error, and every answer is what the OpenAPI document says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, given, settings
from outlay_collector.app import create_app
from outlay_collector.security import right_for
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.collector.sending import NOW_NS

REPOSITORY = Path(__file__).parents[2]
CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
DOCUMENT = create_app(Settings()).openapi()
FOUND: list[Any] = list(schemathesis.openapi.from_dict(DOCUMENT).get_all_operations())
OPERATIONS = [found.ok() for found in FOUND]


def test_the_document_has_every_route_and_no_other() -> None:
    app = create_app(Settings())
    served = {
        (method, context.path)
        for context in iter_route_contexts(app.routes)
        for method in (context.methods or ())
        if context.path != "/openapi.json"
    }
    documented = {(m.upper(), path) for path, operations in app.openapi()["paths"].items() for m in operations}
    assert documented == served - {("HEAD", path) for _, path in served}
    assert len(documented) == len(OPERATIONS) > 30


def test_every_route_the_docs_name_is_in_the_document() -> None:
    documented = {(m.upper(), path) for path, operations in DOCUMENT["paths"].items() for m in operations}
    pages = "".join(page.read_text() for page in (REPOSITORY / "docs").glob("*.md"))
    named = {(m, path) for m, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[\w/{}.-]+)", pages)}
    assert named
    assert {(m, re.sub(r"{\w+}", "{}", path)) for m, path in named} <= {
        (m, re.sub(r"{\w+}", "{}", path)) for m, path in documented
    }


def test_the_document_knows_one_shape_of_errors_and_the_scope_of_each_request() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            shown = str(operation["responses"]["default"]["content"]["application/json"])
            assert "#/components/schemas/Error" in shown
            assert operation.get("x-outlay-scope") == right_for(method.upper(), path)
    assert "HTTPValidationError" not in str(DOCUMENT)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        database = f"sqlite:///{tmp_path_factory.mktemp('any')}/outlay.db"
    else:
        server = request.getfixturevalue("_postgres")
        server.psql("CREATE DATABASE any_request;")
        database = str(server.get_uri("any_request"))
    with Server(create_app(Settings(store=Store(url=database)), clock=lambda: NOW_NS)) as server:
        yield server.url


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.label for operation in OPERATIONS])
def test_no_request_makes_the_server_fail(operation: Any, url: str) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    ask()
