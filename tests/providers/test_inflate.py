import gzip
import zlib

import pytest

from tidegate.providers.inflate import MAX_RATIO, PIECE_BYTES, InflateError, InflateLimitError, Inflater

TEXT = b'data: {"choices":[{"delta":{"content":"caf\xc3\xa9"}}]}\n\n' * 50
LIMIT = 64 * 1024 * 1024


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


FORMS = {
    "gzip": gzip.compress(TEXT),
    "zlib": zlib.compress(TEXT),
    "bare deflate": bare_deflate(TEXT),
    "two gzip members": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
}


def inflate(*chunks: bytes, limit: int = LIMIT) -> bytes:
    inflater = Inflater(limit)
    whole = b"".join(piece for chunk in chunks for piece in inflater.feed(chunk))
    inflater.finish()
    return whole


@pytest.mark.parametrize("form", FORMS)
def test_cuts_do_not_matter(form: str) -> None:
    raw = FORMS[form]
    assert inflate(raw) == TEXT
    assert inflate(*(raw[i : i + 1] for i in range(len(raw)))) == TEXT
    assert all(inflate(raw[:i], raw[i:]) == TEXT for i in range(len(raw)))


def test_nothing_is_nothing() -> None:
    assert inflate() == b""


@pytest.mark.parametrize("form", ["gzip", "zlib", "bare deflate"])
def test_a_cut_body_is_an_error(form: str) -> None:
    with pytest.raises(InflateError, match="cut"):
        inflate(FORMS[form][:-5])


def test_one_byte_is_a_cut_body() -> None:
    with pytest.raises(InflateError, match="cut"):
        inflate(b"\x1f")


def test_plain_text_that_claims_to_be_packed_is_an_error() -> None:
    with pytest.raises(InflateError, match="not the gzip"):
        inflate(b'{"id": "plain"}')


def test_a_bomb_stops_at_the_ratio_in_small_pieces() -> None:
    # the gzip bomb of security-cases, section 2: 1 MB that unfolds to 1 GiB
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    inflater, given = Inflater(1 << 40), 0

    def unpack() -> None:
        nonlocal given
        for piece in inflater.feed(bomb):
            assert len(piece) <= PIECE_BYTES
            given += len(piece)

    with pytest.raises(InflateLimitError, match="times its size"):
        unpack()
    assert given <= len(bomb) * MAX_RATIO


def test_the_total_is_capped() -> None:
    with pytest.raises(InflateLimitError, match="more than 1000 bytes"):
        inflate(FORMS["gzip"], limit=1000)


def test_output_that_fills_pieces_exactly_is_whole() -> None:
    for size in (PIECE_BYTES, PIECE_BYTES * 2, PIECE_BYTES + 1):
        data = b"abcdefgh" * (size // 8) + b"z" * (size % 8)
        assert inflate(zlib.compress(data)) == data
