"""Whether the process is up, whether it can do its work, and its own figures for Prometheus."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.api.dependencies import Running, running
from outlay_collector.api.errors import error_response
from outlay_collector.writer import STALLED_S, DiskFull, Writer

router = APIRouter(tags=["health"])

_RETRY_AFTER_S: Final = 5


class _Prometheus(Response):
    media_type = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
async def get_health() -> dict[str, str]:
    """The process answers. Says nothing of the database: that is /readyz."""
    return {"status": "ok"}


@router.get("/readyz")
def get_readiness(request: Request) -> Response:
    """Calls can be stored and read: the database answers and the writer keeps up."""
    reason = unready(running(request))
    if reason is not None:
        return error_response(503, *reason, headers={"Retry-After": str(_RETRY_AFTER_S)})
    return Response('{"status":"ready"}', media_type="application/json")


def unready(collector: Running) -> tuple[str, str] | None:
    """Why the collector cannot do its work, as a code and a sentence; None where it can."""
    for writer in (collector.writer, collector.steps):
        if (reason := _standing_still(writer)) is not None:
            return reason
    try:
        collector.store.ping()
    except SQLAlchemyError as error:
        return "database_unavailable", f"the database does not answer: {type(error).__name__}"
    return None


def _standing_still(writer: Writer[Any]) -> tuple[str, str] | None:
    if not writer.alive:
        return "writer_stopped", "the writer has ended; nothing can be stored"
    if writer.stalled:
        return "writer_stalled", f"a transaction has gone on for over {STALLED_S:g} s; something holds the database"
    if writer.trouble is not None:
        return "disk_full" if isinstance(writer.trouble, DiskFull) else "not_stored", str(writer.trouble)
    return None


@router.get("/metrics", response_class=_Prometheus)
def get_metrics(request: Request) -> Response:
    """Prometheus text."""
    collector = running(request)
    collector.ledger.measure()
    reason = unready(collector)
    collector.metrics.put("outlay_ready", {(("reason", "" if reason is None else reason[0]),): float(reason is None)})
    return _Prometheus(collector.metrics.text())
