import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stores.journal.errors import RecordTooLarge
from tidegate.stores.journal.frames import (
    HEADER,
    MAX_FRAME_BYTES,
    MAX_PAYLOAD_BYTES,
    Header,
    find_frame,
    frame,
    frame_at,
    header_frame,
    parse,
    read_header,
    seed_of,
    unsynced_records,
)

SEED = seed_of("boot", 1)
PAYLOADS = [b'{"a":1}', b'{"bb":22}', b'{"ccc":333}']


def block(payloads: list[bytes], offset: int = 0, seed: int = SEED) -> bytes:
    found = b""
    for payload in payloads:
        found += frame(payload, seed, offset + len(found))
    return found


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(0, 1 << 30))
def test_what_is_framed_parses_back(payloads: list[bytes], offset: int) -> None:
    raw = block(payloads, offset)
    parsed = parse(raw, offset, SEED, 100)
    assert [payload for _, payload in parsed.records] == payloads
    assert (parsed.offset, parsed.bad) == (offset + len(raw), False)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), st.data())
def test_a_cut_anywhere_keeps_the_whole_frames_before_it(payloads: list[bytes], data: st.DataObject) -> None:
    raw = block(payloads)
    cut = data.draw(st.integers(0, len(raw)))
    parsed = parse(raw[:cut], 0, SEED, 100)
    assert [payload for _, payload in parsed.records] == payloads[: len(parsed.records)]
    assert parsed.offset <= cut
    assert cut < len(raw) or len(parsed.records) == len(payloads)


def test_every_single_flipped_bit_stops_reading_before_it() -> None:  # case F24
    raw = block(PAYLOADS)
    boundaries = [0, *(end for end, _ in parse(raw, 0, SEED, 9).records)]
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        parsed = parse(bytes(flipped), 0, SEED, 9)
        intact = sum(end <= bit // 8 for end in boundaries[1:])
        assert [payload for _, payload in parsed.records] == PAYLOADS[:intact]
        assert parsed.offset == boundaries[intact]


@pytest.mark.parametrize(
    ("offset", "seed"),
    [(64, SEED), (0, seed_of("boot", 2)), (0, seed_of("other", 1))],
    ids=["moved within its segment", "in another segment", "of another boot"],
)
def test_old_bytes_elsewhere_are_no_frame(offset: int, seed: int) -> None:
    assert frame_at(block(PAYLOADS[:1]), 0, 0, SEED) is not None
    assert frame_at(block(PAYLOADS[:1]), 0, offset, seed) is None


def test_zeros_are_the_end() -> None:
    parsed = parse(block(PAYLOADS[:1]) + bytes(64), 0, SEED, 9)
    assert (len(parsed.records), parsed.bad) == (1, True)


def test_frames_of_a_kind_to_come_are_passed_over() -> None:
    first = frame(b"later", SEED, 0, kind=7)
    raw = first + frame(b"now", SEED, len(first))
    assert [payload for _, payload in parse(raw, 0, SEED, 9).records] == [b"now"]


def test_a_frame_is_at_most_16_kb_and_never_empty() -> None:
    assert len(frame(bytes(MAX_PAYLOAD_BYTES), SEED, 0)) == MAX_FRAME_BYTES == 16 * 1024
    for size in (0, MAX_PAYLOAD_BYTES + 1):
        with pytest.raises(RecordTooLarge):
            frame(bytes(size), SEED, 0)


def test_a_header_reads_in_its_own_place_only() -> None:
    header = Header(version=1, boot="boot", segment=3, previous=(2, 77), open_from=1)
    raw = header_frame(header)
    assert read_header(raw, "boot", 3) == header
    assert read_header(raw, "boot", 4) is None
    assert read_header(raw, "other", 3) is None
    assert frame_at(raw, 0, 0, seed_of("boot", 3)) == (HEADER, raw[8:])


@given(st.binary(max_size=64), st.integers(0, 1 << 24))
def test_the_next_frame_is_found_behind_any_rubbish(rubbish: bytes, offset: int) -> None:
    good = frame(PAYLOADS[0], SEED, offset + len(rubbish))
    found = find_frame(rubbish + good + b"tail", offset, SEED)
    assert found == offset + len(rubbish)


def test_no_frame_is_found_where_there_is_none() -> None:
    assert find_frame(bytes(1000), 0, SEED) is None
    assert find_frame(b"", 0, SEED) is None


def test_unsynced_records_keep_the_marks_that_waiters_wait_for() -> None:
    header = frame(b"h", SEED, 0, HEADER)
    batches = [
        (2, [frame(b"a", SEED, 0), frame(b"b", SEED, 0)]),
        (4, [frame(b"c", SEED, 0), header, frame(b"d", SEED, 0)]),
        (5, [frame(b"e", SEED, 0)]),
    ]
    assert unsynced_records(batches, 2) == [(2, b"c"), (4, b"d"), (5, b"e")]
    assert unsynced_records(batches, 5) == []
