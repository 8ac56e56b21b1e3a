"""An `end` must always fit in a frame: what is too long is left out, and the record says so."""

import msgspec

from tidegate.model.record import End, decode_gateway, encode
from tidegate.stores.journal.errors import RecordTooLarge
from tidegate.stores.journal.frames import MAX_PAYLOAD_BYTES

FLAG = "record_shortened"
MAX_TEXT = 256
MAX_FLAGS = 32


def shorten_end(payload: bytes) -> bytes:
    """Return an `end` without its decisions and edits, its texts cut, flagged `record_shortened`.

    Raises RecordTooLarge for bytes that are no `end`: a bug of the caller.
    """
    try:
        end = decode_gateway(payload)
    except msgspec.MsgspecError:
        end = None
    if not isinstance(end, End):
        raise RecordTooLarge(len(payload), MAX_PAYLOAD_BYTES)
    last = end.last
    texts = {
        name: value[:MAX_TEXT]
        for name in last.__struct_fields__
        if isinstance(value := getattr(last, name), str) and len(value) > MAX_TEXT
    }
    flags = (*(flag[:MAX_TEXT] for flag in last.flags[:MAX_FLAGS]), FLAG)
    last = msgspec.structs.replace(last, flags=flags, **texts)
    return encode(
        msgspec.structs.replace(
            end, last=last, edits=(), decisions=(), error_code=end.error_code[:MAX_TEXT], id=end.id[:MAX_TEXT]
        )
    )
