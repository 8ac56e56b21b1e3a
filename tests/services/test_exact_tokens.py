"""Counting: right, bounded, in a thread, and unmoved by any text."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.model.request import RequestFacts, Surface
from tidegate.policy.estimate import TOKENS_PER_IMAGE
from tidegate.services.encodings import CLAUDE_TOOLS, Name
from tidegate.services.exact_tokens import CHUNK_CHARS, MAX_OPEN, MAX_PROMPT_BYTES, ExactTokens, parts_of
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS

FRAME = 7
"""One message and the start of the answer."""
PANGRAM = "The quick brown fox jumps over the lazy dog"
COOKBOOK = """
system||You are a helpful, pattern-following assistant that translates corporate jargon into plain English.
system|example_user|New synergies will help drive top-line growth.
system|example_assistant|Things working well together will increase revenue.
system|example_user|Let's circle back when we have more bandwidth to touch base on opportunities for \
increased leverage.
system|example_assistant|Let's talk later when we're less busy about how to do better.
user||This late pivot means we don't have time to boil the ocean for the client deliverable.
"""
"""The example of OpenAI's cookbook, "How to count tokens with tiktoken"."""


@pytest.fixture(scope="module")
def exact() -> ExactTokens:
    return ExactTokens(patience_s=60)


def facts_of(surface: Surface, **fields: Any) -> RequestFacts:
    return CODECS[surface].read_request(Body.parse(json.dumps({"model": "m"} | fields).encode()))


def chat(text: str) -> RequestFacts:
    return facts_of("chat", messages=[{"role": "user", "content": text}])


def counted(exact: ExactTokens, facts: RequestFacts, model: str = "gpt-4o") -> int | None:
    return asyncio.run(exact.count(model, facts))


@pytest.mark.parametrize(
    ("model", "billed"), [("gpt-4-0613", 129), ("gpt-3.5-turbo-0125", 129), ("gpt-4o", 124)]
)
def test_a_chat_counts_what_openai_bills_for_it(exact: ExactTokens, model: str, billed: int) -> None:
    messages = [
        {"role": role, "content": text} | ({"name": name} if name else {})
        for role, name, text in (line.split("|") for line in COOKBOOK.strip().split("\n"))
    ]
    assert counted(exact, facts_of("chat", messages=messages), model) == billed


@pytest.mark.parametrize(
    ("model", "text", "tokens"),
    [
        ("gpt-4", "antidisestablishmentarianism", 6),
        ("gpt-4", "2 + 2 = 4", 7),
        ("gpt-4", "お誕生日おめでとう", 9),
        ("gpt-4o", "お誕生日おめでとう", 8),
        ("gpt-4o", "tiktoken is great!", 6),
        ("gpt-4o", PANGRAM, 9),
        ("gpt-4o", "<|endoftext|>", 7),
        ("gpt-4o", "", 0),
    ],
)
def test_a_text_counts_what_the_reference_counts(
    exact: ExactTokens, model: str, text: str, tokens: int
) -> None:
    assert counted(exact, chat(text), model) == tokens + FRAME


def test_what_has_no_tokenizer_is_scaled_and_frames_are_not(exact: ExactTokens) -> None:
    assert counted(exact, chat(PANGRAM), "gemini-3-pro") == 11 + FRAME


def test_claude_has_words_of_its_own_before_tools(exact: ExactTokens) -> None:
    asked = {"messages": [{"role": "user", "content": PANGRAM}]}
    tools = facts_of("messages", **asked, tools=[{"name": "weather"}])
    alone = counted(exact, facts_of("messages", **asked), "claude-sonnet-4-5")
    with_tools = counted(exact, tools, "claude-sonnet-4-5")
    assert alone == 11 + FRAME
    assert with_tools is not None
    assert with_tools - alone > CLAUDE_TOOLS
    assert counted(exact, tools, "gemini-3-pro") == with_tools - CLAUDE_TOOLS


@pytest.mark.parametrize("text", ["a", " ", "\n", "\t ", "A", "!", "é", "中", "😀", "\u0301", "1", "a'"])
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
def test_a_text_of_one_character_is_counted_to_the_limit(exact: ExactTokens, text: str, model: str) -> None:
    size = 1_000_000 // len(text.encode())
    tokens = counted(exact, chat(text * (size // len(text))), model)
    assert tokens is not None
    assert tokens >= 1_000_000 // 128  # no token is longer


@pytest.mark.parametrize("text", ["a" * 1_000_001, "é" * 500_001])
def test_more_text_than_a_megabyte_is_not_counted(exact: ExactTokens, text: str) -> None:
    assert counted(exact, chat(text)) is None


def test_images_do_not_count_towards_the_megabyte(exact: ExactTokens) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 3_000_000}}
    facts = facts_of("chat", messages=[{"role": "user", "content": [image]}])
    assert counted(exact, facts) == FRAME + TOKENS_PER_IMAGE


def test_a_prompt_of_many_megabytes_is_not_looked_at(exact: ExactTokens) -> None:
    piece = b'{"content": [], "image": "%s"}' % (b"x" * MAX_PROMPT_BYTES)
    assert counted(exact, RequestFacts(surface="chat", model="m", prompt=(b"", b"", piece))) is None


_hostile = st.text(st.sampled_from(" \t\n\r\u0085\u001c\u2028aAé'sS1中😀\u0301\ud800/<|.")) | st.text()


@given(
    text=_hostile,
    times=st.sampled_from([1, 2, 700, 9000]),
    name=st.sampled_from(["o200k_base", "cl100k_base"]),
)
@example(text="\ud800", times=1, name="o200k_base")
def test_no_text_can_stop_a_count(exact: ExactTokens, text: str, times: int, name: Name) -> None:
    long = (text * times)[:100_000]
    read = exact._encoding(name)
    tokens = sum(len(read.encode_ordinary(part)) for part in parts_of(long))
    assert len(long.encode(errors="replace")) // 128 <= tokens <= 4 * len(long)


_words = st.lists(
    st.text(st.sampled_from("\t\n\raAé'sS1中\u0301/<|.") | st.characters(codec="utf-8")), min_size=2
)


@given(words=_words, name=st.sampled_from(["o200k_base", "cl100k_base"]))
def test_a_text_cut_between_words_has_as_many_tokens_as_the_whole(
    exact: ExactTokens, words: list[str], name: Name
) -> None:
    text = " ".join(words)
    whole = " ".join([text] * (2 * CHUNK_CHARS // (len(text) + 1) + 1))
    parts = list(parts_of(whole))
    assert "".join(parts) == whole
    assert max(map(len, parts)) <= CHUNK_CHARS
    read = exact._encoding(name)
    added = sum(len(read.encode_ordinary(part)) for part in parts) - len(read.encode_ordinary(whole))
    clean = all(one[0] == " " and not before[-1].isspace() for before, one in pairwise(parts))
    assert added == 0 if clean else abs(added) <= 8 * len(parts)


def test_prose_is_cut_without_a_difference(exact: ExactTokens) -> None:
    prose = f"{PANGRAM}, it's 1234 times.\n\nÜber  {PANGRAM} " * 2000
    alone = len(exact._encoding("o200k_base").encode_ordinary(prose))
    assert len(list(parts_of(prose))) > 10
    assert counted(exact, chat(prose)) == alone + FRAME


def run(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 60))


def test_many_counts_wait_for_two_threads_and_load_once() -> None:
    exact = ExactTokens(patience_s=60)
    names: set[str] = set()
    facts = chat(PANGRAM)

    async def main() -> None:
        counts = asyncio.gather(*(exact.count("gpt-4o", facts) for _ in range(MAX_OPEN)))
        await asyncio.sleep(0)
        names.update(one.name for one in threading.enumerate() if one.name.startswith("tokens"))
        assert await exact.count("gpt-4o", facts) is None
        assert set(await counts) == {9 + FRAME}
        assert await exact.count("gpt-4o", facts) == 9 + FRAME

    run(main)
    assert len(names) <= 2
    assert list(exact._loaded) == ["o200k_base"]


def test_a_count_that_takes_too_long_is_given_up() -> None:
    exact = ExactTokens(patience_s=0)

    async def main() -> None:
        assert await exact.count("gpt-4o", chat(PANGRAM)) is None
        assert exact._open == 0

    run(main)


def test_a_cancelled_count_leaves_its_place() -> None:
    exact = ExactTokens(patience_s=60)

    async def main() -> None:
        waiting = asyncio.create_task(exact.count("gpt-4o", chat("a" * 900_000)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert exact._open == 0
        assert await exact.count("gpt-4o", chat(PANGRAM)) == 9 + FRAME

    run(main)


def test_nothing_is_imported_before_the_first_count_and_no_network_is_ever_asked() -> None:
    script = """
import asyncio, socket, sys
from tidegate.model.request import RequestFacts
from tidegate.services.exact_tokens import ExactTokens

def refuse(*_): raise AssertionError("a connection")
exact = ExactTokens(patience_s=60)
assert not {"tiktoken", "regex", "requests"} & set(sys.modules)
socket.getaddrinfo = refuse
prompt = (b"", b"", b'{"content": "hello world"}')
facts = RequestFacts(surface="chat", model="m", message_count=1, prompt=prompt)
print(asyncio.run(exact.count("gpt-4o", facts)), "requests" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["9", "False"]
