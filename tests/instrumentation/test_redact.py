"""What is taken out of text before it leaves, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay.redact import Redactor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jo.doe+x@example.co.uk please", "write to [email] please"),
        ("card 4111 1111 1111 1111 or 378282246310005", "card [card] or [card]"),
        ("not a card: 4111-1111-1111-1112", None),
        ("IBAN DE89 3704 0044 0532 0130 00 and GB82WEST12345698765432", "IBAN [iban] and [iban]"),
        ("not an IBAN: DE88370400440532013000", None),
        ("from 192.168.10.1 and 2001:db8::1 or ::1", "from [ip] and [ip] or [ip]"),
        ("not an address: 999.1.1.1, 12:30:45, v1.2.3", None),
        ("call +49 30 1234567 or (415) 555-2671 or 415.555.2671", "call [phone] or [phone] or [phone]"),
        ("on 2026-11-21 at 10:30, 3.14159 of 1,234,567", None),
        ("use sk-proj-abcDEF1234567890abcd now", "use [key] now"),
        ("sk-ant-api03-" + "a1B2" * 20, "[key]"),
        ("AKIAIOSFODNN7EXAMPLE, ghp_abcdefghijklmnopqrst1234", "[key], [key]"),
        ("Authorization: Bearer abc.def.ghi123", "Authorization: Bearer [token]"),
        ('{"api_key": "abcd1234", "note": "kept"}', '{"api_key": "[secret]", "note": "kept"}'),
        ("password: hunter22", "password: [secret]"),
        ("the token is necessary here", None),
        ("postgres://app:pw@db.internal/x", "postgres://[secret]@db.internal/x"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFU", "[key]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----", "[key]"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "[token]"),
        ("a-very-long-hyphenated-name-that-is-not-a-secret-at-all", None),
        ("id 123e4567-e89b-12d3-a456-426614174000", None),
        ("The Danube ends in the Black Sea, 2,850 km from its source.", None),
    ],
)
def test_each_kind_is_replaced_by_its_name_and_nothing_else_is_touched(text: str, expected: str | None) -> None:
    assert Redactor().redacted(text) == (text if expected is None else expected)


def test_a_users_pattern_is_taken_out_too() -> None:
    assert Redactor([r"ACME-\d+"]).redacted("case ACME-1234 is open") == "case [redacted] is open"


@given(st.text(alphabet=st.sampled_from("ab1290 @.-+:/_[]=\"'sk"), max_size=200))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = Redactor().redacted(text)
    assert Redactor().redacted(once) == once


@given(st.integers(min_value=0, max_value=10**15 - 1), st.sampled_from(["", " ", "-"]))
def test_every_card_with_a_right_check_digit_is_found(stem: int, gap: str) -> None:
    digits = f"{stem:015d}"
    odd = sum(int(d) for d in digits[-2::-2])
    even = sum(int(d) * 2 - (9 if int(d) > 4 else 0) for d in digits[-1::-2])
    card = digits + str(-(odd + even) % 10)
    written = gap.join(card[at : at + 4] for at in range(0, 16, 4))
    assert card not in Redactor().redacted(f"pay with {written} now").replace(gap, "")
