"""Messages sent to channels by hand, where somebody waits to see what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from outlay_collector.cli import CommandError
from outlay_collector.cli.output import console

if TYPE_CHECKING:
    from outlay_alerts.config import Channel
    from outlay_alerts.message import Message


def send_to(channels: Iterable[Channel], message_for: Callable[[Channel], Message]) -> None:
    """Says which channel took its message. Raises `CommandError` with what the others answered, once all were asked."""
    from outlay_alerts.channels import TransportError, send

    failed = []
    for channel in channels:
        try:
            send(channel.url.get_secret_value(), message_for(channel))
        except TransportError as error:
            failed.append(f"{channel.name}: {error}")
        else:
            console().print(f"{channel.name}: delivered")
    if failed:
        raise CommandError("; ".join(failed))
