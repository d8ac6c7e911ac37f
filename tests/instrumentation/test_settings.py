"""Settings: which of several sources wins, and what a bad value says."""

from __future__ import annotations

import pytest
from outlay.errors import ConfigError
from outlay.settings import SETTINGS, read_settings


def test_without_anything_set_the_defaults_hold() -> None:
    settings = read_settings({})
    assert settings.endpoint == "http://127.0.0.1:4318"
    assert (settings.service, settings.environment, settings.api_key) == (None, None, None)
    assert not settings.disabled
    assert settings.queue_calls == 20_000
    assert settings.headers == {}


def test_arguments_win_over_variables_and_those_over_opentelemetrys() -> None:
    variables = {
        "OUTLAY_ENDPOINT": "http://outlay:1/",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:1",
        "OUTLAY_SERVICE": "ours",
        "OTEL_SERVICE_NAME": "otel",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=resource,deployment.environment.name=blue%20green",
    }
    assert read_settings(variables, endpoint="https://argument").endpoint == "https://argument"
    assert read_settings(variables).endpoint == "http://outlay:1"
    assert read_settings(variables).service == "ours"
    assert read_settings(variables).environment == "blue green"
    del variables["OUTLAY_ENDPOINT"], variables["OUTLAY_SERVICE"]
    assert read_settings(variables).endpoint == "http://otel:1"
    assert read_settings(variables).service == "otel"


def test_the_key_and_opentelemetrys_headers_go_with_every_export() -> None:
    settings = read_settings({"OUTLAY_API_KEY": "k", "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%2Cb, x-other=c"})
    assert settings.headers == {"Authorization": "Bearer k", "x-tenant": "a,b", "x-other": "c"}


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("OUTLAY_ENDPOINT", "collector:4318", "http or https URL"),
        ("OUTLAY_ENDPOINT", "http://collector:port", "http or https URL"),
        ("OUTLAY_DISABLED", "maybe", "one of 1, true"),
        ("OUTLAY_QUEUE_CALLS", "-1", "whole number of calls"),
        ("OUTLAY_QUEUE_CALLS", "many", "whole number of calls"),
        ("OUTLAY_EXPORT_INTERVAL_S", "soon", "number of seconds"),
        ("OUTLAY_EXPORT_TIMEOUT_S", "0", "number of seconds"),
        ("OUTLAY_EXIT_FLUSH_S", "nan", "number of seconds"),
        ("OUTLAY_EXIT_FLUSH_S", "1e12", "a day at most"),
        ("OUTLAY_ENDPOINT", "http://col lector:4318", "http or https URL"),
        ("OUTLAY_ENDPOINT", "http://cöllector:4318", "http or https URL"),
        ("OUTLAY_QUEUE_CALLS", "10000001", "from 1 to 10,000,000"),
        ("OUTLAY_SPOOL_MAX_BYTES", "9" * 5000, "whole number of bytes"),
    ],
)
def test_a_bad_value_is_named_with_what_would_do(variable: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_settings({variable: value})
    assert str(raised.value).startswith(f"environment: {variable} = {value!r}: expected ")
    assert expected in str(raised.value)


def test_every_setting_says_what_it_decides() -> None:
    assert all(setting.help.endswith(".") for setting in SETTINGS.values())
    assert all(setting.unit for setting in SETTINGS.values() if setting.kind in ("count", "seconds"))


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("OUTLAY_API_KEY", "ok_se\ncret", "'[hidden]'"),
        ("OUTLAY_API_KEY", "ok_sécret", "'[hidden]'"),
        ("OUTLAY_ENDPOINT", "http://me:secret@collector:4318", "'http://[hidden]@collector:4318'"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=se%0Acret", "'x-key=[hidden]'"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,=secret", "'=[hidden]'"),
    ],
)
def test_what_no_request_could_carry_is_refused_without_showing_a_secret(variable: str, value: str, shown: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_settings({variable: value})
    assert str(raised.value).startswith(f"environment: {variable} = {shown}: expected ")
    assert "cret" not in str(raised.value)


def test_a_key_may_end_as_the_file_it_was_read_from_does() -> None:
    assert read_settings({"OUTLAY_API_KEY": "ok_1\n"}).headers == {"Authorization": "Bearer ok_1"}
    assert read_settings({}, api_key=" ok_2 ").api_key == "ok_2"
