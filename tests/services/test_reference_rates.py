import io
import zipfile
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.errors import BadRequest
from tidegate.model.money import REFERENCE
from tidegate.services import reference_rates
from tidegate.services.reference_rates import read_rates

HISTORY = b"""Date,USD,JPY,CYP,
2026-11-03,1.1502,176.35,N/A,
2026-11-02,1.1490,176.1,N/A,
1999-01-04,1.1789,133.73,0.58231,
"""
DAILY_CSV = b"Date, USD, JPY, \n3 November 2026, 1.1502, 176.35, \n"
DAILY_XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender>
\t\t<gesmes:name>European Central Bank</gesmes:name>
\t</gesmes:Sender>
\t<Cube>
\t\t<Cube time='2026-11-03'>
\t\t\t<Cube currency='USD' rate='1.1502'/>
\t\t\t<Cube currency='JPY' rate='176.35'/>
\t\t</Cube>
\t</Cube>
</gesmes:Envelope>"""


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("_", ".")), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def flat(raw: bytes) -> list[tuple[str, str, str]]:
    return [(fx.date.isoformat(), fx.quote, fx.rate) for fx in read_rates(raw)]


def xml(inside: str) -> bytes:
    return f"<Envelope>\n<Cube>\n{inside}\n</Cube>\n</Envelope>".encode()


TODAY = [("2026-11-03", "JPY", "176.35"), ("2026-11-03", "USD", "1.1502")]


@pytest.mark.parametrize(
    "raw",
    [DAILY_XML, b"\xef\xbb\xbf" + DAILY_XML, DAILY_CSV, zipped(eurofxref_csv=DAILY_CSV)],
    ids=["xml", "xml with a mark", "csv in words", "zip"],
)
def test_each_form_gives_the_same_rates(raw: bytes) -> None:
    assert flat(raw) == TODAY


def test_a_history_is_read_oldest_first_without_what_is_not_available() -> None:
    assert flat(HISTORY) == [
        ("1999-01-04", "CYP", "0.58231"),
        ("1999-01-04", "JPY", "133.73"),
        ("1999-01-04", "USD", "1.1789"),
        ("2026-11-02", "JPY", "176.1"),
        ("2026-11-02", "USD", "1.149"),
        *TODAY,
    ]
    assert {(fx.base, fx.source) for fx in read_rates(HISTORY)} == {("EUR", REFERENCE)}
    assert flat(HISTORY.replace(b"\n", b"\r\n")) == flat(HISTORY)
    assert flat(zipped(eurofxref_csv=HISTORY)) == flat(HISTORY)


@pytest.mark.parametrize(
    ("raw", "line", "word"),
    [
        (b"", 1, "begins with"),
        (b"Day,USD\n2026-11-03,1\n", 1, "begins with"),
        (b"Date,USD,USD\n2026-11-03,1,1\n", 1, "two columns"),
        (b"Date,USD\n2026-11-03,1.1\n2026-11-02,1.1,1.2\n", 3, "2 rates for 1"),
        (b"Date,USD,JPY,\n2026-11-03,1.1,\n", 2, "1 rates for 2"),
        (b"Date,USD\n2026-11-31,1.1\n", 2, "no day"),
        (b"Date,USD\n31 Brumaire 2026,1.1\n", 2, "no day"),
        (b"Date,USD\n2026-11-03,-1.1\n", 2, "unsigned decimal"),
        (b"Date,USD\n2026-11-03,1,1\n", 2, "2 rates for 1"),
        (b"Date,USD\n2026-11-03,0.00\n", 2, "zero"),
        (b"Date,USD\n2026-11-03," + b"1" * 25 + b"\n", 2, "24 characters"),
        (b"Date,usd\n2026-11-03,1.1\n", 2, "currency codes"),
        (b"Date,EUR\n2026-11-03,1.0\n", 2, "currency codes"),
        (b"Date,USD\n2026-11-03,1.1\n2026-11-03,1.1\n", 3, "twice"),
        (b"Date,USD\n2026-11-03,\xff\n", 2, "not text"),
        (b'Date,USD\n2026-11-03,"1.1\n', 2, "unexpected end"),
        (DAILY_XML[:-20], 12, "no XML"),
        (DAILY_XML.replace(b"rate='176.35'", b""), 10, "no rate"),
        (DAILY_XML.replace(b"rate='176.35'", b"rate='many'"), 10, "unsigned decimal"),
        (DAILY_XML.replace(b"2026-11-03", b"yesterday"), 8, "no day"),
        (xml("<Cube currency='USD' rate='1'/>"), 3, "belongs to no day"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]>\n<a>&x;</a>', 1, "document type"),
        (b"<a>&x;</a>", 1, "no XML"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line(raw: bytes, line: int, word: str) -> None:
    with pytest.raises(BadRequest, match=word) as caught:
        read_rates(raw)
    assert caught.value.param == f"line {line}"


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"Date,USD\n", "no rate"),
        (b"Date,USD\n2026-11-03,N/A\n", "no rate"),
        (b"<Envelope/>", "no rate"),
        (zipped(a_csv=b"", b_csv=b""), "2 files"),
        (zipped(readme_txt=b""), "0 files"),
        (zipped(a_csv=HISTORY)[:60], "cannot be read"),
    ],
)
def test_a_file_without_rates_is_refused(raw: bytes, word: str) -> None:
    with pytest.raises(BadRequest, match=word):
        read_rates(raw)


def test_an_archive_is_read_no_further_than_the_bound() -> None:
    bomb = zipped(eurofxref_csv=b"Date,USD\n" + b"\n" * reference_rates.MAX_BYTES)
    assert len(bomb) < 100_000
    with pytest.raises(BadRequest, match="more than"):
        read_rates(bomb)
    with pytest.raises(BadRequest, match="more than"):
        read_rates(b"\n" * (reference_rates.MAX_BYTES + 1))


@given(
    st.dictionaries(
        st.dates(date(1999, 1, 4), date(2030, 1, 1)),
        st.decimals("0.0001", "99999", places=5),
        min_size=1,
        max_size=8,
    )
)
def test_both_forms_of_a_history_say_the_same(rates: dict[date, Decimal]) -> None:
    rows = "".join(f"{day},{rate},\n" for day, rate in rates.items())
    cubes = "".join(
        f"<Cube time='{day}'><Cube currency='USD' rate='{rate}'/></Cube>" for day, rate in rates.items()
    )
    read = read_rates(f"Date,USD,\n{rows}".encode())
    assert read == read_rates(xml(cubes))
    assert {fx.date: Decimal(fx.rate) for fx in read} == rates


@given(st.binary(max_size=300) | st.text(alphabet="Date,USD1.2-\n<>&'\" /Cube", max_size=120).map(str.encode))
def test_any_bytes_are_rates_or_a_refusal(raw: bytes) -> None:
    try:
        found = read_rates(raw)
    except BadRequest:
        return
    assert all(Decimal(fx.rate) > 0 for fx in found)
