"""Whether the process is up, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers. Says nothing of the database: that is /readyz."""
    return {"status": "ok"}
