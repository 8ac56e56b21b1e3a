"""The two encodings that tokens are counted with, from rank files of our own: tiktoken would download them.

`ranks/SOURCES.md` says where the files are from; `tools/token_ranks.py` makes them.
"""

import lzma
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiktoken import Encoding
from tiktoken.model import encoding_name_for_model

Name = Literal["o200k_base", "cl100k_base"]

RANKS = Path(__file__).with_name("ranks")

PATTERNS: dict[Name, str] = {
    "cl100k_base": (
        r"'(?i:[sdmt]|ll|ve|re)"
        r"|[^\r\n\p{L}\p{N}]?+\p{L}++"
        r"|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k_base": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
"""How an encoding cuts a text before it looks for tokens: part of its definition, as tiktoken 0.14 has it."""

OWN_MILLI, FOREIGN_MILLI = 1000, 1200
"""Tokens per thousand that are counted: of OpenAI's models, and where no tokenizer is published."""
CLAUDE_TOOLS = 500
"""What Anthropic puts before a prompt with tools: in recorded calls 250 to 630 tokens, 500 in the middle."""

_OPENAI = re.compile(r"(ft:)?(gpt-|chatgpt-|codex-|o[1-9])")


@dataclass(frozen=True, slots=True)
class Ruler:
    """What a model's texts are counted with: an encoding, and a ratio where that encoding is not its own.

    `tools_tokens` come on top where tools are offered.
    """

    encoding: Name
    ratio_milli: int
    tools_tokens: int = 0


def ruler_of(model: str) -> Ruler:
    """The ruler of a model, with or without its provider in front; o200k for what tiktoken does not know."""
    name = model.rpartition("/")[2]
    try:
        known = encoding_name_for_model(name)
    except KeyError:
        if _OPENAI.match(name):
            return Ruler("o200k_base", OWN_MILLI)
        return Ruler("o200k_base", FOREIGN_MILLI, CLAUDE_TOOLS if "claude" in name else 0)
    return Ruler("cl100k_base" if known == "cl100k_base" else "o200k_base", OWN_MILLI)


def tokens_of(name: Name) -> list[bytes]:
    """Every token of an encoding in the order of its ranks, without the special ones."""
    packed = lzma.decompress((RANKS / f"{name}.xz").read_bytes())
    tokens, at = [], 0
    while at < len(packed):
        start = at + 1
        at = start + packed[at]
        tokens.append(packed[start:at])
    return tokens


def load(name: Name) -> Encoding:
    """Return one encoding. It has no special tokens: in a client's text their names are plain text.

    Takes a quarter of a second, half of it with the interpreter's lock held, and 48 MB for o200k.
    """
    ranks = {token: rank for rank, token in enumerate(tokens_of(name))}
    encoding = Encoding(name, pat_str=PATTERNS[name], mergeable_ranks=ranks, special_tokens={})
    ranks.clear()  # 23 MB that tiktoken keeps only for decoding and pickling
    return encoding
