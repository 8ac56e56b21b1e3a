"""What must be true of a projection, whatever happened to the calls in it."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.calls import Columns, tables
from tidegate.control.rebuild import rebuild
from tidegate.control.tail import Tail
from tidegate.model.usage import INPUT_BUCKETS, OUTPUT_BUCKETS
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.store import DATABASE, Row, Store

NOW_US = 1_900_000_000_000_000
"""When journals are sealed here: later than any record, so that a rebuild gives the same time again."""

Rows = list[dict[str, Any]]


def catch_up(root: Path) -> None:
    """Seal what is free and project everything, as the control process does."""
    with Store.open(root / DATABASE) as store, Tail(store, root / "journal", lambda: NOW_US) as tail:
        tail.catch_up()


def rows_of(root: Path) -> tuple[Rows, Rows]:
    """Every request and every attempt of a state directory's projection."""
    with Store.open_read_only(root / DATABASE) as store:
        return Columns(store, "request").where(), Columns(store, "attempt").where()


def every_row(root: Path) -> dict[str, list[Row]]:
    """Every row of every table that is made from journals."""
    with Store.open_read_only(root / DATABASE) as store:
        return tables(store)


def assert_rebuilds(root: Path) -> None:
    """A projection made again from the journals is the old one, row by row, and raises no alarm."""
    before = every_row(root)
    assert before["alarm"] == []
    rebuild(Layout(root), lambda: NOW_US)
    after = every_row(root)
    for table, rows in before.items():
        assert after[table] == rows, table


def assert_settled(requests: Rows, attempts: Rows) -> None:
    """Every call is closed with an outcome, every attempt with a status and sound tokens and money."""
    open_calls = [row["id"] for row in requests if row["outcome"] is None or row["at_us"] is None]
    assert open_calls == []
    numbers: dict[str, list[int]] = {}
    for row in attempts:
        numbers.setdefault(row["request_id"], []).append(row["n"])
        assert_sound(row)
    for row in requests:
        if row["outcome"] == "refused":
            assert row["id"] not in numbers
        else:
            assert sorted(numbers.pop(row["id"])) == list(range(row["last_attempt"] + 1)), row
    assert numbers == {}, "attempts of no call"


def assert_sound(attempt: dict[str, Any]) -> None:
    """No negative token or money; unknown money only by name; buckets that sum to the provider's totals."""
    assert attempt["status"] is not None, attempt
    assert attempt["at_us"] is not None, attempt
    counts = [attempt[name] for name in (*INPUT_BUCKETS, *OUTPUT_BUCKETS) if attempt[name] is not None]
    assert all(count >= 0 for count in counts), attempt
    if attempt["cost_nano"] is None:
        assert attempt["cost_source"] == "unpriced", attempt
        assert "unpriced" in flags_of(attempt), attempt
    else:
        assert attempt["cost_nano"] >= 0, attempt
    if attempt["usage_source"] == "provider":
        for stated, buckets in (("stated_input", INPUT_BUCKETS), ("stated_output", OUTPUT_BUCKETS)):
            if attempt[stated] is not None:
                assert sum(attempt[name] or 0 for name in buckets) == attempt[stated], attempt


def flags_of(attempt: dict[str, Any]) -> list[str]:
    """What a reader of an attempt must know."""
    flags: list[str] = json.loads(attempt["flags"] or "[]")
    return flags


def assert_once(requests: Rows, idents: Iterable[str]) -> None:
    """Each of these ids has exactly one row."""
    found = Counter(row["id"] for row in requests)
    missing = [ident for ident in idents if found[ident] != 1]
    assert missing == [], f"{len(missing)} calls have no row or several: {missing[:5]}"
