"""What may leave the process of a prompt or an answer: personal data and secrets taken out of text.

Each kind has a pattern that finds candidates and, where chance finds are many, a check: Luhn for cards, mod 97 for
IBANs, a real address for IPs. What is found is replaced by its kind, `[email]`. Finding is a matter of form: a name or
an address in prose stays, and so does a secret that looks like a word. Used where content leaves an application, and
again where the collector takes it in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing to take out. A match counts where `is_one` says so."""

    name: str
    pattern: re.Pattern[str]
    is_one: Check


def _always(found: str) -> bool:
    return True


def _is_card(found: str) -> bool:
    digits = [int(each) for each in found if each.isdigit()]
    doubled = (2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[-2::-2])
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(found: str) -> bool:
    """ISO 13616: country and check digits moved to the end, letters as numbers from 10, remainder 1 by 97."""
    plain = re.sub(r"[ -]", "", found)
    return 15 <= len(plain) <= 34 and int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def _is_ip(found: str) -> bool:
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    return True


def _is_phone(found: str) -> bool:
    """E.164 has up to 15 digits. Without a plus it needs groups, and dates and decimals have those too."""
    digits = sum(map(str.isdigit, found))
    if found.startswith("+"):
        return 8 <= digits <= 15
    return 9 <= digits <= 15 and not re.match(r"(?:19|20)\d\d[-./ ]\d\d?[-./ ]\d\d?\b|\d+\.\d+$", found)


def _is_random(found: str) -> bool:
    """Long runs of letters of both cases and digits are keys, and so are hexadecimal ones; words, paths and
    hyphenated names are not."""
    kinds = [any(map(test, found)) for test in (str.isdigit, str.isupper, str.islower)]
    return (all(kinds) and len(set(found)) > 12) or (kinds[0] and _HEXADECIMAL.fullmatch(found) is not None)


_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")


def _kind(name: str, pattern: str, is_one: Check = _always, flags: int = 0) -> Kind:
    return Kind(name, re.compile(pattern, flags), is_one)


_PREFIXED_KEYS: Final = "|".join(
    (
        r"(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9_-]{12,}",  # OpenAI, Anthropic, Stripe, OpenRouter, Langfuse
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",  # AWS
        r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}",
        r"xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}",  # Slack
        r"AIza[\w-]{30,}|ya29\.[\w-]{20,}",  # Google
        r"(?:hf|npm|gsk|r8|pplx|xai|dop_v1|shpat|sq0\w{3}|SG)[_.-][\w.-]{16,}",
        r"pypi-[\w-]{16,}|AGE-SECRET-KEY-1[\w]{20,}",
        r"eyJ[\w-]{8,}\.[\w-]*(?:\.[\w-]*)*",  # JSON web tokens
    )
)

KINDS: Final[tuple[Kind, ...]] = (
    _kind("key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", flags=re.S),
    _kind("key", rf"(?<![A-Za-z0-9])(?:{_PREFIXED_KEYS})"),
    _kind("token", r"(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{8,}"),
    _kind(
        "secret",
        r"(?P<keep>(?i:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)"
        r"[\"']?(?:\s*[:=]\s*|\s+is\s+(?=\S*\d))[\"']?)[^\s\"',;{}\[\]]{4,}",
    ),
    _kind("secret", r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"),  # in an address: user:password@
    _kind("email", r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+"),
    _kind("iban", r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}\b", _is_iban),
    _kind("card", r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])", _is_card),
    _kind("ip", r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3})(?![\w:]|\.\d)", _is_ip),
    _kind("ip", r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![\w:])", _is_ip),
    _kind("phone", r"(?<![\w.+])\+\d(?:[\s().-]{0,2}\d){6,14}(?!\w)", _is_phone),
    _kind("phone", r"(?<![\w.+-])\(?\d{2,4}\)?(?:[\s./-]\(?\d{2,5}\)?){2,5}(?![\w-]|\.\d)", _is_phone),
    _kind("token", r"(?<![\w/+=.:-])[A-Za-z0-9_+/-]{32,}={0,2}(?![\w/+=-])", _is_random),
)
"""In the order they are looked for: what holds others comes before them."""


class Redactor:
    """Takes out the kinds above, and what patterns of the user's find as `[redacted]`."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """Raises `re.error` for a pattern that is none."""
        self._kinds = (*(_kind("redacted", pattern) for pattern in patterns), *KINDS)

    def redacted(self, text: str) -> str:
        """The text without what it must not hold. Redacting twice is redacting once."""
        for kind in self._kinds:
            text = kind.pattern.sub(lambda found, kind=kind: _replaced(kind, found), text)  # type: ignore[misc]
        return text


def _replaced(kind: Kind, found: re.Match[str]) -> str:
    whole = found.group()
    kept: str = found.groupdict().get("keep", "")
    return f"{kept}[{kind.name}]" if kind.is_one(whole) else whole
