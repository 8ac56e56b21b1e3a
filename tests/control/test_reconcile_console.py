"""Tables as the consoles of OpenAI and Anthropic write them; their rows are invented."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.exports.export import Export, Provider
from tidegate.control.exports.pages import Repeats
from tidegate.control.exports.read import read_provider
from tidegate.model.errors import BadRequest

DAY = 1_794_009_600
"""2026-11-07 00:00 UTC, in seconds."""
DAY_S = 86_400
US = 1_000_000

OPENAI_COSTS = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,"
    "line_item,user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,"
    "api_source\n"
)
OPENAI_USAGE = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,"
    "batch,service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens,"
    "input_text_tokens,output_text_tokens,input_cached_text_tokens,input_audio_tokens,"
    "input_cached_audio_tokens,output_audio_tokens\n"
)
ANTHROPIC_COSTS = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,"
    "cost_type,inference_geo,speed,api_key_id,api_key_status\n"
)
ANTHROPIC_USAGE = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
)


def read(provider: Provider, text: str) -> Export:
    return read_provider(provider, "table.csv", text, Repeats())


def bucket(n: int = 0) -> str:
    return f"{DAY + n * DAY_S},{DAY + (n + 1) * DAY_S},,"


def test_openai_costs_are_read_with_the_days_on_which_nothing_was_used() -> None:
    found = read(
        "openai",
        OPENAI_COSTS
        + f"{bucket(-1)},,,,,,,,,,,,,\n"
        + f"{bucket()},0.003835980000000000000000000000,usd,1000,tokens,"
        + '"gpt-5-nano-2025-08-07, cached input",user-1,key_1,proj_a,org,Project A,Acme,a@example.com,\n',
    )
    (line,) = found.lines
    assert (line.model, line.nano, line.ids) == ("gpt-5-nano-2025-08-07", 3_835_980, ("key_1", "proj_a"))
    assert (line.since_us, line.until_us) == (DAY * US, (DAY + DAY_S) * US)
    assert found.spans == (((DAY - DAY_S) * US, DAY * US), (DAY * US, (DAY + DAY_S) * US))
    assert (found.currency, found.kinds, found.surfaces, found.more) == ("USD", frozenset(), None, False)


def test_openai_activity_is_split_into_disjoint_tokens() -> None:  # trap M1, M2
    found = read(
        "openai",
        OPENAI_USAGE
        + f"{bucket()},proj_a,10.0,user-1,key_1,gpt-5-mini,FALSE,default,"
        + "59200.0,10646.0,5760.0,53440.0,53340,10640,5760,100,0,6\n"
        + f"{bucket(1)}{',' * 17}\n",
    )
    (line,) = found.lines
    assert line.tokens == {
        "input": 53_340,
        "input_audio": 100,
        "cache_read": 5_760,
        "cache_write_5m": 0,
        "output": 10_640,
        "output_audio": 6,
    }
    assert (line.calls, line.model, line.ids, line.nano) == (10, "gpt-5-mini", ("key_1", "proj_a"), None)
    assert (len(found.spans), found.currency) == (2, "")
    assert found.surfaces == frozenset({"chat", "completions", "responses", "messages"})


def test_anthropic_costs_are_dollars_of_models_by_their_names() -> None:
    found = read(
        "anthropic",
        ANTHROPIC_COSTS
        + "2026-11-07,Claude Haiku 4.5,Default,app,message,≤ 200k,output,0.19,0.19,token,global,,apikey_1,x\n"
        + "2026-11-09,,Default,app,message,,,0.02,0.02,web_search,global,,,active\n",
    )
    assert [(line.model, line.nano, line.ids) for line in found.lines] == [
        ("Claude-Haiku-4-5", 190_000_000, ("apikey_1", "app", "Default")),
        ("web_search", 20_000_000, ("app", "Default")),
    ]
    assert (len(found.spans), found.currency, found.kinds) == (3, "USD", frozenset())


def test_anthropic_usage_is_taken_as_it_is() -> None:
    found = read(
        "anthropic",
        ANTHROPIC_USAGE + "2026-11-07,claude-opus-5,app,Default,standard,≤ 200k,46981,15969,7,3,16932,0,x,\n",
    )
    (line,) = found.lines
    assert line.tokens == {
        "input": 46_981,
        "cache_write_5m": 15_969,
        "cache_write_1h": 7,
        "cache_read": 3,
        "output": 16_932,
    }
    assert (line.calls, line.model, line.ids) == (None, "claude-opus-5", ("app", "Default"))
    assert line.since_us == DAY * US


def test_columns_may_stand_in_any_order_and_further_ones_are_left_alone() -> None:
    text = f"new,amount_value,END_TIME,start_time\nx,1.5,{DAY + DAY_S},{DAY}\n"
    found = read("openai", text)
    assert [(line.nano, line.model, line.ids) for line in found.lines] == [(1_500_000_000, "", ())]


BROKEN: list[tuple[Provider, str, str]] = [
    ("openai", "day,cost\n2026-11-07,1\n", "neither JSON nor a table of this provider's console"),
    ("openai", ANTHROPIC_COSTS, "which has the columns start_time, end_time, amount_value, or start_time"),
    ("anthropic", OPENAI_COSTS, "usage_date_utc, cost_usd, or usage_date_utc"),
    ("openai", "9" * 10_000, "neither JSON nor"),
    ("openai", OPENAI_COSTS, "no line below its headings"),
    ("openai", "start_time,end_time,amount_value\nnow,2,3\n", "line 2: the start_time 'now' is no whole"),
    ("openai", "start_time,end_time,amount_value\n1,2,$3\n", "line 2: the amount_value '$3' is no number"),
    (
        "openai",
        "start_time,end_time,amount_value,amount_currency\n1,2,3,cents\n",
        "line 2: the amount_currency 'cents' is no currency",
    ),
    (
        "openai",
        "start_time,end_time,amount_value,amount_currency\n1,2,3,usd\n1,2,3,eur\n",
        "line 3: the amount_currency 'eur' is another than above",
    ),
    (
        "openai",
        "start_time,end_time,num_model_requests,input_tokens,output_tokens,input_cached_tokens\n1,2,1,1,1,5\n",
        "line 2: input_tokens is less than the tokens that it holds",
    ),
    ("openai", "start_time,start_time,end_time,amount_value\n1,1,2,3\n", "2 columns 'start_time'"),
    ("anthropic", "usage_date_utc,cost_usd\nNovember,1\n", "line 2: the usage_date_utc 'November' is no day"),
    ("anthropic", "usage_date_utc,cost_usd\n2026-11-07\n", "line 2: has 1 cells, the headings 2"),
]


@pytest.mark.parametrize(("provider", "text", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_wrong_table_is_told_by_its_line(provider: Provider, text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(provider, text)
    assert message in caught.value.message
    assert caught.value.message.startswith("table.csv")


def test_a_table_saved_twice_is_told() -> None:
    repeats = Repeats()
    text = f"start_time,end_time,amount_value\n{DAY},{DAY + DAY_S},1\n"
    read_provider("openai", "a.csv", text, repeats)
    with pytest.raises(BadRequest, match=r"b.csv says what another file does, line by line"):
        read_provider("openai", "b.csv", text, repeats)


HEADS = (OPENAI_COSTS, OPENAI_USAGE, ANTHROPIC_COSTS, ANTHROPIC_USAGE, "", "{", "[", '{"data": [')
CELLS = ("2026-11-07", "1", "1794009600", "-1", "0.5", "1e9", "1E-999", "usd", "", '"m, x"', "NaN")


@given(st.sampled_from(get_args(Provider)), st.sampled_from(HEADS), st.data())
def test_whatever_stands_in_a_file_it_is_read_or_refused(
    provider: Provider, head: str, data: st.DataObject
) -> None:
    width = head.count(",") + 1
    row = st.lists(st.sampled_from(CELLS), min_size=width, max_size=width).map(",".join)
    lines = data.draw(st.lists(row | st.text(max_size=40), max_size=4))
    try:
        found = read(provider, head + "\n".join(lines))
    except BadRequest as error:
        assert error.message.startswith("table.csv")  # noqa: PT017 - to be read is as good
    else:
        assert len(found.lines) <= len(lines)
