import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.provider import UsageRules
from tidegate.model.usage import BUCKETS, Usage, UsageReport
from tidegate.wire.openai_usage import newer, read_usage

INSIDE = UsageRules()
OUTSIDE = UsageRules(reasoning="outside")
XAI = UsageRules(reasoning="outside", cost_field="cost_in_usd_ticks", cost_divisor=10_000_000_000)
OPENROUTER = UsageRules(cost_field="cost")


def usage(rules: UsageRules = INSIDE, **fields: Any) -> UsageReport:
    input_only = fields.pop("input_only", False)
    report = read_usage(json.dumps(fields).encode(), rules, input_only=input_only)
    assert report is not None
    return report


def said(report: UsageReport) -> dict[str, int]:
    return {name: count for name in BUCKETS if (count := getattr(report.usage, name)) is not None}


def test_cached_and_written_tokens_come_out_of_the_prompt() -> None:  # trap M1
    report = usage(
        prompt_tokens=1220,
        completion_tokens=100,
        total_tokens=1320,
        prompt_tokens_details={"cached_tokens": 1000, "cache_write_tokens": 200, "audio_tokens": 0},
        completion_tokens_details={"reasoning_tokens": 60, "audio_tokens": 0},
    )
    assert said(report) == {
        "input_uncached": 20,
        "cache_read": 1000,
        "cache_write_5m": 200,
        "input_audio": 0,
        "output_text": 40,
        "reasoning": 60,
        "output_audio": 0,
    }
    assert (report.stated_input, report.stated_output, report.rule) == (1220, 100, "openai")


def test_the_responses_dialect_has_the_same_numbers_under_other_names() -> None:
    report = usage(
        input_tokens=10,
        output_tokens=7,
        total_tokens=17,
        input_tokens_details={"cached_tokens": 4},
        output_tokens_details={"reasoning_tokens": 5},
    )
    assert said(report) == {"input_uncached": 6, "cache_read": 4, "output_text": 2, "reasoning": 5}


def test_audio_that_overlaps_with_cached_tokens_is_subtracted_once() -> None:  # trap M2
    report = usage(
        prompt_tokens=100,
        completion_tokens=1,
        prompt_tokens_details={"cached_tokens": 90, "audio_tokens": 30},
    )
    assert said(report) == {"input_uncached": 0, "cache_read": 90, "input_audio": 10, "output_text": 1}
    assert report.anomalies == ("overlap",)


def test_cached_audio_is_cached_where_the_provider_splits_it() -> None:  # trap M2
    details = {"cached_tokens": 50, "audio_tokens": 30, "cached_tokens_details": {"audio_tokens": 25}}
    report = usage(prompt_tokens=100, completion_tokens=1, prompt_tokens_details=details)
    assert said(report) == {"input_uncached": 45, "cache_read": 50, "input_audio": 5, "output_text": 1}


REASONING = [  # trap M16
    (INSIDE, 69, 25, 44, 739 - 44, "openai", 0, 25),
    (INSIDE, 670, 25, 44, 739, "openai/reasoning-outside", 25, 69),
    (OUTSIDE, 670, 25, 44, 739, "openai/reasoning-outside", 25, 69),
    (OUTSIDE, 670, 60, 44, 730, "openai", 16, 60),
    (OUTSIDE, 670, 25, 44, None, "openai/reasoning-outside", 25, 69),
    (INSIDE, 670, 60, 44, None, "openai", 16, 60),
]


@pytest.mark.parametrize(
    ("rules", "prompt", "completion", "reasoning", "total", "rule", "text", "stated"), REASONING
)
def test_the_total_says_where_reasoning_is_counted(
    rules: UsageRules,
    prompt: int,
    completion: int,
    reasoning: int,
    total: int | None,
    rule: str,
    text: int,
    stated: int,
) -> None:
    report = usage(
        rules,
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        completion_tokens_details={"reasoning_tokens": reasoning},
    )
    assert report.usage.output_text == text
    assert (report.rule, report.stated_output) == (rule, stated)


def test_an_unexplained_rest_of_the_total_is_reasoning() -> None:  # trap M16
    report = usage(prompt_tokens=66, completion_tokens=6, total_tokens=100)
    assert said(report) == {"input_uncached": 66, "output_text": 6, "reasoning": 28}
    assert report.anomalies == ("remainder-as-reasoning",)


def test_a_total_that_cannot_be_explained_is_named() -> None:
    report = usage(prompt_tokens=66, completion_tokens=6, total_tokens=50)
    assert said(report) == {"input_uncached": 66, "output_text": 6}
    assert report.anomalies == ("total-mismatch",)


@pytest.mark.parametrize(
    "where", ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"]
)
def test_each_spelling_of_cached_tokens_is_read(where: str) -> None:
    report = usage(prompt_tokens=337, completion_tokens=37, total_tokens=374, **dict[str, Any]({where: 256}))
    assert said(report) == {"input_uncached": 81, "cache_read": 256, "output_text": 37}


def test_writes_for_an_hour_stand_apart() -> None:
    report = usage(
        prompt_tokens=50,
        completion_tokens=1,
        cache_creation_input_tokens=30,
        cache_creation={"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    )
    assert said(report) == {
        "input_uncached": 20,
        "cache_write_5m": 10,
        "cache_write_1h": 20,
        "output_text": 1,
    }


def test_cached_tokens_beside_the_prompt_are_added() -> None:
    report = usage(prompt_tokens=10, completion_tokens=5, total_tokens=915, cached_tokens=900)
    assert said(report) == {"input_uncached": 10, "cache_read": 900, "output_text": 5}
    assert (report.stated_input, report.rule) == (910, "openai/cache-outside")


def test_cached_tokens_never_pass_a_prompt_that_the_total_confirms() -> None:
    report = usage(prompt_tokens=10, completion_tokens=213, total_tokens=223, cached_tokens=161)
    assert said(report) == {"input_uncached": 0, "cache_read": 10, "output_text": 213}
    assert "cache-over-input" in report.anomalies


@pytest.mark.parametrize(
    ("wrong", "anomaly"),
    [
        (-1, "negative"),
        (10**12, "absurd"),
        ("12", "not-a-count"),
        (True, "not-a-count"),
        (1.5, "not-a-count"),
    ],
)
def test_a_count_that_is_none_is_unknown_and_named(wrong: object, anomaly: str) -> None:  # case F9
    report = usage(prompt_tokens=wrong, completion_tokens=5)
    assert said(report) == {"output_text": 5}
    assert report.anomalies == (anomaly,)
    assert usage(
        prompt_tokens=9, completion_tokens=5, prompt_tokens_details={"cached_tokens": wrong}
    ).usage == Usage(input_uncached=9, output_text=5)


def test_what_is_not_said_is_unknown_and_what_is_zero_is_zero() -> None:  # trap M5
    assert said(usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)) == {
        "input_uncached": 0,
        "output_text": 0,
    }
    assert said(usage(prompt_tokens=193, completion_tokens=None, total_tokens=None)) == {
        "input_uncached": 193
    }
    assert read_usage(b"null", INSIDE) is None
    assert read_usage(b"{}", INSIDE) is None
    assert read_usage(b'"x"', INSIDE) is None
    assert read_usage(b'{"prompt_tokens":null,"prompt_tokens_details":null}', INSIDE) is None


def test_embeddings_have_input_alone() -> None:
    assert said(usage(input_only=True, prompt_tokens=12, total_tokens=12)) == {"input_uncached": 12}
    assert said(usage(input_only=True, total_tokens=18)) == {"input_uncached": 18}
    assert said(usage(input_only=True, prompt_tokens=3, completion_tokens=0, total_tokens=3)) == {
        "input_uncached": 3
    }


def test_searches_are_counted() -> None:
    tools = {"web_search_requests": 2}
    assert usage(prompt_tokens=1, completion_tokens=1, server_tool_use_details=tools).usage.searches == 2
    assert usage(prompt_tokens=1, completion_tokens=1, num_search_queries=3).usage.searches == 3


COSTS: list[tuple[UsageRules, bytes, str | None]] = [  # trap M11, trap M12
    (OPENROUTER, b'{"cost":0.1,"prompt_tokens":1}', "0.1"),
    (OPENROUTER, b'{"cost":1.8e-07,"prompt_tokens":1}', "0.00000018"),
    (OPENROUTER, b'{"cost":0.10000000000000000555,"prompt_tokens":1}', "0.10000000000000000555"),
    (OPENROUTER, b'{"cost":"0.25","prompt_tokens":1}', "0.25"),
    (OPENROUTER, b'{"cost":0,"prompt_tokens":1}', "0"),
    (OPENROUTER, b'{"cost":null,"prompt_tokens":1}', None),
    (OPENROUTER, b'{"prompt_tokens":1}', None),
    (OPENROUTER, b'{"cost":{"total":1},"prompt_tokens":1}', None),
    (OPENROUTER, b'{"cost":-1,"prompt_tokens":1}', None),
    (OPENROUTER, b'{"cost":1e300,"prompt_tokens":1}', None),
    (OPENROUTER, b'{"cost":1e-300,"prompt_tokens":1}', None),
    (OPENROUTER, b'{"cost":"NaN","prompt_tokens":1}', None),
    (XAI, b'{"cost_in_usd_ticks":758000,"prompt_tokens":1}', "0.0000758"),
    (XAI, b'{"cost_in_usd_ticks":4389400,"prompt_tokens":1}', "0.00043894"),
    (
        UsageRules(cost_field="cost.total_cost"),
        b'{"cost":{"total_cost":1.2e-08},"prompt_tokens":1}',
        "0.000000012",
    ),
    (INSIDE, b'{"cost":0.1,"prompt_tokens":1}', None),
]


@pytest.mark.parametrize(("rules", "raw", "cost"), COSTS)
def test_the_stated_cost_is_read_from_its_digits(rules: UsageRules, raw: bytes, cost: str | None) -> None:
    report = read_usage(raw, rules)
    assert report is not None
    assert report.stated_cost == cost
    assert report.usage.input_uncached == 1


def test_the_last_complete_usage_wins() -> None:  # trap S1
    early, late = usage(prompt_tokens=5, completion_tokens=1), usage(prompt_tokens=5, completion_tokens=9)
    part = usage(prompt_tokens=5, completion_tokens=None)
    assert newer(None, early) == early
    assert newer(early, late) == late
    assert newer(late, part) == late
    assert newer(part, late) == late
    assert newer(late, None) == late


def test_usage_that_falls_is_named() -> None:  # case F9
    high, low = usage(prompt_tokens=5, completion_tokens=9), usage(prompt_tokens=5, completion_tokens=2)
    fallen = newer(high, low)
    assert fallen is not None
    assert (fallen.usage, fallen.anomalies) == (low.usage, ("decreased",))


COUNTS = st.none() | st.integers(0, 1000)


@given(
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.fixed_dictionaries(
        dict.fromkeys(("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"), COUNTS)
    ),
    st.fixed_dictionaries({"reasoning_tokens": COUNTS, "audio_tokens": COUNTS}),
    st.sampled_from([INSIDE, OUTSIDE]),
    st.sampled_from(["sum", "outside", "absent"]),
)
def test_buckets_sum_to_the_totals_and_are_never_negative(
    prompt: int,
    completion: int,
    inputs: dict[str, int | None],
    outputs: dict[str, int | None],
    rules: UsageRules,
    form: str,
) -> None:  # trap M1
    reasoning = outputs["reasoning_tokens"] or 0
    total = {"sum": prompt + completion, "outside": prompt + completion + reasoning, "absent": None}[form]
    report = usage(
        rules,
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        prompt_tokens_details=inputs,
        completion_tokens_details=outputs,
    )
    assert all(count >= 0 for count in said(report).values())
    assert report.usage.input_total == report.stated_input
    assert report.usage.output_total == report.stated_output
    if "cache-over-input" not in report.anomalies:
        assert report.stated_input == prompt
        if total is not None and (reasoning <= completion or rules is INSIDE):
            assert (report.stated_input or 0) + (report.stated_output or 0) == total


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet="a1-", max_size=5),
        lambda x: (
            st.lists(x, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "prompt_tokens",
                        "completion_tokens",
                        "total_tokens",
                        "prompt_tokens_details",
                        "cached_tokens",
                        "audio_tokens",
                        "cost",
                    ]
                ),
                x,
                max_size=7,
            )
        ),
        max_leaves=12,
    )
)
def test_no_usage_object_raises(found: object) -> None:
    report = read_usage(json.dumps(found).encode(), OPENROUTER)
    assert report is None or all(count >= 0 for count in said(report).values())
