"""What a script does to a reply between rendering and sending."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tidegate.upstream.dialect import Stream
from tidegate.upstream.script import PLAIN, Place, Script

COMMENT = b": scripted processing\n\n"
MALFORMED = b'data: {"id": "chatcmpl-\n\n'
BOM = b"\xef\xbb\xbf"
FILL = b"0" * 65_536
PADDING = b'{"padding":"'
BLOCK = b"0" * (1 << 20)
IN_ARGUMENTS = (b'"function":{"arguments":', b'"input_json_delta"', b"function_call_arguments.delta\n")


@dataclass(slots=True)
class Step:
    """Bytes to send, `times` over. `paced`: a token's time passes first. `begins`: an event begins here."""

    data: bytes
    paced: bool = False
    begins: bool = True
    times: int = 1


@dataclass(frozen=True, slots=True)
class Break:
    """What happens to the connection between two steps."""

    how: Literal["cut", "reset", "hang", "end", "stall"]


Plan = list[Step | Break]


def steps(stream: Stream, script: Script, error_event: bytes) -> list[Step]:
    """Return what to send, in order, as long as the connection holds."""
    tail = stream.tail[: -stream.end_marks] if script.no_done else stream.tail
    out = [Step(event) for event in stream.head]
    out += [Step(event, paced=True) for event in stream.tokens]
    out += [Step(event) for event in tail]
    if script is PLAIN:
        return out
    if script.error_event_after is not None:
        out = [*out[: script.error_event_after], Step(error_event)]
    if script.malformed_after is not None:
        out.insert(script.malformed_after, Step(MALFORMED))
    if script.long_line_bytes:
        out[script.long_line_after : script.long_line_after] = long_line(script.long_line_bytes)
    if script.comment:
        out = [part for step in out for part in ([Step(COMMENT)] if step.begins else []) + [step]]
    if script.crlf:
        out = [Step(step.data.replace(b"\n", b"\r\n"), step.paced, step.begins, step.times) for step in out]
    if script.bom and out:
        out[0] = Step(BOM + out[0].data, out[0].paced)
    if script.split is not None:
        out = recut(out, script.split)
    return out


def recut(out: list[Step], size: int) -> list[Step]:
    """Cut each step into writes of `size` bytes; only the first of them waits. A filler stays whole."""
    return [
        Step(step.data[i : i + size], step.paced and i == 0, step.begins and i == 0, step.times)
        for step in out
        for i in range(0, len(step.data), size if step.times == 1 else len(step.data))
    ]


def long_line(size: int) -> list[Step]:
    """Return one event whose line has `size` bytes, as a few steps of which one is sent often."""
    head, end = b"data: " + PADDING, b'"}'
    rest = max(0, size - len(head) - len(end))
    whole, left = divmod(rest, len(FILL))
    filler = [Step(FILL, begins=False, times=whole)] if whole else []
    return [Step(head), *filler, Step(FILL[:left] + end + b"\n\n", begins=False)]


def plan(out: list[Step], script: Script, *, streamed: bool) -> Plan:
    """Return the steps with the script's breaks between them, a step in two where a break is inside it.

    A reply that is no stream is one step, and any number of events means half of it.
    """
    if script is PLAIN:
        return [*out]
    wanted = (
        ("cut", script.cut_after),
        ("reset", script.reset_after),
        ("hang", script.hang_after),
        ("end", script.end_after),
        ("stall", script.stall_after if script.stall_ms else None),
    )
    found: list[tuple[int, int, Break]] = []
    for how, place in wanted:
        if place is not None and place not in (0, "reading"):
            at = _where(out, place, streamed=streamed)
            if at is not None:
                found.append((*at, Break(how)))  # type: ignore[arg-type]
    planned: Plan = list(out)
    for index, inside, stop in sorted(found, key=lambda entry: entry[:2], reverse=True):
        if not inside:
            planned.insert(index, stop)
            continue
        step = planned[index]
        assert isinstance(step, Step)
        first = Step(step.data[:inside], step.paced, step.begins)
        planned[index : index + 1] = [first, stop, Step(step.data[inside:], begins=False)]
    return planned


def _where(out: list[Step], place: Place, *, streamed: bool) -> tuple[int, int] | None:
    """Return a place as a step's index and the bytes of that step that are sent; None behind the end."""
    if place == "head":
        return 0, 0
    if place == "utf8":
        return _inside_a_character(out)
    if not streamed:
        return 0, max(1, len(out[0].data) // 2)
    if place == "tool":
        parts = [index for index, step in enumerate(out) if any(mark in step.data for mark in IN_ARGUMENTS)]
        return (parts[(len(parts) - 1) // 2] + 1, 0) if parts else None
    assert isinstance(place, int | float)
    index, part = int(place), place % 1
    if index > len(out) or (part and index == len(out)):
        return None
    return index, max(1, int(part * len(out[index].data))) if part else 0


def _inside_a_character(out: list[Step]) -> tuple[int, int] | None:
    """Return the middle one of the steps that are not all ASCII, and one byte of its first such letter."""
    inside = [index for index, step in enumerate(out) if not step.data.isascii()]
    if not inside:
        return None
    index = inside[len(inside) // 2]
    return index, 1 + next(at for at, byte in enumerate(out[index].data) if byte >= 0xC0)


def gzip_bomb(size: int, *, streamed: bool) -> Iterator[bytes]:
    """Return the pieces of a gzip file of `size` bytes when inflated, about a thousandth of it packed.

    One packed block is made and sent again and again, so that neither time nor memory grows with the size
    but for the checksum.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    head, end = (b"data: " if streamed else b"") + PADDING, b'"}\n\n'
    whole, left = divmod(max(0, size - len(head) - len(end)), len(BLOCK))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    yield b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(head)
    for _ in range(whole):
        check = zlib.crc32(BLOCK, check)
        yield block
    last = BLOCK[:left] + end
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    check = zlib.crc32(last, check)
    total = len(head) + whole * len(BLOCK) + len(last)
    yield packer.compress(last) + packer.flush(zlib.Z_FINISH)
    yield check.to_bytes(4, "little") + (total & 0xFFFFFFFF).to_bytes(4, "little")
