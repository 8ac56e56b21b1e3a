"""A provider's pages as they were saved: one JSON object, an array of them, or one after the other."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from tidegate.model.errors import BadRequest

MOST_BYTES = 32 * 1024 * 1024
MOST_SHOWN = 120

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins; an error says so, with the path inside it."""

    file: str
    line: int
    item: int | None = None

    def error(self, what: str, path: str = "") -> BadRequest:
        """Return the error that names this place."""
        inside = "" if self.item is None else f"[{self.item}]"
        at = f" at `${inside}{path.removeprefix('$')}`" if path or inside else ""
        return BadRequest(f"{self.file}, page that begins on line {self.line}{at}: {what}")


@dataclass(frozen=True, slots=True)
class Saved:
    """One page as it was saved."""

    place: Place
    raw: bytes

    def decoded(self, kind: type[T]) -> T:
        """Return the page as a type. Raises BadRequest with the path of what does not fit."""
        try:
            return msgspec.json.decode(self.raw, type=kind)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at ")
            raise self.place.error(f"{what}; is it this provider's export?", path.strip("`")) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise self.place.error(f"{error}") from None


class Repeats:
    """Tells a bucket or a table that was given twice: its use would count double."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def check(self, place: Place, at: int, since_us: int, until_us: int, results: Sequence[object]) -> None:
        """Raise BadRequest where the same bucket with the same content came before; `at` is its index."""
        if results and self._again(msgspec.json.encode((since_us, until_us, results))):
            what = "the same bucket stands twice; was a page saved twice? Remove one"
            raise place.error(what, f"$.data[{at}]")

    def check_table(self, file: str, text: str) -> None:
        """Raise BadRequest where a table of the same content came before."""
        if self._again(text.encode()):
            raise BadRequest(f"{file} says what another file does, line by line; leave one out")

    def _again(self, content: bytes) -> bool:
        digest = hashlib.sha256(content).digest()
        known = digest in self._seen
        self._seen.add(digest)
        return known


def read_text(path: str, stdin: Callable[[], BinaryIO]) -> str:
    """Return a file's text (UTF-8), `-` for the standard input. Raises BadRequest, also beyond MOST_BYTES."""
    try:
        if path == "-":
            raw = stdin().read(MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        size = MOST_BYTES // 1024**2
        raise BadRequest(f"{path} is larger than {size} MiB; export fewer days, or wider buckets, at a time")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None


def pages(file: str, text: str) -> Iterator[Saved]:
    """Yield the pages of a file. Raises BadRequest where it is none, or breaks off."""
    decoder, at, size = json.JSONDecoder(), 0, len(text)
    found = False
    while at < size:
        if text[at] in _BLANK:
            at += 1
            continue
        line = text.count("\n", 0, at) + 1
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise BadRequest(
                f"{file}, line {error.lineno}, column {error.colno}: {error.msg}; is the file whole?"
            ) from None
        except (RecursionError, ValueError) as error:
            raise BadRequest(f"{file}, line {line}: {str(error)[:MOST_SHOWN]}") from None
        if isinstance(value, list):
            raws = msgspec.json.decode(text[at:end].encode(), type=list[msgspec.Raw])
            for item, raw in enumerate(raws):
                yield Saved(Place(file, line, item), bytes(raw))
        else:
            yield Saved(Place(file, line), text[at:end].encode())
        at, found = end, True
    if not found:
        raise BadRequest(f"{file} is empty; save the provider's answer in it")


def moment_us(at: datetime) -> int:
    """Return a moment with a time zone in microseconds since the epoch."""
    return (at - _EPOCH) // timedelta(microseconds=1)
