"""A provider's prompt cache: blocks, sizes, times and marks."""

import pytest

from tidegate.upstream.prompt_cache import BLOCK_BYTES, BLOCK_TOKENS, Found, PromptCache, Rules

MARK = b',"cache_control":{"type":"ephemeral"}}'
HOUR = b',"cache_control":{"type":"ephemeral","ttl":"1h"}}'
MARKED = Rules(marked=True, min_tokens=16, block_tokens=16)
SYSTEM = b'{"type":"text","text":"' + b"s" * 105  # 128 bytes: two blocks of 16 tokens


def test_whole_blocks_of_the_longest_prefix_seen_are_read() -> None:
    cache = PromptCache()
    first = bytes(BLOCK_BYTES) + b"a" * BLOCK_BYTES
    assert cache.look("m", first, 0) == Found(0, 2 * BLOCK_TOKENS)
    assert cache.look("m", first + b"tail", 0) == Found(2 * BLOCK_TOKENS, 0)
    assert cache.look("m", bytes(BLOCK_BYTES) + b"b" * BLOCK_BYTES, 0) == Found(BLOCK_TOKENS, BLOCK_TOKENS)
    assert cache.look("other", first, 0) == Found(0, 2 * BLOCK_TOKENS)
    assert cache.look("m", b"short", 0) == Found(0, 0)


def test_the_oldest_is_forgotten() -> None:
    cache = PromptCache(limit=1)
    cache.look("m", b"a" * BLOCK_BYTES, 0)
    cache.look("m", b"b" * BLOCK_BYTES, 0)
    assert cache.look("m", b"a" * BLOCK_BYTES, 0) == Found(0, BLOCK_TOKENS)


def test_a_prefix_below_the_minimum_is_not_kept() -> None:
    cache, rules = PromptCache(), Rules(min_tokens=100, block_tokens=16)
    assert cache.look("m", b"a" * 399, 0, rules) == Found()
    assert cache.look("m", b"a" * 400, 0, rules) == Found(0, 96)
    assert cache.look("m", b"a" * 400, 0, rules) == Found(96, 0)


@pytest.mark.parametrize(("later_s", "read"), [(9.0, 16), (10.0, 0)])
def test_a_prefix_is_forgotten_after_its_time(later_s: float, read: int) -> None:
    cache, rules = PromptCache(), Rules(min_tokens=16, block_tokens=16, ttl_s=10)
    cache.look("m", b"a" * 64, 100, rules)
    assert cache.look("m", b"a" * 64, 100 + later_s, rules).read == read


def test_a_read_makes_a_prefix_new_again() -> None:
    cache, rules = PromptCache(), Rules(min_tokens=16, block_tokens=16, ttl_s=10)
    assert [cache.look("m", b"a" * 64, now_s, rules).read for now_s in (0, 8, 16, 24)] == [0, 16, 16, 16]


def test_nothing_is_kept_without_a_mark() -> None:
    assert PromptCache().look("m", SYSTEM + b'"}', 0, MARKED) == Found()


def test_a_prompt_is_kept_up_to_its_last_mark_and_the_mark_may_move_on() -> None:
    cache = PromptCache()
    turn = b'{"role":"user","content":[{"text":"' + b"u" * 90 + b'"'
    assert cache.look("m", SYSTEM + b'"' + MARK + turn + b"}]}", 0, MARKED) == Found(0, 32)
    later = cache.look("m", SYSTEM + b'"}' + turn + MARK + b"]}", 0, MARKED)
    assert later == Found(32, 32)
    assert cache.look("m", SYSTEM + b'"}' + turn + MARK + b"]}", 0, MARKED) == Found(64, 0)


def test_a_mark_may_come_first_in_its_block() -> None:
    cache = PromptCache()
    body = b'"type":"text","text":"' + b"s" * 200 + b'"}'
    first = b'{"cache_control":{"type":"ephemeral"},' + body
    assert cache.look("m", first + first, 0, MARKED).written > 0
    assert cache.look("m", b"{" + body + first, 0, MARKED).read > 0


def test_a_mark_of_an_hour_holds_twelve_times_as_long() -> None:
    cache = PromptCache()
    tail = b'{"text":"' + b"t" * 120 + b'"' + MARK
    prompt = SYSTEM + b'"' + HOUR + tail
    first = cache.look("m", prompt, 0, MARKED)
    assert (first.read, first.written, first.written_1h) == (0, 64, 32)
    assert cache.look("m", prompt, 301, MARKED) == Found(32, 32, 0)
    assert cache.look("m", prompt, 302, MARKED) == Found(64, 0, 0)


def test_a_text_that_talks_about_marks_is_none() -> None:
    said = b'{"text":"{\\"type\\":1,\\"cache_control\\":{\\"type\\":\\"ephemeral\\"}}' + b"x" * 200 + b'"}'
    assert PromptCache().look("m", said, 0, MARKED) == Found()
