"""Our rank files against what tiktoken itself would load, and which model is counted with what."""

import base64
import hashlib
import lzma
from pathlib import Path
from typing import get_args

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from tidegate.services.encodings import (
    CLAUDE_TOOLS,
    PATTERNS,
    RANKS,
    Name,
    Ruler,
    load,
    ruler_of,
    tokens_of,
)
from tools.token_ranks import EXPECTED, packed

NAMES: tuple[Name, ...] = get_args(Name)
BLOBS = "https://openaipublic.blob.core.windows.net/encodings"


def text_of(name: Name) -> bytes:
    """The text that tiktoken would download: a line of base64 and rank for each token."""
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens_of(name)))
    return b"".join(lines)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> dict[Name, tiktoken.Encoding]:
    """What tiktoken makes of our texts, which it finds where it keeps its downloads, and checks."""
    kept = tmp_path_factory.mktemp("tiktoken")
    for name in NAMES:
        url = f"{BLOBS}/{name}.tiktoken"
        (kept / hashlib.sha1(url.encode()).hexdigest()).write_bytes(text_of(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(kept))
        return {name: tiktoken.get_encoding(name) for name in NAMES}


@pytest.fixture(scope="module")
def ours() -> dict[Name, tiktoken.Encoding]:
    return {name: load(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_ranks_are_the_published_ones(name: Name) -> None:
    assert hashlib.sha256(text_of(name)).hexdigest() == EXPECTED[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_rank_file_is_what_the_tool_makes(name: Name) -> None:
    assert lzma.decompress(packed(text_of(name))) == lzma.decompress((RANKS / f"{name}.xz").read_bytes())


def test_the_tool_refuses_ranks_with_a_gap() -> None:
    with pytest.raises(ValueError, match="rank 1 is missing"):
        packed(b"YQ== 0\nYg== 2\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_cut_as_tiktoken_cuts_it(name: Name, official: dict[Name, tiktoken.Encoding]) -> None:
    assert official[name]._pat_str == PATTERNS[name]


@given(text=st.text(), name=st.sampled_from(NAMES))
def test_tokens_are_the_ones_of_tiktoken(
    text: str, name: Name, ours: dict[Name, tiktoken.Encoding], official: dict[Name, tiktoken.Encoding]
) -> None:
    assert ours[name].encode_ordinary(text) == official[name].encode(text, disallowed_special=())


def test_the_name_of_a_special_token_is_plain_text(ours: dict[Name, tiktoken.Encoding]) -> None:
    assert len(ours["o200k_base"].encode_ordinary("<|endoftext|>")) > 1


@pytest.mark.parametrize(
    ("model", "ruler"),
    [
        ("gpt-4-0613", Ruler("cl100k_base", 1000)),
        ("gpt-3.5-turbo", Ruler("cl100k_base", 1000)),
        ("text-embedding-3-small", Ruler("cl100k_base", 1000)),
        ("ft:gpt-3.5-turbo:acme::1", Ruler("cl100k_base", 1000)),
        ("gpt-4o", Ruler("o200k_base", 1000)),
        ("openai/gpt-4o-mini", Ruler("o200k_base", 1000)),
        ("gpt-oss-120b", Ruler("o200k_base", 1000)),
        ("gpt-7", Ruler("o200k_base", 1000)),
        ("o5-mini", Ruler("o200k_base", 1000)),
        ("text-davinci-003", Ruler("o200k_base", 1000)),
        ("claude-sonnet-4-5", Ruler("o200k_base", 1200, CLAUDE_TOOLS)),
        ("eu.anthropic.claude-opus-4-6", Ruler("o200k_base", 1200, CLAUDE_TOOLS)),
        ("gemini-3-pro", Ruler("o200k_base", 1200)),
        ("mistral-large-latest", Ruler("o200k_base", 1200)),
        ("olmo-3", Ruler("o200k_base", 1200)),
        ("", Ruler("o200k_base", 1200)),
    ],
)
def test_each_model_has_a_ruler(model: str, ruler: Ruler) -> None:
    assert ruler_of(model) == ruler


def test_the_files_say_where_they_are_from() -> None:
    sources = (RANKS / "SOURCES.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert EXPECTED[name] in sources
        assert hashlib.sha256((RANKS / f"{name}.xz").read_bytes()).hexdigest() in sources
    assert {path.name for path in Path(RANKS).iterdir()} == {"SOURCES.md", *(f"{name}.xz" for name in NAMES)}


def test_an_encoding_keeps_no_second_copy_of_its_ranks(ours: dict[Name, tiktoken.Encoding]) -> None:
    assert [one._mergeable_ranks for one in ours.values()] == [{}, {}]
