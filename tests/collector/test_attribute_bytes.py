"""Attributes read from the bytes as they stand say what protobuf says of them."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from outlay_collector.dialects.registry import dialect_of
from outlay_collector.otlp.protobuf import _Reader, value_of
from outlay_collector.otlp.span import Attributes, Origin, Span, Wanted

WANTED = Wanted(frozenset({"a", "b" * 130}), ("family.",))
KEYS = st.sampled_from(["a", "b" * 130, "family.one", "unwanted"])
VALUES = st.one_of(
    st.builds(AnyValue, string_value=st.text(max_size=300)),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, int_value=st.sampled_from([0, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21, 2**28])),
    st.builds(AnyValue, double_value=st.floats(allow_nan=False)),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, bytes_value=st.binary(max_size=3)),
    st.just(AnyValue()),
)
ATTRIBUTES = st.builds(KeyValue, key=KEYS, value=VALUES).map(KeyValue.SerializeToString)


def by_protobuf(written: bytes) -> dict[str, Any]:
    attribute = KeyValue.FromString(written)
    wanted = attribute.key in WANTED.names or attribute.key.startswith(WANTED.prefixes)
    value = value_of(attribute.value) if wanted else None
    return {} if value is None else {attribute.key: value}


def read(written: bytes, *before: bytes) -> dict[str, Any]:
    """What a reader that has read others says of the last."""
    reader = _Reader(WANTED)
    reader.read(before)
    found = reader.read([written])
    return found.named | found.families


@given(ATTRIBUTES, st.lists(ATTRIBUTES, max_size=2))
def test_every_attribute_is_read_as_protobuf_reads_it(written: bytes, before: list[bytes]) -> None:
    assert read(written, *before) == by_protobuf(written)


@given(ATTRIBUTES, st.data())
@example(b"\x0a\x01a\x12\x02\x18\x85\x00", None)  # a length that ends before its value does
@example(b"\x0a\x01a\x12\x05\x18\x85\x80\x80\x00", None)  # a number written with more bytes than it needs
def test_bytes_that_were_damaged_are_read_as_protobuf_reads_them_or_refused(
    written: bytes, data: st.DataObject | None
) -> None:
    damaged = bytearray(written)
    if data is not None:
        for _ in range(data.draw(st.integers(1, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = by_protobuf(bytes(damaged))
    except DecodeError:
        return
    assert read(bytes(damaged), KeyValue(key="a", value=AnyValue(int_value=1)).SerializeToString()) == expected


def test_an_attribute_without_a_value_does_not_make_a_span_one_of_a_dialect() -> None:
    said = {"openinference.span.kind": AnyValue(), "gen_ai.request.model": AnyValue(string_value="gpt-4o")}
    reader = _Reader(Wanted(frozenset(said), ("family.",)))
    attributes = reader.read(KeyValue(key=key, value=value).SerializeToString() for key, value in said.items())
    assert attributes.named == {"gen_ai.request.model": "gpt-4o"}
    dialect = dialect_of(span_with(attributes))
    assert dialect is not None
    assert dialect.name == "genai"


def test_spans_whose_attributes_have_the_same_names_share_what_follows_from_them() -> None:
    one, other = Attributes({"a": 1, "b": 2}), Attributes({"a": 3, "b": 4})
    asked: list[frozenset[str]] = []

    def work_out(names: frozenset[str]) -> int:
        asked.append(names)
        return len(names)

    assert (one.shape.known(work_out), other.shape.known(work_out)) == (2, 2)
    assert asked == [frozenset({"a", "b"})]
    assert Attributes({"a": 1}).shape.known(work_out) == 1


def span_with(attributes: Attributes) -> Span:
    return Span(Origin(Attributes(), "any", ""), "1" * 32, "1" * 16, None, "chat", 3, 1, 2, 0, attributes)
