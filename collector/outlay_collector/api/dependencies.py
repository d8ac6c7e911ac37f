"""What a request may ask of the running collector, typed.

`create_app` puts one `Running` on `app.state`; nothing else is global. Endpoints take the part they need:
`engine: EngineOf`, `now_ns: NowNs`. Each is a coroutine: a function would go to a thread and back for next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from outlay.prices import PriceBook
from sqlalchemy import Engine

from outlay_collector.billing import Report
from outlay_collector.ledger_metrics import LedgerMetrics
from outlay_collector.metrics import Metrics
from outlay_collector.security import Keys
from outlay_collector.settings import Settings
from outlay_collector.steps import Step
from outlay_collector.store.base import CallStore
from outlay_collector.writer import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The collector's parts while it runs. `clock` gives nanoseconds since the epoch."""

    settings: Settings
    engine: Engine
    store: CallStore
    writer: Writer[Report]
    steps: Writer[Step]
    decoders: ThreadPoolExecutor
    book: PriceBook
    metrics: Metrics
    ledger: LedgerMetrics
    keys: Keys
    clock: Callable[[], int]


def running(request: Request) -> Running:
    return cast(Running, request.app.state.running)


async def _settings(request: Request) -> Settings:
    return running(request).settings


async def _engine(request: Request) -> Engine:
    return running(request).engine


async def _store(request: Request) -> CallStore:
    return running(request).store


async def _now_ns(request: Request) -> int:
    return running(request).clock()


SettingsOf = Annotated[Settings, Depends(_settings)]
EngineOf = Annotated[Engine, Depends(_engine)]
StoreOf = Annotated[CallStore, Depends(_store)]
NowNs = Annotated[int, Depends(_now_ns)]
