"""What a script does to a stream between rendering and sending."""

from dataclasses import dataclass

from tidegate.upstream.dialect import Stream
from tidegate.upstream.script import Script

COMMENT = b": scripted processing\n\n"
MALFORMED = b'data: {"id": "chatcmpl-\n\n'
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Step:
    """Bytes to send; `paced` waits for a token's time first."""

    data: bytes
    paced: bool = False


def steps(stream: Stream, script: Script, error_event: bytes) -> list[Step]:
    """Return what to send, in order. Cuts, silence and stalls are the sender's."""
    tail = stream.tail[: -stream.end_marks] if script.no_done else stream.tail
    out = [Step(event) for event in stream.head]
    out += [Step(event, paced=True) for event in stream.tokens]
    out += [Step(event) for event in tail]
    if script.error_event_after is not None:
        out = [*out[: script.error_event_after], Step(error_event)]
    if script.malformed_after is not None:
        out.insert(script.malformed_after, Step(MALFORMED))
    if script.comment:
        out = [part for step in out for part in (Step(COMMENT), step)]
    if script.crlf:
        out = [Step(step.data.replace(b"\n", b"\r\n"), step.paced) for step in out]
    if script.bom and out:
        out[0] = Step(BOM + out[0].data, out[0].paced)
    if script.split is not None:
        out = recut(out, script.split)
    return out


def recut(out: list[Step], size: int) -> list[Step]:
    """Cut each step into writes of `size` bytes; only the first of them waits."""
    return [
        Step(step.data[i : i + size], step.paced and i == 0)
        for step in out
        for i in range(0, len(step.data), size)
    ]
