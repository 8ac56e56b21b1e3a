"""A request body: one JSON object whose top-level fields keep the bytes they arrived in."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from tidegate.model.errors import BadRequest, DuplicateField, MalformedJson, WrongType

T = TypeVar("T")

MAX_FIELDS = 512
"""Top-level fields a body may have; every dialect has fewer than a hundred (case 23)."""

COUNTED_FROM_BYTES = 65_536
"""From this size on fields are counted while decoding; a smaller body cannot hold enough to stall us."""

MAX_NAME_SHOWN = 64

_KEY = re.compile(rb'[ \t\n\r]*[{,][ \t\n\r]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_END = re.compile(rb"[ \t\n\r]*}")
_NULL = msgspec.Raw(b"null")
_AT = re.compile(r"^(.*?)(?: - at `(?:key` in `)?\$(.*)`)?$", re.DOTALL)


class _Name(str):
    """A top-level key on the counted path; a type of its own, so that msgspec calls our hook for it."""

    __slots__ = ()


_decoders: dict[object, msgspec.json.Decoder[Any]] = {}
_plain = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Span(msgspec.Struct, frozen=True, gc=False):
    """Where one field stands in the raw bytes: its key's quote, and its value from `value` to `end`."""

    key: int
    value: int
    end: int


class Body:
    """One JSON object. `fields` are its values as raw bytes, `raw` the bytes as they came.

    A field is looked up here and spliced here, so what is checked is what is forwarded.
    """

    __slots__ = ("_spans", "fields", "raw")

    def __init__(self, raw: bytes, fields: Mapping[str, msgspec.Raw], spans: Mapping[str, Span]) -> None:
        self.raw = raw
        self.fields = fields
        self._spans = spans

    @classmethod
    def parse(cls, raw: bytes) -> "Body":
        """Read a body. Raises MalformedJson, DuplicateField, or BadRequest above MAX_FIELDS.

        Refused beside what is not JSON: a byte order mark, bytes that are not UTF-8, half of a surrogate
        pair, NaN and Infinity, and nesting deeper than the interpreter's limit (cases 22, 25).
        """
        fields = _decode(raw)
        return cls(raw, fields, _locate(raw, fields))

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def value(self, name: str) -> bytes | None:
        """Return a field's raw bytes; None when it is absent or null."""
        span = self._spans.get(name)
        if span is None:
            return None
        found = self.raw[span.value : span.end]
        return None if found == b"null" else found

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Yield every field with its raw bytes, in their order."""
        raw = self.raw
        for name, span in self._spans.items():
            yield name, raw[span.value : span.end]

    def get(self, name: str, kind: type[T]) -> T | None:
        """Return a field as `kind`; None when it is absent or null. Raises WrongType with its path."""
        found = self.fields.get(name)
        if found is None or found == _NULL:
            return None
        decoder = _decoders.get(kind)
        if decoder is None:
            decoder = _decoders[kind] = msgspec.json.Decoder(kind)
        try:
            value: T = decoder.decode(found)
        except (msgspec.DecodeError, RecursionError) as error:
            raise wrong_type(name, error) from None
        return value

    def edited(self, edits: Mapping[str, bytes | None]) -> bytes:
        """Return the body with fields set to raw JSON, or taken out where the edit is None.

        A field that stands in the body is replaced in its place, a new one is added at the end; every
        other byte stays as it was. An edit that takes out what is not there does nothing.
        """
        raw, names = self.raw, list(self._spans)
        places = list(self._spans.values())
        cuts: list[tuple[int, int, bytes]] = []
        first_kept = next((i for i, name in enumerate(names) if edits.get(name, b"") is not None), len(names))
        for i, (name, span) in enumerate(zip(names, places, strict=True)):
            if name not in edits:
                continue
            new = edits[name]
            if new is not None:
                cuts.append((span.value, span.end, new))
            elif i > first_kept:
                cuts.append((places[i - 1].end, span.end, b""))
            else:
                cuts.append((span.key, places[i + 1].key if i + 1 < len(places) else span.end, b""))
        added = [
            msgspec.json.encode(name) + b":" + new
            for name, new in edits.items()
            if new is not None and name not in self._spans
        ]
        if added:
            end = places[-1].end if places else raw.index(b"{") + 1
            comma = b"," if first_kept < len(names) else b""
            cuts.append((end, end, comma + b",".join(added)))
        return _spliced(raw, cuts)


def wrong_type(name: str, error: Exception) -> WrongType:
    """Word a decoding failure inside field `name`, with the path of the value at fault as `param`."""
    match = _AT.match(str(error))
    said, path = (match.group(1), match.group(2) or "") if match else ("unreadable", "")
    param = _shown(name) + path.replace("[...]", ".*")
    return WrongType(f"{param}: {said[:1].lower()}{said[1:]}", param=param)


def _decode(raw: bytes) -> Mapping[str, msgspec.Raw]:
    try:
        if not raw.isascii():
            raw.decode()
        fields = _plain.decode(raw) if len(raw) < COUNTED_FROM_BYTES else _counted(raw)
    except UnicodeDecodeError as error:
        raise MalformedJson(f"the body is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise MalformedJson("the body is nested too deeply") from None
    except msgspec.ValidationError:
        raise MalformedJson("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        if raw.startswith(b"\xef\xbb\xbf"):
            raise MalformedJson("the body starts with a byte order mark; send plain UTF-8") from None
        raise MalformedJson(f"the body is not valid JSON: {error}") from None
    if len(fields) > MAX_FIELDS:
        raise _too_many()
    return fields


def _counted(raw: bytes) -> Mapping[str, msgspec.Raw]:
    """Decode a large body and stop at the first field too many, so that 1 M keys cost nothing (case 23)."""
    left = MAX_FIELDS + 1

    def name(_: type, key: str) -> _Name:
        nonlocal left
        left -= 1
        if left < 0:
            raise _too_many()
        return _Name(key)

    found: Mapping[str, msgspec.Raw] = msgspec.json.decode(raw, type=dict[_Name, msgspec.Raw], dec_hook=name)
    return found


def _too_many() -> BadRequest:
    return BadRequest(f"the body has more than {MAX_FIELDS} top-level fields")


def _locate(raw: bytes, fields: Mapping[str, msgspec.Raw]) -> dict[str, Span]:
    """Walk the top level once and find where each field stands.

    msgspec keeps the last of two equal keys. A key that comes twice, or whose bytes are not those of the
    decoded value, is therefore a duplicate (case 25).
    """
    spans: dict[str, Span] = {}
    name, end = "", 0
    while fields and (match := _KEY.match(raw, end)):
        key = match[1]
        name = key.decode() if b"\\" not in key else msgspec.json.decode(b'"' + key + b'"', type=str)
        start, found = match.end(), fields[name]
        end = start + len(found)
        if name in spans or not raw.startswith(found, start):
            raise _twice(name)
        spans[name] = Span(match.start(1) - 1, start, end)
    if fields and not _END.match(raw, end):  # `12` begins with the `1` that is kept
        raise _twice(name)
    return spans


def _twice(name: str) -> DuplicateField:
    return DuplicateField(f"field {_shown(name)!r} stands twice; send it once", param=_shown(name))


def _spliced(raw: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for start, end, new in cuts:
        pieces += (raw[at:start], new)
        at = end
    pieces.append(raw[at:])
    return b"".join(pieces)


def _shown(name: str) -> str:
    return name if len(name) <= MAX_NAME_SHOWN else name[:MAX_NAME_SHOWN] + "..."
