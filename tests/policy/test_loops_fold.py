import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.fold import MAX_CHARS, folded

SAME = [
    ("a time", "12:33:01 no rows", "9:04:59.123 no rows"),
    ("a date with its time", "2026-11-24T12:33:01.5Z started", "2026-11-25T00:00:00Z started"),
    ("a date and a time", "2026-11-24 12:33 started", "2026-12-01 09:10 started"),
    ("a duration", "took 12 ms", "took 4031 ms"),
    ("seconds", "done in 0.31s", "done in 12.04s"),
    ("a speed", "10 files, 3.4 MB/s", "10 files, 12.9 MB/s"),
    ("an attempt", "Attempt 3 failed", "attempt 4 failed"),
    ("a counter in JSON", '{"retry_count": 3}', '{"retry_count": 17}'),
    ("a counter with an underscore", "request_17 failed", "request_18 failed"),
    ("elapsed time in JSON", '{"elapsed_ms":120}', '{"elapsed_ms":9}'),
    ("a line", 'File "a.py", line 12, in f', 'File "a.py", line 40, in f'),
    ("a place in a file", "app.py:12:3: E501", "app.py:980:14: E501"),
    ("a listing's lines", "12: def f():\n13:   x", "40: def f():\n41:   x"),
    ("a notebook's cell", "In [3]: f()", "In [17]: f()"),
    ("a UUID", "run 550e8400-e29b-41d4-a716-446655440000", "run 123e4567-e89b-12d3-a456-426614174000"),
    ("a hash", "commit 9f8e7d6c5b4a", "commit a1b2c3d4e5f6"),
    ("an address", "object at 0x7f3a10", "object at 0x55d2ff08"),
    ("a time stamp", "at 1732450000", "at 1732459999123"),
    ("a temporary path", "/tmp/ab12/x.log missing", "/tmp/zz/y.log missing"),
    ("a process", "pid 4711 exited", "pid 12 exited"),
    ("a progress bar's drawing", "10%\r55%\r100% done", "1%\r100% done"),
    ("a bar's times", "5/5 [00:12<00:00, 3.1it/s]", "5/5 [01:44<00:00, 0.3it/s]"),
    ("colours", "\x1b[31mred\x1b[0m", "red"),
    ("capitals", "Not Found", "not found"),
]
DIFFERENT = [
    ("a percentage", "10% done", "20% done"),
    ("a fraction", "3/10 files", "4/10 files"),
    ("what remains", "remaining: 30", "remaining: 20"),
    ("an amount", "balance 120.50 EUR", "balance 99.00 EUR"),
    ("a number of rows", "found 3 rows", "found 4 rows"),
    ("a page", "page 2 of 9", "page 3 of 9"),
    ("a date alone", "free on 2026-11-24", "free on 2026-11-25"),
    ("a step", "step 4", "step 5"),
    ("a short id", "room a12 is free", "room b07 is free"),
    ("a version", "pip 24.1", "pip 24.2"),
    ("a word", "table orders", "table customers"),
]


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_what_changes_by_itself_folds_away(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_what_may_be_news_stays(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_of_a_long_text_the_middle_counts_without_its_digits() -> None:
    ends = "a " * MAX_CHARS
    assert folded(f"{ends} row 17 {ends}") == folded(f"{ends} row 18 {ends}")
    assert folded(f"{ends} rows {ends}") != folded(f"{ends} columns {ends}")


@given(st.text(alphabet="a1: .,:-<\n\r\t#_\"'(x\x1b[é", max_size=200))
def test_any_text_folds_and_folding_again_is_no_error(text: str) -> None:
    assert isinstance(folded(folded(text)), str)


@pytest.mark.parametrize(
    "piece", ["1-", "1:", "a1", "attempt_", "/tmp/", "0x", "1,", "a@a@", "[1", "1 ", "\x1b["]
)
def test_hostile_text_folds_in_linear_time(piece: str) -> None:  # case 28
    text = piece * 50_000
    began = time.process_time()
    folded(text)
    assert time.process_time() - began < 0.2
