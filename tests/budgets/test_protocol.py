"""The lease protocol under everything that can happen to it: messages lost on either way or sent twice, processes that
die, spans before and after their settlements, time going by. What must hold in every state is `World.check`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import outlay
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from outlay.budgets.client import LeasedGate
from outlay.budgets.definition import read_budget
from outlay.budgets.estimate import Estimator
from outlay.budgets.lease import LeaseAnswer, LeaseRequest, SettleAnswer, SettleRequest
from outlay.budgets.ledger import HeldReservation
from outlay.budgets.remote import Remote, Unreachable
from outlay.model import Attribution, Call, Cost, CostStatus, Usage
from outlay.prices import PriceBook
from outlay.providers.base import Request
from outlay_collector.budget_states import budget_states
from outlay_collector.budgets import lend, settle
from outlay_collector.store.budgets import GRACE_S, LEASE_S, SETTLEMENTS
from outlay_collector.store.definitions import put_definition
from outlay_collector.store.engine import open_engine, reading
from outlay_collector.store.migrate import migrate
from outlay_collector.store.writing import write_reports
from sqlalchemy import Engine, select

from tests.budgets.reports import report_of

NANO = 10**9
NOON = 1_795_608_000 * NANO
LIMIT = 10_000
Answer = TypeVar("Answer")
Fate = Literal["arrives", "request lost", "answer lost"]
FATES: st.SearchStrategy[Fate] = st.sampled_from(["arrives", "arrives", "arrives", "request lost", "answer lost"])


class Wire(Remote):
    """The network between a process and the lender: it loses what it is told to lose."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int]) -> None:
        super().__init__("http://collector", None)
        self.fate: Fate = "arrives"
        self._engine = engine
        self._now_ns = now_ns

    def lease(self, request: LeaseRequest, timeout_s: float) -> LeaseAnswer:
        return self._carry(lambda: lend(self._engine, request, self._now_ns()))

    def settle(self, request: SettleRequest, timeout_s: float) -> SettleAnswer:
        return self._carry(lambda: settle(self._engine, request, self._now_ns()))

    def _carry(self, exchange: Callable[[], Answer]) -> Answer:
        if self.fate == "request lost":
            raise Unreachable("lost")
        answer = exchange()
        if self.fate == "answer lost":
            raise Unreachable("lost")
        return answer


class Process:
    """One application: its gate, its calls in flight, and what they really used."""

    def __init__(self, engine: Engine, clock_s: Callable[[], float], now_ns: Callable[[], int]) -> None:
        self.wire = Wire(engine, now_ns)
        self.gate = LeasedGate(self.wire, Estimator(PriceBook.bundled()), clock=clock_s, in_background=False)
        self.gate.tick()
        self.flying: list[HeldReservation] = []

    @staticmethod
    def worst(reservation: HeldReservation) -> int:
        return reservation.held[0].amount

    @property
    def reserved(self) -> int:
        return sum(map(self.worst, self.flying))


class World(RuleBasedStateMachine):
    """Three processes, one budget that blocks while its collector is away."""

    template: Path | None = None

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="outlay-world-"))
        self.engine = open_engine(f"sqlite:///{self._database()}")
        self.now_ns = NOON
        self.spent = 0
        self.unsent: list[tuple[int, tuple[str, str]]] = []
        self.arrived: dict[str, int] = {}
        self.spans = 0
        self.processes = [self._process() for _ in range(3)]

    def _database(self) -> Path:
        if World.template is None:
            World.template = Path(tempfile.mkdtemp(prefix="outlay-world-")) / "outlay.db"
            engine = open_engine(f"sqlite:///{World.template}")
            migrate(engine)
            entry = {"name": "bot", "limit": {"tokens": LIMIT}, "when_unreachable": "closed"}
            with engine.begin() as connection:
                put_definition(connection, read_budget(entry, "test"), "api", NOON)
            engine.dispose()
        return Path(shutil.copy(World.template, self.folder / "outlay.db"))

    def _process(self) -> Process:
        return Process(self.engine, lambda: self.now_ns / NANO, lambda: self.now_ns)

    @rule(index=st.integers(0, 2), tokens=st.integers(1, LIMIT // 3), fate=FATES)
    def start_a_call(self, index: int, tokens: int, fate: Fate) -> None:
        process = self.processes[index]
        process.wire.fate = fate
        request = Request(operation="chat", model="gpt-4o", max_output_tokens=tokens)
        try:
            reservation = process.gate.reserve("openai", request, Attribution())
        except outlay.BudgetExceeded:
            return
        assert isinstance(reservation, HeldReservation)
        process.flying.append(reservation)

    @rule(index=st.integers(0, 2), share=st.floats(0, 1), with_span=st.booleans(), twice=st.booleans())
    def end_a_call(self, index: int, share: float, with_span: bool, twice: bool) -> None:
        process = self.processes[index]
        if not process.flying:
            return
        reservation = process.flying.pop(0)
        used = int(Process.worst(reservation) * share)
        self.spans += 1
        span = (f"{self.spans:032x}", f"{self.spans:016x}")
        for _ in range(2 if twice else 1):
            cost = Cost(nano_usd=1, status=CostStatus.EXACT)
            reservation.settle(cost, Usage({"output": used}), span if with_span else None)
        self.spent += used
        if with_span:
            self.unsent.append((used, span))

    @precondition(lambda self: self.unsent)
    @rule(position=st.integers(0, 100))
    def a_span_arrives(self, position: int) -> None:
        used, span = self.unsent.pop(position % len(self.unsent))
        call = Call(
            provider="openai",
            operation="chat",
            model_requested="gpt-4o",
            started_at_ns=self.now_ns,
            ended_at_ns=self.now_ns,
            usage=Usage({"output": used}),
        )
        self.arrived[span[1]] = used
        with self.engine.begin() as connection:
            write_reports(connection, [report_of(call, span)], self.now_ns)

    @rule(index=st.integers(0, 2), fate=FATES)
    def the_background_works(self, index: int, fate: Fate) -> None:
        self.processes[index].wire.fate = fate
        self.processes[index].gate.tick()

    @rule(seconds=st.sampled_from([1, 5, 20]))
    def time_goes_by(self, seconds: int) -> None:
        self.now_ns += seconds * NANO

    @rule(index=st.integers(0, 2))
    def a_process_ends_well(self, index: int) -> None:
        process = self.processes[index]
        if not process.flying:
            process.wire.fate = "arrives"
            process.gate.close()
            self.processes[index] = self._process()

    @rule(index=st.integers(0, 2))
    def a_process_dies(self, index: int) -> None:
        """Its spans and settlements are gone. From when its lease comes back nobody can know what it spent; here it
        died before it spent anything it had not told of."""
        process = self.processes[index]
        process.wire.fate = "arrives"
        process.gate.flush(1)
        for reservation in process.flying:
            reservation.held = []
        self.processes[index] = self._process()

    @invariant()
    def check(self) -> None:
        if not hasattr(self, "engine"):
            return
        (state,) = budget_states(self.engine, self.now_ns)
        in_flight = sum(process.reserved for process in self.processes)
        assert self.spent + in_flight <= LIMIT, "the limit was passed"
        assert state.spent + state.leased - self._overtaking() <= LIMIT, "more was lent than there is"
        if all(self._is_leased(process) for process in self.processes):
            assert state.spent + state.leased >= self.spent + in_flight, "something is not counted"

    def _overtaking(self) -> int:
        """Calls whose span came before their settlement: they count twice until it comes."""
        with reading(self.engine) as connection:
            settled = set(connection.scalars(select(SETTLEMENTS.c.span_id)))
        return sum(used for span_id, used in self.arrived.items() if span_id not in settled)

    def _is_leased(self, process: Process) -> bool:
        """A call that outlives its lease by minutes, with its process unable to renew it, is out of sight till it
        ends."""
        accounts = process.gate._ledger._accounts.values() if process.flying else ()
        usable = [account.holding.usable_until for account in accounts]
        return all(until + GRACE_S > self.now_ns / NANO for until in usable)

    def teardown(self) -> None:
        """In the end every unit is where it belongs: nothing is leased, and what was spent was spent once."""
        if not hasattr(self, "engine"):
            return
        while self.unsent:
            self.a_span_arrives(0)
        for process in self.processes:
            process.wire.fate = "arrives"
            for reservation in process.flying:
                self.spent += Process.worst(reservation)
                reservation.settle(Cost.unpriced("abandoned"))
            process.gate.close()
        self.now_ns += (LEASE_S + GRACE_S) * NANO
        (state,) = budget_states(self.engine, self.now_ns)
        assert (state.spent, state.leased) == (self.spent, 0)
        self.engine.dispose()
        shutil.rmtree(self.folder)


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink one of these takes minutes
)
