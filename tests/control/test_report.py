"""Figures worked out by hand: each test states the calls and what a person would add up from them."""

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.calls import (
    CARD,
    DAY_US,
    HOUR_US,
    NOON_US,
    attempt,
    begin,
    end,
    in_memory,
    listed,
    named,
    project,
    rate,
    refused,
    settled,
    who,
)
from tidegate.control.period import Period, parse_period
from tidegate.control.report import DIMENSIONS, Dimension, Report, report
from tidegate.model.errors import BadRequest
from tidegate.model.money import Fx
from tidegate.model.price import PriceCard, price_id
from tidegate.model.provider import Target
from tidegate.model.record import KeyCreated, RefusedMany
from tidegate.model.usage import Usage
from tidegate.stores.sqlite.store import Store

ROME = ZoneInfo("Europe/Rome")
UTC = ZoneInfo("UTC")
WEEK = Period(NOON_US - 3 * DAY_US, NOON_US + 4 * DAY_US, UTC)
FX = Fx(base="EUR", quote="USD", rate="1.25", date=date(2026, 11, 1), source="test")
LATER_FX = Fx(base="EUR", quote="USD", rate="2", date=date(2026, 11, 8), source="test")


@pytest.fixture
def store() -> Iterator[Store]:
    with in_memory() as opened:
        yield opened


def made(store: Store, *by: Dimension, currency: str = "USD", **more: Any) -> Report:
    return report(store, by=by or ("feature",), period=more.pop("period", WEEK), currency=currency, **more)


def costs(found: Report) -> dict[str, int | None]:
    return {" / ".join(line.label): line.figures.cost_nano for line in found.lines}


def call(id_: str, *, at: int = NOON_US, last: Any = None, **facts: Any) -> tuple[Any, Any]:
    return begin(id_, at=at, **facts), end(id_, at=at + 900, last=last or settled())


def test_one_feature_adds_up(store: Store) -> None:
    project(store, *call("r1"), *call("r2", last=settled(cost_nano=3_000_001)), decided=[listed()])
    found = made(store)
    (line,) = found.lines
    figures = line.figures
    assert line.label == ("summaries",)
    assert (figures.calls, figures.attempts, figures.open, figures.failed) == (2, 2, 0, 0)
    assert (figures.input_tokens, figures.cached_tokens) == (200, 40)
    assert (figures.output_tokens, figures.reasoning_tokens, figures.tokens) == (100, 20, 360)
    assert (figures.cost_nano, figures.cost_per_call_nano) == (4_000_001, 2_000_000)
    assert figures.price_ratio == Fraction(4)
    assert (figures.p50_us, figures.p95_us, figures.ttft_p50_us) == (900, 900, 300)
    assert (figures.at_least, found.notes) == (False, ())
    assert found.total == figures


def test_every_way_out_is_counted_as_what_it_was(store: Store) -> None:
    outcomes = ["ok", "failed", "truncated", "cancelled", "interrupted"]
    for outcome in outcomes:
        project(store, begin(outcome), end(outcome, outcome=outcome), boot=outcome)
    project(store, refused("r1"), refused("r2", who=None), begin("open"), boot="b9")
    total = made(store).total
    assert (total.calls, total.refused, total.failed, total.cancelled) == (8, 2, 2, 1)
    assert (total.interrupted, total.open, total.attempts) == (1, 1, 6)
    assert total.cost_nano == 5_000_000
    assert total.cost_per_call_nano == 833_333
    assert total.at_least


def test_failed_attempts_cost_what_they_cost(store: Store) -> None:  # trap M7
    lost = settled(status="timeout", cost_nano=7)
    project(store, begin("r1"), attempt("r1", 1, lost), end("r1", n=1, last=settled(cost_nano=10)))
    assert costs(made(store)) == {"summaries": 17}
    assert costs(made(store, "provider")) == {"mistral": 10, "openai": 7}
    by_model = {line.label: line.figures for line in made(store, "model").lines}
    assert (by_model["small",].calls, by_model["gpt",].calls) == (1, 0)
    assert (by_model["small",].attempts, by_model["gpt",].attempts) == (1, 1)


def test_a_cost_nobody_knows_is_unknown_not_zero(store: Store) -> None:  # trap M4, M5
    unpriced = settled(cost_nano=None, cost_source="unpriced", price_id="", flags=("unpriced",))
    project(store, *call("r1", last=unpriced))
    found = made(store)
    assert (found.total.cost_nano, found.total.cost_per_call_nano) == (None, None)
    assert (found.total.unpriced_calls, found.total.unpriced_tokens, found.total.tokens) == (1, 180, 180)
    assert found.total.at_least
    assert found.notes == ("without a price: 1 of 1 calls; their cost is not in it",)


def test_part_of_the_cost_known_is_a_lower_bound(store: Store) -> None:
    unpriced = settled(cost_nano=None, cost_source="unpriced")
    project(store, *call("r1"), *call("r2", last=unpriced))
    total = made(store).total
    assert (total.cost_nano, total.at_least, total.unpriced_calls) == (1_000_000, True, 1)


def test_refused_calls_cost_nothing_for_certain(store: Store) -> None:
    project(store, refused("r1"))
    total = made(store).total
    assert (total.cost_nano, total.input_tokens, total.output_tokens) == (0, 0, 0)
    assert (total.cost_per_call_nano, total.p50_us, total.at_least) == (None, None, False)


def test_an_attempt_that_was_never_sent_cost_nothing_and_used_nothing(store: Store) -> None:
    unsent = settled(
        status="unreachable", sent="no", usage=Usage(), usage_source="none", cost_nano=0, cost_source="none"
    )
    project(store, begin("r1"), end("r1", outcome="failed", last=unsent))
    total = made(store, currency="EUR").total
    assert (total.cost_nano, total.input_tokens, total.reasoning_tokens) == (0, 0, 0)
    assert (total.unpriced_calls, total.unconverted) == (0, {})


def test_tokens_are_unknown_where_no_provider_said(store: Store) -> None:  # trap M5
    silent = settled(usage=Usage(input_uncached=5, output_text=0), cost_nano=1)
    project(store, *call("r1", last=silent))
    total = made(store).total
    assert (total.input_tokens, total.cached_tokens) == (5, None)
    assert (total.output_tokens, total.reasoning_tokens) == (0, None)
    project(store, *call("r2"), boot="b2")
    assert made(store).total.cached_tokens == 20


def test_estimates_are_counted(store: Store) -> None:
    guess = settled(usage_source="estimated", cost_source="estimated")
    project(store, *call("r1", last=guess), *call("r2"), *call("r3", last=settled(cost_source="ceiling")))
    total = made(store).total
    assert (total.estimated_calls, total.estimated_tokens, total.tokens) == (2, 180, 540)


def test_euros_and_dollars_meet_at_the_pinned_rate(store: Store) -> None:  # trap M12
    """1.00 USD at 1.25 is 0.80 EUR, plus 0.10 EUR that was billed in euros."""
    dollars = settled(cost_nano=1_000_000_000, fx_id=FX.id)
    euros = settled(cost_nano=100_000_000, currency="EUR")
    project(store, *call("r1", last=dollars), *call("r2", last=euros), decided=[rate(FX), rate(LATER_FX)])
    found = made(store, currency="EUR")
    assert found.total.cost_nano == 900_000_000
    assert found.notes == ()
    assert made(store, currency="USD").total.cost_nano == 1_000_000_000 + 125_000_000


def test_a_later_rate_does_not_change_history(store: Store) -> None:  # trap M12
    day_after = NOON_US + DAY_US
    project(
        store,
        *call("r1", last=settled(cost_nano=100)),
        *call("r2", at=day_after, last=settled(cost_nano=100)),
        *call("r3", at=day_after, last=settled(cost_nano=100, fx_id=FX.id)),
        decided=[rate(FX), rate(LATER_FX)],
    )
    found = made(store, "day", currency="EUR")
    assert costs(found) == {"2026-11-07": 80, "2026-11-08": 50 + 80}
    assert (
        "amounts without an exchange rate of their own are converted at the rate of their day" in found.notes
    )


def test_an_amount_without_a_rate_stands_apart(store: Store) -> None:
    pounds = settled(cost_nano=70, currency="GBP")
    early = settled(cost_nano=100)
    project(
        store,
        *call("r1", last=pounds),
        *call("r2", last=settled(cost_nano=50, currency="EUR")),
        *call("r3", at=NOON_US, last=early),
        decided=[rate(LATER_FX)],
    )
    found = made(store, currency="EUR")
    assert (found.total.cost_nano, found.total.unconverted) == (50, {"GBP": 70, "USD": 100})
    assert found.total.at_least
    assert any("no exchange rate to EUR" in note for note in found.notes)


def test_sums_are_converted_once_per_day_and_currency(store: Store) -> None:
    """Three times 1 nano-USD at 2 USD a EUR: 3 / 2 = 1.5, half-even 2; each alone would be 0."""
    rate_two = Fx(base="EUR", quote="USD", rate="2", date=date(2026, 11, 1), source="test")
    calls = [record for n in range(3) for record in call(f"r{n}", last=settled(cost_nano=1))]
    project(store, *calls, decided=[rate(rate_two)])
    assert made(store, currency="EUR").total.cost_nano == 2


def test_the_total_is_the_sum_of_the_lines_as_printed(store: Store) -> None:
    rate_two = Fx(base="EUR", quote="USD", rate="2", date=date(2026, 11, 1), source="test")
    calls = [
        record
        for n in range(3)
        for record in call(f"r{n}", who=who(feature=f"f{n}"), last=settled(cost_nano=3))
    ]
    project(store, *calls, decided=[rate(rate_two)])
    found = made(store, currency="EUR")
    assert [line.figures.cost_nano for line in found.lines] == [2, 2, 2]
    assert found.total.cost_nano == 6


def test_days_are_those_of_the_time_zone(store: Store) -> None:
    """Rome, 25 October 2026: the clock goes back, so the day has 25 hours, 22:00 UTC to 23:00 UTC."""
    period = parse_period("2026-10-24..2026-10-27", ROME, NOON_US)
    midnight = period.since_us + DAY_US
    moments = [midnight - 1, midnight, midnight + 25 * HOUR_US - 1, midnight + 25 * HOUR_US]
    calls = [record for n, at in enumerate(moments) for record in call(f"r{n}", at=at)]
    project(store, *calls)
    found = made(store, "day", period=period)
    assert [(line.label[0], line.figures.calls) for line in found.lines] == [
        ("2026-10-24", 1),
        ("2026-10-25", 2),
        ("2026-10-26", 1),
    ]


def test_the_period_is_half_open(store: Store) -> None:
    moments = [NOON_US - 1, NOON_US, NOON_US + 9, NOON_US + 10]
    project(store, *(record for n, at in enumerate(moments) for record in call(f"r{n}", at=at)))
    assert made(store, period=Period(NOON_US, NOON_US + 10, UTC)).total.calls == 2


def test_a_name_given_later_holds_for_the_past_from_its_date_on(store: Store) -> None:
    auto = who(feature="auto-1a2b")
    calls = [record for n in range(3) for record in call(f"r{n}", at=NOON_US + n * HOUR_US, who=auto)]
    project(store, *calls)
    assert costs(made(store)) == {"auto-1a2b": 3_000_000}
    project(store, decided=[named("auto-1a2b", "summaries", from_us=NOON_US + HOUR_US)])
    assert costs(made(store)) == {"summaries": 2_000_000, "auto-1a2b": 1_000_000}
    project(store, decided=[named("auto-1a2b", "letters", seq=9)] * 2)
    assert costs(made(store)) == {"summaries": 2_000_000, "letters": 1_000_000}


def test_a_name_of_one_tenant_is_not_one_of_another(store: Store) -> None:
    project(
        store,
        *call("r1", who=who(feature="auto-1a2b", tenant="other")),
        decided=[named("auto-1a2b", "summaries")],
    )
    assert costs(made(store)) == {"auto-1a2b": 1_000_000}


def test_a_tenant_sees_its_own_calls_alone(store: Store) -> None:
    project(store, *call("r1"), *call("r2", who=who(tenant="other", feature="x")), refused("r3", who=None))
    found = made(store, tenant="acme")
    assert (costs(found), found.total.calls) == ({"summaries": 1_000_000}, 1)
    assert made(store, "tenant").total.calls == 3


@pytest.mark.parametrize("name", DIMENSIONS)
def test_every_dimension_adds_up_to_the_same_total(store: Store, name: Dimension) -> None:
    lost = settled(status="error", cost_nano=5)
    project(
        store,
        *call("r1", who=who(customer="c1", project="p", environment="prod")),
        begin("r2", who=who(team="", feature="")),
        attempt("r2", 1, lost),
        end("r2", n=1),
        refused("r3"),
        refused("r4", who=None),
        begin("r5"),
    )
    found = made(store, name)
    assert (found.total.calls, found.total.attempts, found.total.cost_nano) == (5, 4, 2_000_005)
    assert sum(line.figures.calls for line in found.lines) == 5
    assert sum(line.figures.cost_nano or 0 for line in found.lines) == 2_000_005


def test_two_dimensions_split_each_other(store: Store) -> None:
    other = Target(provider="mistral", deployment="fr", model="small")
    project(store, *call("r1"), *call("r2", target=other), *call("r3", at=NOON_US + DAY_US))
    assert costs(made(store, "team", "model")) == {"docs / gpt": 2_000_000, "docs / small": 1_000_000}
    assert costs(made(store, "day", "provider")) == {
        "2026-11-07 / mistral": 1_000_000,
        "2026-11-07 / openai": 1_000_000,
        "2026-11-08 / openai": 1_000_000,
    }


@pytest.mark.parametrize("by", [[], ["feature", "team", "model"]])
def test_none_or_three_dimensions_are_refused(store: Store, by: list[Dimension]) -> None:
    with pytest.raises(BadRequest, match="one or two of"):
        report(store, by=by, period=WEEK, currency="EUR")


def test_calls_that_could_have_a_limit_and_have_none(store: Store) -> None:
    free: dict[str, Any] = {"max_output": None, "limit_sent": None, "limit_source": "none"}
    project(
        store,
        *call("r1"),
        *call("r2", **free),
        *call("r3", **(free | {"limit_source": "provider", "limit_sent": 99})),
        *call("r4", surface="embeddings", **free),
        *call("r5", surface="count_tokens", **free),
        refused("r6"),
    )
    total = made(store).total
    assert (total.generation_calls, total.unlimited_calls) == (3, 2)


def test_percentiles_are_of_calls_that_ended_well(store: Store) -> None:
    for n in range(1, 21):
        done = end(f"r{n}", duration_us=n * 1000, ttft_us=None if n % 2 else n)
        project(store, begin(f"r{n}"), done, boot=f"b{n}")
    project(store, begin("slow"), end("slow", outcome="failed", duration_us=10**9), boot="b99")
    total = made(store).total
    assert (total.p50_us, total.p95_us) == (10_000, 19_000)
    assert (total.ttft_p50_us, total.ttft_p95_us) == (10, 20)


def test_the_price_ratio_is_weighted_by_attempts_and_needs_known_cards(store: Store) -> None:
    flat = PriceCard(
        provider="p", model="m", rates={"input_uncached": "2", "output_text": "2"}, source="test"
    )
    project(
        store,
        *call("r1"),
        *call("r2", last=settled(price_id=price_id(flat))),
        *call("r3", last=settled(price_id="gone")),
        decided=[listed(CARD), listed(flat, seq=2)],
    )
    assert made(store).total.price_ratio == Fraction(8 + 2, 2 + 2)


def test_the_price_ratio_of_two_currencies_is_unknown(store: Store) -> None:
    euro = PriceCard(
        provider="p", model="m", rates={"input_uncached": "1", "output_text": "2"}, currency="EUR", source="t"
    )
    project(
        store,
        *call("r1"),
        *call("r2", last=settled(price_id=price_id(euro))),
        decided=[listed(CARD), listed(euro, seq=2)],
    )
    assert made(store).total.price_ratio is None


def test_pseudonyms_are_short_unless_their_names_are_known(store: Store) -> None:
    project(store, *call("r1", who=who(customer="c0ffee" * 4)), *call("r2", who=who(customer="facade" * 4)))
    known = {("acme", "customer", "c0ffee" * 4): "Müller"}
    found = made(store, "customer", plain_name=lambda *key: known.get(key))
    assert sorted(line.label[0] for line in found.lines) == ["Müller", "facadefa"]
    assert {line.key[0] for line in found.lines} == {"c0ffee" * 4, "facade" * 4}


def test_keys_are_shown_by_name_and_id(store: Store) -> None:
    key = KeyCreated(seq=1, at=1, by="ann", key={"id": "k1", "mac": "m", "tenant": "acme", "name": "app"})
    project(store, *call("r1"), *call("r2", who=who(key="k2")), decided=[key])
    assert sorted(line.label[0] for line in made(store, "key").lines) == ["app (k1)", "k2"]


def test_what_is_not_in_the_figures_is_said(store: Store) -> None:
    project(
        store,
        begin("r1"),
        end("lost"),
        b'{"t":"newer"}',
        RefusedMany(seq=9, at=NOON_US, minute_us=NOON_US, code="invalid_api_key", count=40),
    )
    notes = " | ".join(made(store).notes)
    assert "still running: 1 of 1 calls" in notes
    assert "lost in a damaged journal: 1" in notes
    assert "records not understood: 1" in notes
    assert "by the minute: 40" in notes
    assert "minute" not in " | ".join(made(store, tenant="acme").notes)


def test_an_empty_store_gives_an_empty_report(store: Store) -> None:
    found = made(store)
    assert (found.lines, found.total.calls, found.total.cost_nano, found.as_of_us) == ((), 0, 0, None)


def test_as_of_is_the_last_record_until_a_moment_of_catching_up_is_known(store: Store) -> None:
    project(store, *call("r1"))
    assert made(store).as_of_us == NOON_US + 900
    store.write("INSERT INTO caught_up VALUES (?, ?)", [(1, NOON_US + 77_000)])
    assert made(store).as_of_us == NOON_US + 77_000


def test_figures_of_a_hostile_provider_do_not_break_the_sum(store: Store) -> None:
    big = settled(usage=Usage(input_uncached=2**62, output_text=2**62), cost_nano=2**62)
    project(store, *(record for n in range(4) for record in call(f"r{n}", last=big)))
    total = made(store).total
    assert (total.calls, total.cost_nano, total.input_tokens) == (4, None, None)
