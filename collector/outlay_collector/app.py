"""The wiring: from settings to a running collector. Knows every part; no part knows it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from outlay.prices import PriceBook
from sqlalchemy import Engine

from outlay_collector import alerting
from outlay_collector.answering import Answers
from outlay_collector.api import (
    alerts,
    budgets,
    calls,
    document,
    errors,
    export,
    health,
    leases,
    limits,
    losses,
    refusals,
    repricings,
    simulation,
    summary,
    traces,
    usage,
)
from outlay_collector.api.dependencies import Running
from outlay_collector.billing import Report
from outlay_collector.gate import BodyGate, KeyGate
from outlay_collector.ingest import priced
from outlay_collector.ledger_metrics import LedgerMetrics
from outlay_collector.metrics import Metrics
from outlay_collector.otlp import http as otlp
from outlay_collector.reporting import reporting
from outlay_collector.retention import pruning
from outlay_collector.rolling import rolling
from outlay_collector.security import Keys
from outlay_collector.settings import Settings
from outlay_collector.steps import Step
from outlay_collector.store.definitions import follow_file
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.steps import StepStore
from outlay_collector.tending import tending
from outlay_collector.writer import OF_STEPS, Writer

_PARTS: Final = (  # the first that knows a path answers it
    otlp,
    usage,
    summary,
    calls,
    traces,
    export,
    leases,
    limits,
    losses,
    simulation,
    budgets,
    refusals,
    alerts,
    repricings,
    health,
)


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], int] = time.time_ns,
    trusted: bool = False,
    own_key: str | None = None,
) -> FastAPI:
    """The collector as an ASGI application. Opens and migrates the database when it starts, closes it when it ends.

    `clock` gives nanoseconds since the epoch. `trusted`: nobody is asked for a key, because only this process can ask.
    `own_key` is one that may read for as long as the process lives, for what it starts itself.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with _run(settings, clock, own_key) as app.state.running:
            yield

    app = FastAPI(
        title="Outlay",
        version=version("outlay-collector"),
        lifespan=lifespan,
        docs_url=None,  # its pages run scripts of a third party, with the reader's key at hand
        redoc_url=None,
    )
    errors.install(app)
    app.add_middleware(BodyGate)
    if not trusted:
        app.add_middleware(KeyGate)
    app.add_middleware(Answers, log_requests=settings.server.log_requests)
    for part in _PARTS:
        app.include_router(part.router)
    document.install(app)
    return app


@contextmanager
def _run(settings: Settings, clock: Callable[[], int], own_key: str | None) -> Iterator[Running]:
    metrics = Metrics()
    metrics.put("outlay_build_info", {(("version", version("outlay-collector")),): 1})
    with (
        _database(settings, clock) as engine,
        ThreadPoolExecutor(1, thread_name_prefix="outlay-decoder") as decoders,
    ):
        book = PriceBook.bundled().overridden(settings.prices)
        store = SqlStore(engine, partial(priced, book=book))
        with (
            _working_beside(settings, store, engine, clock),
            _writing(store, engine, settings.server.queue_spans, clock, metrics) as (writer, steps),
        ):
            yield Running(
                settings=settings,
                engine=engine,
                store=store,
                writer=writer,
                steps=steps,
                decoders=decoders,
                book=book,
                metrics=metrics,
                ledger=LedgerMetrics(metrics, store, engine, clock),
                keys=Keys(engine, own=own_key),
                clock=clock,
            )


@contextmanager
def _database(settings: Settings, clock: Callable[[], int]) -> Iterator[Engine]:
    engine = open_engine(settings.store.url, synchronous=settings.store.synchronous)
    try:
        migrate(engine)
        if settings.budgets is not None:
            follow_file(engine, settings.budgets, clock())
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _working_beside(settings: Settings, store: SqlStore, engine: Engine, clock: Callable[[], int]) -> Iterator[None]:
    """What the collector does by itself, whether anybody asks it anything or not."""
    with (
        alerting.running(settings, store, engine, clock),
        reporting(settings, store, engine, clock),
        rolling(engine, clock),
        tending(engine, clock),
        pruning(engine, settings.retention, clock),
    ):
        yield


@contextmanager
def _writing(
    store: SqlStore, engine: Engine, most_waiting: int, clock: Callable[[], int], metrics: Metrics
) -> Iterator[tuple[Writer[Report], Writer[Step]]]:
    """The writers of calls and of the steps around them. What waits when the block is left is written first."""
    writer = Writer(store, clock, most_waiting, metrics)
    steps = Writer(StepStore(engine), clock, most_waiting, metrics, counters=OF_STEPS)
    metrics.watch("outlay_reports_waiting", lambda: writer.waiting)
    metrics.watch("outlay_reports_waiting_limit", lambda: writer.most_waiting)
    metrics.watch("outlay_steps_waiting", lambda: steps.waiting)
    writer.start()
    steps.start()
    try:
        yield writer, steps
    finally:
        writer.stop()
        steps.stop()
