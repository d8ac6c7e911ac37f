"""Sends a message to the URL of a channel.

Everything Apprise understands is a channel, and besides it the `http(s)://` address of any incoming webhook that takes
Slack's form (Mattermost, Rocket.Chat, a proxy of one's own). Redirects are not followed: an address that was allowed
must not lead to one that was not. What goes wrong is told by status code and never by the URL, which is a secret.
"""

from __future__ import annotations

import json
import logging
import re
from email.message import Message as Headers
from html import escape
from http.client import HTTPException
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyBase, NotifyFormat, NotifyType
from outlay.errors import OutlayError

from outlay_alerts.message import Message
from outlay_alerts.verdict import Severity

TIMEOUT_S: Final = 15.0

_STATUS: Final = re.compile(r"error=(\d{3})\b")
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_ASSET: Final = AppriseAsset(
    app_id="Outlay", app_desc="Outlay", app_url="", image_url_mask="", image_url_logo="", http_redirects=False
)
_TYPES: Final = {
    Severity.CRITICAL: NotifyType.FAILURE,
    Severity.WARNING: NotifyType.WARNING,
    Severity.INFO: NotifyType.INFO,
    None: NotifyType.SUCCESS,
}

# Apprise logs the URLs it cannot read, secrets included.
logging.getLogger("apprise").addFilter(lambda record: "://" not in record.getMessage())


class TransportError(OutlayError):
    """A message was not taken. `permanent`: sending it again will not help, the URL or the message is wrong."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


def usable(url: str) -> bool:
    """Whether `send` would know what to do with this URL. Nothing is sent."""
    return _is_webhook(url) or _service(url) is not None


def send(url: str, message: Message) -> None:
    """Delivers the message, in at most some 15 seconds. Raises `TransportError`."""
    service = _service(url)
    if service is not None:
        _send_by_apprise(service, message)
    elif _is_webhook(url):
        _post(url, message)
    else:
        raise TransportError("the channel's URL is not one that can be sent to", permanent=True)


def _service(url: str) -> NotifyBase | None:
    return Apprise.instantiate(url, asset=_ASSET)


def _is_webhook(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # what urlsplit makes of a port or an IPv6 address it cannot read
        return False


def _send_by_apprise(service: NotifyBase, message: Message) -> None:
    sender = Apprise(asset=_ASSET)
    sender.add(service)
    result = sender.notify(
        title=message.title,
        body=message.body,
        notify_type=_TYPES[message.severity],
        body_format=NotifyFormat.TEXT,
        timeout=TIMEOUT_S,
    )
    if result:
        return
    name = str(service.service_name)
    if result.status is AppriseResultStatus.TIMEOUT:
        raise TransportError(f"{name} did not answer within {TIMEOUT_S:.0f} s")
    # Apprise keeps a service's answer to itself but for the status in its log; the rest of the line may hold secrets.
    found = [_STATUS.search(entry.message) for entry in result.logs()]
    statuses = [int(match[1]) for match in found if match]
    raise _refused(name, statuses[-1]) if statuses else TransportError(f"{name} could not be reached or refused")


def _post(url: str, message: Message) -> None:
    """Slack's incoming webhook: a JSON object whose `text` is what is shown, `&`, `<` and `>` escaped."""
    text = f"*{escape(message.title, quote=False)}*\n{escape(message.body, quote=False)}"
    request = Request(
        url, data=json.dumps({"text": text}).encode(), headers={"content-type": "application/json"}, method="POST"
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S):
            pass
    except HTTPError as error:
        error.close()
        raise _refused("the webhook", error.code) from None
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error  # its text may name the address
        raise TransportError(f"the webhook could not be reached: {type(cause).__name__}") from None


def _refused(name: str, status: int) -> TransportError:
    permanent = status < 500 and status not in _WORTH_ANOTHER_TRY
    return TransportError(f"{name} answered {status}", permanent=permanent)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Headers, newurl: str
    ) -> Request | None:
        return None


_OPENER: Final = build_opener(_NoRedirect)
