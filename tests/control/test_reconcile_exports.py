"""Exports as providers write them, whole, paged and concatenated; and what a broken one is told."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tidegate.control.exports import csv_export
from tidegate.control.exports.csv_export import CsvForm
from tidegate.control.exports.export import MOST_LINES, Export, Provider, folded, joined, nano_of
from tidegate.control.exports.pages import MOST_BYTES, Repeats, read_text
from tidegate.control.exports.read import read_provider
from tidegate.model.errors import BadRequest

DAY = 1_794_009_600
"""2026-11-07 00:00 UTC, in seconds."""
DAY_S = 86_400
UTC = ZoneInfo("UTC")


def openai_page(*results: dict[str, Any], start: int = DAY, more: bool = False) -> dict[str, Any]:
    bucket = {"object": "bucket", "start_time": start, "end_time": start + DAY_S, "results": list(results)}
    return {"object": "page", "data": [bucket], "has_more": more, "next_page": "x" if more else None}


def completions(**facts: Any) -> dict[str, Any]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 1000,
        "output_tokens": 500,
        "num_model_requests": 5,
        "project_id": None,
        "model": None,
        **facts,
    }


def cost(value: object, **facts: Any) -> dict[str, Any]:
    return {"object": "organization.costs.result", "amount": {"value": value, "currency": "usd"}, **facts}


def anthropic_page(*results: dict[str, Any], day: str = "2026-11-07", more: bool = False) -> dict[str, Any]:
    after = f"{day[:-1]}{int(day[-1]) + 1}"
    bucket = {
        "starting_at": f"{day}T00:00:00Z",
        "ending_at": f"{after}T00:00:00+00:00",
        "results": list(results),
    }
    return {"data": [bucket], "has_more": more, "next_page": None}


MESSAGES = {
    "uncached_input_tokens": 1500,
    "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
    "cache_read_input_tokens": 200,
    "output_tokens": 400,
    "server_tool_use": {"web_search_requests": 10},
    "api_key_id": "apikey_1",
    "workspace_id": "wrkspc_1",
    "model": "claude-haiku-4-5-20251001",
    "service_tier": "standard",
    "context_window": "0-200k",
}
DESCRIBED = {
    "currency": "USD",
    "amount": "123.45",
    "workspace_id": None,
    "description": "Claude Haiku 4.5 Usage - Input Tokens",
    "cost_type": "tokens",
    "model": "claude-haiku-4-5-20251001",
    "service_tier": "standard",
    "token_type": "uncached_input_tokens",
}


def read(provider: Provider, *pages: Any, text: str | None = None) -> Export:
    said = "\n".join(json.dumps(page) for page in pages) if text is None else text
    return read_provider(provider, "export.json", said, Repeats())


def test_openai_usage_is_split_into_disjoint_tokens() -> None:  # trap M1, M2
    result = completions(
        model="gpt-5-mini-2025-08-07",
        api_key_id="key_1",
        project_id="proj_1",
        input_cached_tokens=300,
        input_cache_write_tokens=100,
        input_audio_tokens=50,
        output_audio_tokens=20,
        batch=False,
    )
    found = read("openai", openai_page(result))
    (line,) = found.lines
    assert line.tokens == {
        "input": 550,
        "input_audio": 50,
        "cache_read": 300,
        "cache_write_5m": 100,
        "output": 480,
        "output_audio": 20,
    }
    assert (line.calls, line.nano, line.model) == (5, None, "gpt-5-mini-2025-08-07")
    assert line.ids == ("key_1", "proj_1")
    assert (line.since_us, line.until_us) == (DAY * 10**6, (DAY + DAY_S) * 10**6)
    assert (found.currency, found.more, found.surfaces) == (
        "",
        False,
        frozenset({"chat", "completions", "responses", "messages"}),
    )


def test_openai_embeddings_are_input_alone() -> None:
    result = {"object": "organization.usage.embeddings.result", "input_tokens": 16, "num_model_requests": 2}
    found = read("openai", openai_page(result))
    assert found.lines[0].tokens == {
        "input": 16,
        "input_audio": 0,
        "cache_read": 0,
        "cache_write_5m": 0,
        "output": 0,
        "output_audio": 0,
    }
    assert found.surfaces == frozenset({"embeddings"})


def test_an_amount_is_read_digit_by_digit() -> None:  # trap M12
    text = json.dumps(openai_page(cost("X", line_item="gpt-5-mini, cached input"))).replace(
        '"X"', "0.060000000499999999999999"
    )
    found = read("openai", text=text)
    assert [(line.nano, line.model) for line in found.lines] == [(60_000_000, "gpt-5-mini")]
    assert (found.currency, found.kinds, found.surfaces) == ("USD", frozenset(), None)


def test_an_amount_may_be_text() -> None:
    found = read("openai", openai_page(cost("12.50"), cost("0E-30", line_item="gpt-5-nano, input")))
    assert [line.nano for line in found.lines] == [12_500_000_000, 0]


ITEMS = [
    ("gpt-5-mini-2025-08-07, input", "gpt-5-mini-2025-08-07"),
    ("gpt-5.4, cached input", "gpt-5.4"),
    ("gpt-5.6-terra, cache writes", "gpt-5.6-terra"),
    ("priority | gpt-5.4-2026-03-05, output, long context", "gpt-5.4-2026-03-05"),
    ("gpt-audio-mini-2025-12-15 audio, input", "gpt-audio-mini-2025-12-15"),
    ("gpt-image-2-2026-04-21 text, input", "gpt-image-2-2026-04-21"),
    ("ft:gpt-4o-2024-08-06:acme::abc, output", "ft:gpt-4o-2024-08-06:acme::abc"),
    ("web search tool calls", "web search tool calls"),
    ("assistants api | file search", "assistants api | file search"),
    ("", ""),
]


@pytest.mark.parametrize(("item", "model"), ITEMS)
def test_a_line_item_begins_with_its_model(item: str, model: str) -> None:
    (line,) = read("openai", openai_page(cost(1, line_item=item))).lines
    assert line.model == model


def test_a_line_without_an_amount_says_nothing() -> None:
    assert read("openai", openai_page(cost(0.5), {"object": "organization.costs.result"})).lines[1:] == ()


def test_anthropic_usage_is_taken_as_it_is() -> None:
    (line,) = read("anthropic", anthropic_page(MESSAGES)).lines
    assert line.tokens == {
        "input": 1500,
        "cache_read": 200,
        "cache_write_5m": 500,
        "cache_write_1h": 1000,
        "output": 400,
    }
    assert (line.calls, line.ids) == (None, ("apikey_1", "wrkspc_1"))
    assert line.since_us == DAY * 10**6


def test_anthropic_costs_are_cents_as_text() -> None:
    search = {"amount": "1000", "currency": "USD", "description": "Web Search Usage", "model": None}
    found = read("anthropic", anthropic_page(DESCRIBED, search))
    assert [(line.model, line.nano) for line in found.lines] == [
        ("claude-haiku-4-5-20251001", 1_234_500_000),
        ("Web Search Usage", 10_000_000_000),
    ]


FIRST, SECOND = openai_page(completions(), more=True), openai_page(completions(), start=DAY + DAY_S)
WAYS: dict[str, str] = {
    "an array": json.dumps([FIRST, SECOND], indent=2),
    "lines": f"{json.dumps(FIRST)}\n{json.dumps(SECOND)}\n",
    "one after the other": json.dumps(FIRST, indent=1) + json.dumps(SECOND, indent=1),
    "with a byte-order mark": "\ufeff" + json.dumps([FIRST, SECOND]),
}


@pytest.mark.parametrize("way", WAYS)
def test_pages_may_stand_in_any_way(way: str, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(WAYS[way], encoding="utf-8")
    found = read_provider("openai", str(path), read_text(str(path), io.BytesIO), Repeats())
    assert (len(found.lines), len(found.spans), found.more) == (2, 2, False)


def test_the_last_page_tells_that_there_are_more() -> None:
    assert read("openai", SECOND, {**FIRST, "has_more": True}).more


def test_usage_and_costs_may_stand_together_and_an_empty_page_is_neither() -> None:
    found = read("openai", openai_page(start=DAY + DAY_S), openai_page(cost(1)))
    assert (found.kinds, found.currency, len(found.spans)) == (frozenset(), "USD", 2)
    found = read("openai", openai_page(completions()), openai_page(cost(1)))
    assert (bool(found.kinds), found.currency, found.surfaces) == (True, "USD", None)
    assert read("openai", openai_page()).kinds


def with_(page: dict[str, Any], **facts: Any) -> dict[str, Any]:
    page["data"][0]["results"][0].update(facts)
    return page


BROKEN: list[tuple[Provider, str, str]] = [
    ("openai", "", "is empty"),
    ("openai", "{day,cost\n", "line 1, column 2"),
    ("openai", json.dumps(FIRST) + "\n\n" + json.dumps(SECOND)[:-9], "line 3, column"),
    ("openai", json.dumps([FIRST, {}]), "at `$[1]`: Object missing required field `data`"),
    ("openai", '{"object": "list"}', "missing required field `data`"),
    ("openai", json.dumps([1]), "at `$[0]`: Expected `object`, got `int`"),
    ("openai", "[" * 200_000, "line 1"),
    ("openai", '{"data": [], "n": ' + "9" * 10_000 + "}", "line 1"),
    (
        "openai",
        json.dumps(with_(openai_page(completions()), input_tokens=-1)),
        "at `$.data[0].results[0].input_tokens`",
    ),
    ("openai", json.dumps(with_(openai_page(completions()), input_tokens="1")), "Expected `int`, got `str`"),
    (
        "openai",
        json.dumps(openai_page(completions(input_cached_tokens=2000))),
        "less than the tokens that it holds",
    ),
    (
        "openai",
        json.dumps(openai_page(completions(), {"object": "x", "input_tokens": 1, "num_model_requests": 1})),
        "at `$.data[0].results[1].object`: 'x' is not read here",
    ),
    ("openai", json.dumps(openai_page(cost("NaN"))), "at `$.data[0].results[0].amount.value`"),
    ("openai", json.dumps(openai_page(cost("1e999999999"))), "no amount of money"),
    ("openai", json.dumps({**FIRST, "data": [{**FIRST["data"][0], "start_time": 10**18}]}), "start_time"),
    ("openai", json.dumps([FIRST, FIRST]), "the same bucket stands twice"),
    ("openai", json.dumps(openai_page(completions(model="m" * 301))), "at `$.data[0].results[0].model`"),
    ("anthropic", json.dumps(anthropic_page({**DESCRIBED, "description": "d" * 301})), ".description`"),
    (
        "anthropic",
        json.dumps(anthropic_page({**DESCRIBED, "amount": "12 cents"})),
        "at `$.data[0].results[0].amount`",
    ),
    ("anthropic", json.dumps(anthropic_page({**DESCRIBED, "currency": "cents"})), "is no currency"),
    (
        "anthropic",
        json.dumps(anthropic_page({**MESSAGES, "output_tokens": None})),
        "at `$.data[0].results[0].output_tokens`",
    ),
    ("anthropic", json.dumps(FIRST), "missing required field"),
    (
        "anthropic",
        json.dumps({"data": [{"starting_at": "2026-11-07T00:00:00", "ending_at": "x", "results": []}]}),
        "at `$.data[0].starting_at`",
    ),
]


@pytest.mark.parametrize(("provider", "text", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_export_is_told_by_its_place(provider: Provider, text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(provider, text=text)
    assert message in caught.value.message
    assert caught.value.message.startswith("export.json")
    assert len(caught.value.message) < 400


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(BadRequest, match="larger than 32 MiB; export fewer days"):
        read_text(str(path), io.BytesIO)


def test_more_lines_than_can_be_meant_are_refused() -> None:
    page = openai_page(*[cost(1)] * (MOST_LINES + 1))
    with pytest.raises(BadRequest, match=r"page that begins on line 1: more than 200,000 lines"):
        read("openai", page)
    with pytest.raises(BadRequest, match=r"line 200002: more than 200,000 lines; export fewer days"):
        table("day,cost\n" + "2026-11-07,1\n" * (MOST_LINES + 1))
    one = table("day,cost\n2026-11-07,1\n")
    most = replace(one, lines=one.lines * MOST_LINES)
    assert len(joined([most]).lines) == MOST_LINES
    with pytest.raises(BadRequest, match=r"the export has more than 200,000 lines"):
        joined([most, one])


def test_a_table_given_twice_is_told() -> None:
    repeats = Repeats()
    csv_export.read("a.csv", "day,cost\n2026-11-07,1\n", CsvForm(zone=UTC), repeats)
    with pytest.raises(BadRequest, match=r"b.csv says what another file does"):
        csv_export.read("b.csv", "day,cost\n2026-11-07,1\n", CsvForm(zone=UTC), repeats)


FILES: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: None, "cannot be read: No such file"),
    (lambda path: path.mkdir(), "cannot be read: Is a directory"),
    (lambda path: path.write_bytes(b'{"a": "\xff"}'), "is not UTF-8 at byte 7"),
    (lambda path: path.write_bytes("{}".encode("utf-16")), "is not UTF-8 at byte 0"),
]


@pytest.mark.parametrize(("make", "message"), FILES)
def test_a_file_that_is_no_text_is_told(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    make(path)
    with pytest.raises(BadRequest, match=message):
        read_text(str(path), io.BytesIO)


def test_the_standard_input_is_bounded_too() -> None:
    assert read_text("-", lambda: io.BytesIO(b"{}")) == "{}"
    with pytest.raises(BadRequest, match="larger than"):
        read_text("-", lambda: io.BytesIO(bytes(MOST_BYTES + 1)))


def table(text: str, **form: Any) -> Export:
    return csv_export.read("bill.csv", text, CsvForm(**{"zone": UTC, **form}), Repeats())


def test_a_table_is_found_by_its_headings() -> None:
    text = (
        'Date,Product,"Net amount (USD)",In,Cached,Out,Calls,Key\n2026-11-07, Small ,"1234.5",30,10,5,2,k1\n'
    )
    columns = {
        "day": "date",
        "model": "Product",
        "cost": "Net amount (USD)",
        "input": "In",
        "output": "Out",
        "cached": "Cached",
    }
    found = table(text, columns=columns)
    (line,) = found.lines
    assert (line.model, line.nano, line.calls, line.ids) == ("Small", 1_234_500_000_000, 2, ("k1",))
    assert line.tokens == {"input": 20, "cache_read": 10, "output": 5}
    assert found.kinds == frozenset({"input", "cache_read", "output"})
    assert found.currency == "USD"


def test_a_decimal_comma_is_read_where_it_is_announced() -> None:
    found = table("day;cost\n2026-11-07;-0,5\n", decimal_comma=True, currency="EUR")
    assert (found.lines[0].nano, found.currency, found.kinds) == (-500_000_000, "EUR", frozenset())


def test_numbers_are_read_as_spreadsheets_write_them() -> None:
    found = table("day,input,output,cost\n2026-11-07,10.0,5,1.25E-05\n")
    assert (found.lines[0].tokens, found.lines[0].nano) == ({"input": 10, "output": 5}, 12_500)


def test_days_are_those_of_the_time_zone_and_have_no_hole() -> None:
    """Rome: 25 October 2026 has 25 hours; 23:30 UTC is the day after."""
    rome = ZoneInfo("Europe/Rome")
    found = table("day,cost\n2026-10-24,1\n2026-10-25T23:30:00Z,2\n", zone=rome)
    hours = [(until - since) // 3_600_000_000 for since, until in found.spans]
    assert hours == [24, 25, 24]
    assert found.lines[1].since_us == found.spans[2][0]


TABLES: list[tuple[str, dict[str, Any], str]] = [
    ("", {}, "no column for the day; name them with --column"),
    ("day;cost\n2026-11-07;1\n", {}, "parted by semicolons; add --decimal-comma"),
    ("day,cost\n", {}, "no line below its headings"),
    ("day,model\n2026-11-07,a\n", {}, "no column for the cost, nor for tokens"),
    ("day,input\n2026-11-07,1\n", {}, "only one of input and output"),
    ("day,cost,cost\n2026-11-07,1,1\n", {}, "2 columns 'cost'"),
    (
        "day,cost\n2026-11-07,1\n",
        {"columns": {"model": "Product"}},
        "no column 'Product'; its headings are: day, cost",
    ),
    ("day,cost\n2026-11-07\n", {}, "line 2: has 1 cells, the headings 2"),
    ("day,cost\n2026-11-07,1\n\nTotal,1\n", {}, "line 4: the day 'Total' is no day"),
    ("day,cost\n2026-02-30,1\n", {}, "line 2: the day '2026-02-30' is no day"),
    ("day,cost\n2026-11-07,\n", {}, "line 2: the cost '' is no number such as 1234.56"),
    ('day,cost\n2026-11-07,"0,5"\n', {}, "for 0,5 add --decimal-comma"),
    (
        "day;cost\n2026-11-07;1.234,5\n",
        {"decimal_comma": True},
        "no number such as 1234,56, without signs of thousands",
    ),
    ("day,cost\n2026-11-07,1e19\n", {}, "the cost '1e19' is no amount of money"),
    ("day;cost\n2026-11-07;1e5\n", {"decimal_comma": True}, "no number"),
    ("day,model,cost\n2026-11-07," + "m" * 301 + ",1\n", {}, "line 2: the model 'mmm"),
    ("day,cost\n2026-11-07,NaN\n", {}, "no number"),
    ("day,input,output\n2026-11-07,1.5,1\n", {}, "the input '1.5' is no whole number"),
    ("day,input,output\n2026-11-07,-1,1\n", {}, "no whole number"),
    ("day,input,output,cached\n2026-11-07,1,1,2\n", {}, "more than the input"),
    ("day,cost\n1990-01-01,1\n2026-11-07,1\n", {}, "more than 3660 days"),
    ("day,cost\n0001-01-01,1\n", {"zone": ZoneInfo("Europe/Rome")}, "line 2: the day '0001-01-01' is no day"),
    ("day,cost\n9999-12-31,1\n", {}, "line 2: the day '9999-12-31' is no day"),
    ("day,cost\n0001-01-01T00:00:00+14:00,1\n", {}, "line 2: the day"),
    ('day,cost\n"2026-11-07,1\n', {}, "line 2: "),
    ("day,cost\n2026-11-07," + "9" * 200_000 + "\n", {}, "line 2: "),
]


@pytest.mark.parametrize(("text", "form", "message"), TABLES, ids=range(len(TABLES)))
def test_a_wrong_table_is_told_by_its_line(text: str, form: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        table(text, **form)
    assert message in caught.value.message
    assert caught.value.message.startswith("bill.csv")


AMOUNTS = [
    ("0", 1, 0),
    ("-0.0", 1, 0),
    ("1.5", 1, 1_500_000_000),
    ("-2", 1, -2_000_000_000),
    ("1E+2", 1, 100_000_000_000),
    ("0.0000000005", 1, 0),
    ("0.0000000015", 1, 2),
    ("123.456789", 100, 1_234_567_890),
    ("1e-999999", 1, 0),
]


@pytest.mark.parametrize(("text", "divisor", "nano"), AMOUNTS)
def test_amounts_become_integers_rounded_once(text: str, divisor: int, nano: int) -> None:
    assert nano_of(Decimal(text), divisor=divisor) == nano


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "1e19", "1" * 200])
def test_no_bill_holds_such_an_amount(text: str) -> None:
    with pytest.raises(ValueError, match="no amount of money"):
        nano_of(Decimal(text))


def test_exports_of_two_currencies_are_not_added() -> None:
    one, other = (table("day,cost\n2026-11-07,1\n", currency=currency) for currency in ("USD", "EUR"))
    with pytest.raises(BadRequest, match="EUR and USD"):
        joined([one, other])


def test_joined_exports_tell_apart_what_all_of_them_do() -> None:
    one = table("day,input,output\n2026-11-07,1,1\n")
    other = table("day,input,output,cached\n2026-11-07,5,1,4\n")
    both = joined([one, other, table("day,cost\n2026-11-07,1\n")])
    assert both.kinds == frozenset({"input", "output"})
    assert (both.currency, len(both.spans)) == ("USD", 1)
    assert [folded(line.tokens, both.kinds) for line in both.lines if line.tokens] == [
        {"input": 1, "output": 1},
        {"input": 5, "output": 1},
    ]
