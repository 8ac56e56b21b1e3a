"""What becomes of each record; that it happens once is the projector's test."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.support.calls import (
    CARD_ID,
    NOON_US,
    Columns,
    attempt,
    begin,
    end,
    listed,
    named,
    project,
    rate,
    refused,
    settled,
    who,
)
from tidegate.model.money import Fx
from tidegate.model.record import ControlRecord, Decision, KeyCreated, KeyRevoked, Note, Progress, RefusedMany
from tidegate.model.usage import BUCKETS, Usage
from tidegate.stores.sqlite import rows
from tidegate.stores.sqlite.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "x.db") as opened:
        yield opened


def test_every_column_is_filled_by_exactly_one_half(store: Store) -> None:
    for table, key, halves in (
        ("request", ["id"], [*rows.BEGIN, *rows.END]),
        ("attempt", ["request_id", "n"], [*rows.START, *rows.SETTLED]),
    ):
        columns = [str(row[1]) for row in store.rows(f"PRAGMA table_info({table})")]
        assert sorted(columns) == sorted([*key, *halves])


def test_a_call_that_began_is_open_until_its_end(store: Store) -> None:
    project(store, begin("r1"))
    (call,) = Columns(store, "request").where()
    assert (call["tenant"], call["at_us"], call["outcome"], call["feature"]) == (
        "acme",
        NOON_US,
        None,
        "summaries",
    )
    (one,) = Columns(store, "attempt").where()
    assert (one["provider"], one["hold_nano"], one["status"], one["cost_nano"]) == (
        "openai",
        4_000,
        None,
        None,
    )


def test_an_end_completes_the_call_and_settles_its_attempt(store: Store) -> None:
    decided = (Decision(name="route", inputs={"healthy": 2, "draw": None}, result="eu"),)
    project(store, begin("r1", decisions=decided), end("r1", edits=("model",)))
    (call,) = Columns(store, "request").where()
    assert (call["outcome"], call["http"], call["duration_us"], call["ttft_us"]) == ("ok", 200, 900, 300)
    assert json.loads(call["begin_decisions"]) == [
        {"name": "route", "inputs": {"healthy": 2, "draw": None}, "result": "eu"}
    ]
    assert json.loads(call["edits"]) == ["model"]
    assert json.loads(call["prefixes"]) == [[0, "aa"]]
    assert (call["system_bytes"], call["system_tokens"], call["end_decisions"]) == (400, 100, None)
    (one,) = Columns(store, "attempt").where()
    assert (one["cost_nano"], one["currency"], one["price_id"]) == (1_000_000, "USD", CARD_ID)
    assert (one["model"], one["model_served"]) == ("gpt", "gpt-2026")  # trap M18


def test_each_upstream_call_has_a_row_of_its_own(store: Store) -> None:  # trap M7
    lost = settled(
        status="error", http=500, error_class="upstream", usage=Usage(), cost_nano=70, flags=("maybe_billed",)
    )
    project(store, begin("r1"), attempt("r1", 1, lost), end("r1", n=1))
    first, second = Columns(store, "attempt").where()
    assert (first["n"], first["status"], first["http"], first["cost_nano"]) == (0, "error", 500, 70)
    assert json.loads(first["flags"]) == ["maybe_billed"]
    assert (second["n"], second["provider"], second["reason"], second["status"]) == (
        1,
        "mistral",
        "retry",
        "ok",
    )
    assert Columns(store, "request").where()[0]["last_attempt"] == 1


def test_what_a_provider_did_not_say_is_null_and_zero_is_zero(store: Store) -> None:  # trap M5
    project(store, begin("r1"), end("r1", last=settled(usage=Usage(input_uncached=0), cost_nano=None)))
    (one,) = Columns(store, "attempt").where()
    assert {name: one[name] for name in BUCKETS if one[name] is not None} == {"input_uncached": 0}
    assert one["cost_nano"] is None


def test_a_stated_cost_stands_beside_ours(store: Store) -> None:  # trap M11
    project(
        store, begin("r1"), end("r1", last=settled(cost_source="stated", cost_nano=7, stated_cost_nano=7))
    )
    (one,) = Columns(store, "attempt").where()
    assert (one["cost_source"], one["cost_nano"], one["stated_cost_nano"]) == ("stated", 7, 7)


def test_a_refused_call_is_a_row_without_attempts(store: Store) -> None:
    project(store, refused("r1"), refused("r2", who=None, code="invalid_api_key", http=401, surface=None))
    first, second = Columns(store, "request").where()
    assert (first["outcome"], first["error_code"], first["tenant"]) == ("refused", "budget_exceeded", "acme")
    assert (second["tenant"], second["surface"], second["http"]) == (None, None, 401)
    assert first["limit_source"] is None
    assert Columns(store, "attempt").where() == []


def test_counts_beyond_belief_become_unknown_and_are_flagged(store: Store) -> None:
    last = settled(usage=Usage(input_uncached=2**64, output_text=5), cost_nano=10**18)
    project(store, begin("r1"), end("r1", last=last))
    (one,) = Columns(store, "attempt").where()
    assert (one["input_uncached"], one["output_text"], one["cost_nano"]) == (None, 5, None)
    assert json.loads(one["flags"]) == ["out_of_range"]


def test_hostile_labels_are_stored_as_data(store: Store) -> None:  # case 39
    label = "'; DROP TABLE request; -- {{7*7}} ${jndi:} %n \x1b[2J\u202e"
    project(store, begin("r1", who=who(feature=label, team="__proto__", tags={"=cmd": "\0"})))
    (call,) = Columns(store, "request").where()
    assert (call["feature"], call["team"]) == (label, "__proto__")
    assert json.loads(call["tags"]) == {"=cmd": "\0"}


def test_refusals_that_were_only_counted_and_notes_are_rows(store: Store) -> None:
    project(
        store,
        RefusedMany(seq=1, at=2, minute_us=60_000_000, code="invalid_api_key", count=9),
        Note(seq=2, at=3, kind="start", facts={"version": "1"}),
        Progress(seq=3, at=4, id="r1", n=0, output_tokens=1000, output_bytes=4000),
    )
    assert Columns(store, "refused_minute").where() == [
        {"boot": "b1", "seq": 1, "minute_us": 60_000_000, "code": "invalid_api_key", "refusals": 9}
    ]
    assert Columns(store, "note").where() == [
        {"boot": "b1", "seq": 2, "at_us": 3, "kind": "start", "request_id": None, "facts": '{"version":"1"}'}
    ]
    assert Columns(store, "request").where() == []


def test_keys_are_made_and_their_earliest_revocation_holds(store: Store) -> None:
    made = KeyCreated(
        seq=1,
        at=5,
        by="ann",
        key={"id": "k1", "mac": "m", "tenant": "acme", "name": "app", "models": ["a"], "created_at_us": 5},
    )
    overlap = KeyRevoked(seq=2, at=6, by="ann", key_id="k1", revoked_at_us=900, reason="rotated")
    now = KeyRevoked(seq=3, at=7, by="bob", key_id="k1", revoked_at_us=7, reason="leaked")
    orders: list[list[ControlRecord]] = [[made, overlap, now], [now, made, overlap]]
    for order in orders:
        project(store, decided=order)
        (key,) = Columns(store, "virtual_key").where()
        assert (key["tenant"], key["name"], key["models"], key["pinned"]) == ("acme", "app", '["a"]', None)
        assert (key["revoked_at_us"], key["revoked_by"], key["revoked_reason"]) == (7, "bob", "leaked")
        store.connection.execute("DELETE FROM virtual_key; DELETE FROM journal_position")


def test_the_last_name_given_for_a_moment_counts(store: Store) -> None:
    project(store, decided=[named("auto-1a2b", "one", seq=1), named("auto-1a2b", "two", seq=2)])
    assert [row["name"] for row in Columns(store, "feature_name").where()] == ["two"]


def test_cards_and_rates_are_kept_by_their_id(store: Store) -> None:  # trap M12
    fx = Fx(base="EUR", quote="USD", rate="1.25", date=date(2026, 11, 1), source="ECB")
    project(store, decided=[listed(), listed(), rate(fx), rate(fx)])
    assert [row["price_id"] for row in Columns(store, "price_card").where()] == [CARD_ID]
    (kept,) = Columns(store, "fx").where()
    assert (kept["base"], kept["quote"], kept["rate"], kept["valid_from"]) == (
        "EUR",
        "USD",
        "1.25",
        "2026-11-01",
    )


def test_a_card_that_a_gateway_pinned_can_be_read_and_another_note_stays_one(store: Store) -> None:
    pinned: dict[str, str | int] = {"price_id": "p-1", "content": '{"model": "m"}'}
    facts: tuple[dict[str, str | int], ...] = (pinned, pinned, {"price_id": "p-2"})
    notes = [Note(seq=n, at=NOON_US, kind="price_pinned", facts=one) for n, one in enumerate(facts, 1)]
    project(store, *notes)
    assert [row["price_id"] for row in Columns(store, "price_card").where()] == ["p-1"]
    assert [(row["seq"], row["kind"]) for row in Columns(store, "note").where()] == [(3, "price_pinned")]
