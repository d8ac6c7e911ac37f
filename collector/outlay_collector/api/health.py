"""Whether the process is up, whether it can do its work, and its own figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.api.dependencies import running
from outlay_collector.api.errors import error_response

router = APIRouter(tags=["health"])


class _Prometheus(Response):
    media_type = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
async def get_health() -> dict[str, str]:
    """The process answers. Says nothing of the database: that is /readyz."""
    return {"status": "ok"}


@router.get("/readyz")
def get_readiness(request: Request) -> Response:
    """Calls can be stored and read: the database answers and the writer keeps up."""
    collector = running(request)
    if not collector.writer.alive:
        return error_response(503, "writer_stopped", "the writer has ended; nothing can be stored")
    if collector.writer.stalled:
        return error_response(503, "writer_stalled", "a batch has waited for its commit for over a minute")
    try:
        collector.store.ping()
    except SQLAlchemyError as error:
        return error_response(503, "database_unavailable", f"the database does not answer: {type(error).__name__}")
    return Response('{"status":"ready"}', media_type="application/json")


@router.get("/metrics", response_class=_Prometheus)
def get_metrics(request: Request) -> Response:
    """Prometheus text."""
    return _Prometheus(running(request).metrics.text())
