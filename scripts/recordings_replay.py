"""Every recorded exchange that an installed SDK can send again: is the usage on Outlay's span the recording's?

    python scripts/recordings_replay.py [folder] [--server replay_server.py] [--sdk NAME] [--provider NAME] [--every N]

The real SDKs talk over loopback HTTP to a server that answers as was recorded, with Outlay on and a collector of this
script's behind it, each with its synchronous and its asynchronous client. The table counts, by provider and api: the
exchanges, those an SDK could send, those whose spans say what the recording says in every way they were sent, and those
that differ. Below it stand the reasons why the rest could not be sent. Fails where a span differs from its recording.

The folder holds gzip JSON lines, one exchange a line, as `recordings_coverage.py` describes them; by default it is
`recordings` in the reference data beside this checkout, and the server is the one in `replay` beside the folder.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from replay.drivers import Driver, NotReplayable, installed
from replay.recording import Exchange, exchanges
from replay.stage import Stage
from replay.verdict import difference

REPOSITORY: Final = Path(__file__).parent.parent
COLUMNS: Final = ("exchanges", "replayable", "equal", "different")


class Replay:
    """Plays exchanges and counts how they went, by provider and api."""

    def __init__(self, stage: Stage, drivers: dict[str, Driver]) -> None:
        self._stage = stage
        self._drivers = drivers
        self._told: set[str] = set()
        self.rows: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.reasons: Counter[str] = Counter()
        self.differences: list[str] = []

    def add(self, exchange: Exchange) -> None:
        """Play it with every SDK that can send it."""
        row = self.rows[exchange.provider, exchange.api]
        row["exchanges"] += 1
        found, reasons = [], []
        for sdk, driver in self._drivers.items():
            for is_async in (False, True):
                try:
                    found.append(self._play(exchange, sdk, driver, is_async))
                except NotReplayable as reason:
                    reasons.append(str(reason))
        if not found:
            self.reasons[f"{exchange.provider} {exchange.api}: {max(reasons, key=len, default='no SDK')}"] += 1
            return
        different = [line for line in found if line is not None]
        row["replayable"] += 1
        row["different" if different else "equal"] += 1
        self.differences.extend(different)

    def _play(self, exchange: Exchange, sdk: str, driver: Driver, is_async: bool) -> str | None:
        play = driver.play(exchange, f"{self._stage.url}/{exchange.provider}", is_async)
        spans, error = self._stage.watch(play, is_async)
        if error is not None and exchange.status < 400 and not spans and exchange.is_call():
            raise NotReplayable(f"{sdk} refuses it before it is sent: {type(error).__name__}") from error
        found = difference(exchange, spans, self._told)
        how = f"{exchange.id} ({sdk}{', async' if is_async else ''})"
        return f"{how}: {found}" + (f"; it raised {error!r}" if error else "") if found else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY.parent / "shared" / "recordings")
    parser.add_argument("--server", type=Path, help="the server that replays; by default beside the folder")
    parser.add_argument("--sdk", action="append", help="only with this SDK (may be given again)")
    parser.add_argument("--provider", action="append", help="only this provider's exchanges (may be given again)")
    parser.add_argument("--every", type=int, default=1, help="only each so-manieth exchange of a provider")
    parser.add_argument("--verbose", action="store_true", help="list every difference, not the first forty")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"no such folder: {arguments.folder}")
    server = arguments.server or arguments.folder.parent / "replay" / "replay_server.py"
    drivers = {sdk: driver for sdk, driver in installed().items() if not arguments.sdk or sdk in arguments.sdk}
    found = [e for e in exchanges(arguments.folder) if not arguments.provider or e.provider in arguments.provider]
    found = [e for _, its in groupby(found, lambda e: e.provider) for e in islice(its, 0, None, arguments.every)]
    replay = run(found, server, arguments.folder, drivers)
    _print_table(replay)
    for line in replay.differences if arguments.verbose else replay.differences[:40]:
        print("different", line)
    return 1 if replay.differences else 0


def run(found: Iterable[Exchange], server: Path, folder: Path, drivers: dict[str, Driver]) -> Replay:
    """Play the exchanges, which the server finds in the folder."""
    warnings.simplefilter("ignore")  # SDKs warn of models and methods that are deprecated by now
    logging.disable(logging.ERROR)
    with Stage(server, folder) as stage:
        replay = Replay(stage, drivers)
        for exchange in found:
            replay.add(exchange)
    return replay


def _print_table(replay: Replay) -> None:
    print(f"{'provider':16} {'api':18}" + "".join(f"{column:>12}" for column in COLUMNS))
    total = sum(replay.rows.values(), Counter())
    for (provider, api), row in [*sorted(replay.rows.items()), (("total", ""), total)]:
        print(f"{provider:16} {api:18}" + "".join(f"{row[column] or '':>12}" for column in COLUMNS))
    print("\nnot replayable:")
    for reason, times in replay.reasons.most_common():
        print(f"{times:6} {reason}")


if __name__ == "__main__":
    sys.exit(main())
