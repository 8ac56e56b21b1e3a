"""Anthropic's usage in disjoint buckets."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.usage import Usage, UsageReport
from tidegate.wire.anthropic_messages.usage import UsageFold

SPLIT = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}


def fold(*said: dict[str, Any] | bytes) -> UsageFold:
    """The last one is final, as in a stream."""
    found = UsageFold()
    for index, usage in enumerate(said, start=1):
        raw = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
        found.add(raw, final=index == len(said))
    return found


def report(*said: dict[str, Any] | bytes) -> UsageReport:
    found = fold(*said).report()
    assert found is not None
    return found


def test_every_bucket_is_filled_once() -> None:
    # trap M1
    found = report(
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 70,
            "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 15},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 9},
            "service_tier": "priority",
        }
    )
    assert found == UsageReport(
        usage=Usage(
            input_uncached=10,
            cache_read=20,
            cache_write_5m=30,
            cache_write_1h=40,
            output_text=35,
            reasoning=15,
            searches=2,
        ),
        rule="anthropic",
        stated_input=100,
        stated_output=50,
    )


def test_what_was_not_said_is_unknown_and_not_zero() -> None:
    # trap M5
    found = report({"input_tokens": 1, "output_tokens": 0})
    assert found.usage == Usage(input_uncached=1, output_text=0)
    assert fold({}).report() is None
    assert fold(b"null").report() is None


def test_the_final_total_is_billed_and_its_unexplained_part_as_a_cache_write() -> None:
    # trap S3: a web search fed its results into the cache; only the start knows the split
    start = {
        "input_tokens": 2247,
        "cache_creation_input_tokens": 0,
        "cache_creation": SPLIT,
        "output_tokens": 26,
    }
    end = {"input_tokens": 2254, "cache_creation_input_tokens": 17269, "output_tokens": 112}
    found = report(start, end)
    assert found.usage == Usage(input_uncached=2254, cache_write_5m=17269, cache_write_1h=0, output_text=112)
    assert found.anomalies == ("remainder-as-cache-write",)
    assert found.stated_input == 2254 + 17269


def test_a_split_above_its_total_never_passes_it() -> None:
    split = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 9}
    found = report(
        {"input_tokens": 1, "cache_creation_input_tokens": 7, "cache_creation": split, "output_tokens": 1}
    )
    assert (found.usage.cache_write_5m, found.usage.cache_write_1h) == (0, 7)
    assert found.anomalies == ("total-mismatch",)


def test_before_the_end_the_output_is_unknown() -> None:
    # trap S6: a stream that is cut here is estimated, not billed at the start's count
    found = UsageFold()
    found.add(b'{"input_tokens": 30, "output_tokens": 25}', final=False)
    started = found.report()
    assert started is not None
    assert started.usage == Usage(input_uncached=30)
    assert (started.stated_input, started.stated_output) == (30, None)


def test_compaction_inside_the_call_is_billed_beside_it() -> None:
    inner = {"type": "message", "input_tokens": 181, "output_tokens": 8, "cache_read_input_tokens": 0}
    compaction = {
        "type": "compaction",
        "input_tokens": 100,
        "output_tokens": 83,
        "cache_read_input_tokens": 55096,
    }
    start = {"input_tokens": 100, "cache_read_input_tokens": 55096, "output_tokens": 7}
    end = {
        "input_tokens": 181,
        "cache_read_input_tokens": 0,
        "output_tokens": 8,
        "iterations": [compaction, inner],
    }
    found = report(start, end)
    assert found.usage == Usage(input_uncached=281, cache_read=55096, output_text=91)
    assert (found.rule, found.anomalies) == ("anthropic/iterations", ())
    assert (found.stated_input, found.stated_output) == (281 + 55096, 91)


def test_an_advisor_is_billed_and_its_other_model_is_named() -> None:
    advisor = {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 20, "output_tokens": 3}
    found = report({"input_tokens": 10, "output_tokens": 5, "iterations": [advisor]})
    assert found.usage == Usage(input_uncached=30, output_text=8)
    assert found.anomalies == ("other-model",)


def test_impossible_counts_are_unknown_and_named() -> None:
    # case F9
    found = report({"input_tokens": -5, "cache_read_input_tokens": 10**12, "output_tokens": 3})
    assert found.usage == Usage(output_text=3)
    assert found.anomalies == ("negative", "absurd")
    more = report({"input_tokens": 1, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 9}})
    assert (more.usage.output_text, more.usage.reasoning, more.anomalies) == (0, 3, ("total-mismatch",))


def test_unreadable_usage_keeps_what_was_known() -> None:
    found = report({"input_tokens": 9, "output_tokens": 1}, {"output_tokens": "many"})
    assert found.usage == Usage(input_uncached=9)
    assert found.anomalies == ("unreadable",)


def test_fast_processing_is_the_tier() -> None:
    # trap M3
    usage = {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard"}
    assert fold({**usage, "speed": "fast"}).tier == "fast"
    assert fold({**usage, "speed": "standard"}).tier == "standard"


COUNT = st.integers(0, 1_000_000)
MAYBE = st.none() | COUNT
USAGE = st.fixed_dictionaries(
    {"input_tokens": COUNT, "output_tokens": COUNT},
    optional={
        "cache_read_input_tokens": MAYBE,
        "cache_creation_input_tokens": MAYBE,
        "cache_creation": st.none()
        | st.fixed_dictionaries({"ephemeral_5m_input_tokens": MAYBE, "ephemeral_1h_input_tokens": MAYBE}),
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": MAYBE}),
        "server_tool_use": st.fixed_dictionaries({"web_search_requests": MAYBE}),
    },
)
ITERATION = st.builds(
    lambda kind, usage: {**usage, "type": kind}, st.sampled_from(["message", "compaction"]), USAGE
)


@given(start=USAGE, end=USAGE, iterations=st.lists(ITERATION, max_size=3))
def test_the_buckets_sum_to_what_was_stated(
    start: dict[str, Any], end: dict[str, Any], iterations: list[dict[str, Any]]
) -> None:
    # trap M1
    found = report(start, {**end, "iterations": iterations})
    assert found.usage.input_total == found.stated_input
    assert found.usage.output_total == found.stated_output
    outside = [entry for entry in iterations if entry["type"] == "compaction"]
    assert found.stated_output == end["output_tokens"] + sum(entry["output_tokens"] for entry in outside)


@given(said=st.lists(USAGE | st.binary(max_size=20), min_size=1, max_size=3))
def test_no_usage_gives_a_negative_bucket(said: list[dict[str, Any] | bytes]) -> None:
    found = fold(*said).report()
    if found is not None:
        buckets = [getattr(found.usage, name) for name in Usage.__struct_fields__]
        assert all(count is None or count >= 0 for count in buckets)
