from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwiksync_ops.connectors.http.identity import Identity
from kwiksync_ops.connectors.http.json_records import PAYLOAD_CHARS, JsonPage, JsonRecords, RecordLimits
from kwiksync_ops.redaction import Redactor


def decode(text: str | bytes, path: str = "data", **settings: Any) -> JsonPage:
    body = text if isinstance(text, bytes) else text.encode()
    steps = tuple(filter(None, path.split(".")))
    return JsonRecords(steps, Identity(("id",), ("at",)), **settings).decode(body)


def page_with(record: str) -> str:
    return f'{{"data": [{{"id": "a"}}, {record}, {{"id": "c"}}], "next": "t2"}}'


def test_records_come_as_they_are_with_the_envelope_around() -> None:
    page = decode('{"data": [{"id": "a", "at": "t"}, {"id": "b", "at": "u"}], "next": "t2"}')
    assert page.records == [{"id": "a", "at": "t"}, {"id": "b", "at": "u"}]
    assert (page.rejects, page.envelope["next"], page.last) == ([], "t2", ("b", "u"))


def test_fractions_are_exact_decimals() -> None:
    (record,) = decode('[{"a": 0.1, "b": 12345678901234567890.123456789012345678, "c": -0.0, "d": 1E+2}]', "").records
    assert record == {
        "a": Decimal("0.1"),
        "b": Decimal("12345678901234567890.123456789012345678"),
        "c": Decimal("-0.0"),
        "d": Decimal(100),
    }
    assert all(isinstance(value, Decimal) for value in record.values())


def test_integers_of_64_bits_are_exact() -> None:
    (record,) = decode(f'[{{"a": {2**63 - 1}, "b": {-(2**63)}}}]', "").records
    assert record == {"a": 2**63 - 1, "b": -(2**63)}


def test_emoji_escapes_and_byte_order_mark_are_sound() -> None:
    page = decode(b'\xef\xbb\xbf[{"id": "\\ud83d\\ude00", "n": "\xc3\xa9"}]', "")
    assert page.records == [{"id": "😀", "n": "é"}]


POISON = {
    "NaN": ('{"id": "b", "x": NaN}', "NaN is not a JSON number"),
    "Infinity": ('{"id": "b", "x": -Infinity}', "-Infinity is not a JSON number"),
    "1e400": ('{"id": "b", "x": 1e400}', "1e400 is beyond what a column can keep"),
    "1e-400": ('{"id": "b", "x": 1e-400}', "beyond what a column can keep"),
    "huge exponent": ('{"id": "b", "x": 1e99999999999999999999}', "beyond what a column can keep"),
    "zero of size": ('{"id": "b", "x": 0e400}', "beyond what a column can keep"),
    "39 digits": ('{"id": "b", "x": 0.123456789012345678901234567890123456789}', "more than 38 digits"),
    "65 bits": (f'{{"id": "b", "x": {2**63}}}', "does not fit into 64 bits"),
    "200 digits": ('{"id": "b", "x": ' + "9" * 200 + "}", "(200 characters) does not fit into 64 bits"),
    "5000 digits": ('{"id": "b", "x": ' + "9" * 5000 + "}", "does not fit into 64 bits"),
    "duplicate key": ('{"id": "b", "x": 1, "x": 2}', "The key 'x' stands twice"),
    "inner duplicate key": ('{"id": "b", "o": {"x": 1, "x": 2}}', "The key 'x' stands twice"),
    "NUL": ('{"id": "b", "x": "a\\u0000b"}', "holds a NUL character"),
    "NUL beside non-ASCII": ('{"id": "b", "x": "é\\u0000"}', "holds a NUL character"),
    "lone surrogate": ('{"id": "b", "x": ["\\ud800"]}', "a lone surrogate"),
    "lone surrogate in a key": ('{"id": "b", "x\\udfff": 1}', "a lone surrogate"),
    "long text": ('{"id": "b", "x": "' + "y" * 1_048_577 + '"}', "1,048,577 characters; the limit is 1,048,576"),
    "16 MB": ('{"id": "b", "x": "' + "y" * 16_000_000 + '"}', "16,000,000 characters"),
    "10,000 fields": (
        '{"id": "b", ' + ", ".join(f'"f{n}": 1' for n in range(9_999)) + "}",
        "10000 fields; the limit is 1000",
    ),
    "21 levels": ('{"id": "b", "x": ' + "[" * 20 + "]" * 20 + "}", "deeper than 20 levels"),
    "21 levels of objects": ('{"id": "b", "x": ' + '{"o": ' * 20 + "1" + "}" * 20 + "}", "deeper than 20 levels"),
    "10,000 levels": ('{"id": "b", "x": ' + "[" * 10_000 + "]" * 10_000 + "}", "deeper than 20 levels"),
    "brackets that hide a depth": (
        '{"id": "b", "x": ' + '["]",' * 30 + "1" + ',"["]' * 30 + "}",
        "deeper than 20 levels",
    ),
    "null": ("null", "The record is null, not an object"),
    "a number": ("7", "The record is a number, not an object"),
    "a list": ('[{"id": "b"}]', "The record is an array, not an object"),
}


@pytest.mark.parametrize(("record", "says"), POISON.values(), ids=POISON)
def test_a_sick_record_is_rejected_and_the_others_delivered(record: str, says: str) -> None:
    page = decode(page_with(record))
    assert [good["id"] for good in page.records] == ["a", "c"]
    (reject,) = page.rejects
    assert says in reject.message
    assert (reject.code, reject.external_id) == ("ERR_008", "b" if '"id"' in record and record[0] == "{" else None)
    assert page.envelope["next"] == "t2"
    assert len(reject.payload) <= PAYLOAD_CHARS
    assert reject.payload.startswith(record[:50])


def test_bytes_that_are_not_utf8_reject_their_record_alone() -> None:
    page = decode(b'[{"id": "a", "x": "caf\xe9"}, {"id": "b", "x": "caf\xc3\xa9"}]', "")
    assert page.records == [{"id": "b", "x": "café"}]
    assert page.rejects[0].payload == '{"id": "a", "x": "caf\\udce9"}'


def test_the_last_record_is_known_even_when_it_is_rejected() -> None:
    page = decode('[{"id": 7, "x": ' + "[" * 10_000 + "]" * 10_000 + ', "at": "t9"}]', "")
    assert (page.records, page.last) == ([], ("7", "t9"))


def test_twenty_levels_are_fit() -> None:
    record = '{"id": "b", "x": ' + "[" * 19 + "]" * 19 + "}"
    assert len(decode(page_with(record)).records) == 3


def test_a_reject_names_the_field() -> None:
    assert decode('[{"id": "b", "note": {"a": "\\u0000"}}]', "").rejects[0].field == "note"


def test_limits_can_be_set() -> None:
    limits = RecordLimits(max_string=3, max_fields=2, max_depth=1)
    page = decode('[{"a": "1234"}, {"a": 1, "b": 2, "c": 3}, {"a": []}, {"a": "123"}]', "", limits=limits)
    assert (page.records, len(page.rejects)) == ([{"a": "123"}], 3)


def test_secrets_in_a_rejected_record_are_masked() -> None:
    text = '[{"id": "b", "password": "hunter2", "echo": "canary-123456", "x": NaN}]'
    payload = decode(text, "", redactor=Redactor(["canary-123456"])).rejects[0].payload
    assert "hunter2" not in payload
    assert "canary" not in payload


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("", "", "the answer is empty"),
        ("null", "", "there is null, not an array"),
        ("{}", "data", "the answer has no keys"),
        ('{"b": 1, "a": 2}', "data", "there are no records at 'data': the answer has a, b"),
        ('{"data": {"items": 1}}', "data.items", "there is a number"),
        ('[{"id": 1}', "", "Expecting ',' delimiter"),
        ('[{"x": NaN}', "", "cut off"),
        ('[{"x": NaN}, {"id": 1]', "", "cut off"),
        ('[{"x": NaN}, {"id": tru}]', "", "Expecting value"),
        ('[{"x": NaN},, {"id": 1}]', "", "Expecting value"),
        ('[{"x": NaN},]', "", "Expecting value"),
        ('[{"x": NaN} {"id": 1}]', "", "Extra data"),
        ('[{"x": NaN}] more', "", "Extra data"),
        ('{"data": [{"x": NaN}] more}', "data", "Expecting ',' delimiter"),
        ('[{"x": NaN, bad}]', "", "Expecting property name"),
        ('[{"x": ' + "[" * 200_000 + "]" * 200_000 + '} {"id": 1}]', "", "two values where one belongs"),
        ('{"data": [{"x": NaN}], "n": 1, "n": 2}', "data", "The key 'n' stands twice"),
        ('{"data": [{"x": NaN}], "total": NaN}', "data", "NaN is not a JSON number"),
        ('{"data": {"x": NaN}}', "data", "NaN is not a JSON number"),
        ('{"data": [], "x": ' + "[" * 200_000 + "]" * 200_000 + "}", "data", "nested too deeply around its records"),
        ("NaN", "", "NaN is not a JSON number"),
        ('{"x": NaN}', "data", "NaN is not a JSON number"),
        ("{NaN: [1]}", "data", "Expecting property name"),
    ],
)
def test_a_sick_page_is_refused_whole(text: str, path: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        decode(text, path)
    assert says in str(caught.value)


def test_another_charset_is_read_when_it_is_named() -> None:
    body = '[{"id": "é"}]'.encode("iso-8859-1")
    assert JsonRecords((), Identity(("id",))).decode(body, "iso-8859-1").records == [{"id": "é"}]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    '[]{},:"\\'
)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
records = st.dictionaries(texts, values, max_size=4)
SICK = '{"n": NaN}'


@settings(max_examples=60, deadline=None)
@given(st.lists(records, max_size=4), st.booleans(), st.integers(0, 4))
def test_poison_among_any_records_costs_nothing_but_itself(good: list[Any], ascii_only: bool, at: int) -> None:
    """The slow way, element by element, gives what the fast way gives."""
    elements = [json.dumps(record, ensure_ascii=ascii_only) for record in good]
    page = decode(f'{{"x": [1, "]"], "data": [{", ".join([*elements[:at], SICK, *elements[at:]])}]}}')
    assert page.records == good == decode(f'{{"data": [{", ".join(elements)}]}}').records
    assert [reject.payload for reject in page.rejects] == [SICK]


def _text(value: Any, draw: st.DrawFn) -> str:
    """JSON as no library writes it: keys stand twice, blanks stand anywhere."""
    blank = draw(st.sampled_from(["", "", "", " ", "\n", "\t "]))
    if isinstance(value, dict):
        members = [f"{_text(key, draw)}:{blank}{_text(part, draw)}" for key, part in value.items()]
        members += draw(st.sampled_from([[], [], members]))
        return f"{{{blank}{f'{blank},'.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(_text(part, draw) for part in value)}{blank}]"
    return (
        value if isinstance(value, float) else json.dumps(value, ensure_ascii=draw(st.booleans()))
    ).__str__() + blank


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.sampled_from(["", ":", '":', '" :', '"', "\\", '\\":', "\0", "\ud800", "a\nb", "\x7f", "é🚄", "x" * 12])
)
_values = st.recursive(
    _scalars, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from("ab:"), part, max_size=3)
)


@st.composite
def _pages(draw: st.DrawFn) -> bytes:
    records = draw(st.lists(st.dictionaries(st.sampled_from(["id", "at", "x", '":']), _values, max_size=4), max_size=3))
    text = _text({"data": records, **draw(st.dictionaries(st.sampled_from("mn"), _values, max_size=2))}, draw)
    return text.encode("utf-8", "surrogatepass")


@settings(max_examples=500, deadline=None)
@given(_pages())
def test_the_fast_decoder_never_takes_what_the_strict_one_would_not(body: bytes) -> None:
    limits = RecordLimits(max_string=10, max_fields=3, max_depth=3)

    def outcome(charset: str) -> Any:
        try:
            page = JsonRecords(("data",), Identity(("id",), ("at",)), limits=limits).decode(body, charset)
        except ValueError as exc:
            return str(exc)
        return repr(page)

    try:
        body.decode()
    except UnicodeDecodeError:
        return
    strict = "u8"  # another name of UTF-8, which does not try the fast decoder
    assert outcome("utf-8") == outcome(strict)
