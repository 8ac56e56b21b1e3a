"""What a translation leaves out: refused by its path, or dropped where the client allowed it (trap V3)."""

import functools
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

from tidegate.model.errors import BadRequest, Unsupported
from tidegate.wire.body import wrong_type

T = TypeVar("T")

MAX_OBJECTS = 50_000
"""Objects of a field that are looked through one by one; more would stall the loop (case 23)."""

MAX_LISTED = 100
MAX_NAME = 64
"""Paths hold the client's own names and go into records, so both are bounded."""


class Loss(msgspec.Struct, frozen=True):
    """A value that cannot be said in another dialect: its path, and what it is."""

    path: str
    what: str = "this field"


_AS_IN_CHAT: Mapping[str, str] = {}


class Ledger:
    """Keeps the losses of one translation; without the client's leave the first one is raised.

    `adapted` are the paths of values that go over in other words, or that change no answer. `names` says what
    the client calls a field of chat, where its word is another.
    """

    def __init__(
        self,
        dialect: str,
        *,
        drop: bool,
        adapted: Iterable[str] = (),
        names: Mapping[str, str] = _AS_IN_CHAT,
    ) -> None:
        self._dialect = dialect
        self._names = names
        self._drop = drop
        self._dropped: dict[str, None] = {}
        self._adapted: dict[str, None] = dict.fromkeys(adapted)

    def lose(self, path: str, what: str) -> None:
        """Leave a value out. Raises Unsupported when the client did not allow it."""
        if not self._drop:
            raise Unsupported(
                f"{path}: {what} cannot be said in {self._dialect}; leave it out, "
                "or send `tidegate-drop-unsupported: true`",
                param=path,
            )
        self._dropped[path] = None

    def own(self, name: str) -> str:
        """Return the client's word for a field of chat."""
        return self._names.get(name, name)

    def adapt(self, path: str) -> None:
        """Note a value that goes over in other words."""
        self._adapted[path] = None

    @property
    def dropped(self) -> tuple[str, ...]:
        """Paths that were left out, in the order they were met."""
        return tuple(self._dropped)[:MAX_LISTED]

    @property
    def adapted(self) -> tuple[str, ...]:
        """Paths whose values went over in other words."""
        return tuple(path for path in self._adapted if path not in self._dropped)[:MAX_LISTED]


def decode(decoder: msgspec.json.Decoder[T], raw: bytes, name: str, lost: list[Loss]) -> T:
    """Decode a field whose types forbid unknown fields; what they do not know is listed and left out.

    Raises WrongType with the path of a value that has another type than the dialect allows, BadRequest where
    a field with something unknown in it is too large to look through.
    """
    try:
        return decoder.decode(raw)
    except (msgspec.ValidationError, RecursionError):
        if (objects := bytes(raw).count(b"{")) > MAX_OBJECTS:
            raise BadRequest(
                f"{name}: {objects} JSON objects and some of an unknown form; at most {MAX_OBJECTS} are read",
                param=name,
            ) from None
    try:
        value = prune(msgspec.json.decode(raw), _type_of(cast("Hashable", decoder.type)), name, lost)
        return decoder.decode(msgspec.json.encode(value))
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong_type(name, error) from None


def prune(value: Any, kind: inspect.Type, path: str, lost: list[Loss]) -> Any:
    """Return a JSON value without what `kind` does not know, and list that.

    In a list an element of unknown type becomes null, so that paths keep their numbers.
    """
    if isinstance(value, dict):
        return _prune_object(value, kind, path, lost)
    if isinstance(value, list):
        for item in _members(kind):
            if isinstance(item, inspect.ListType):
                return [
                    prune(element, item.item_type, f"{path}[{index}]", lost)
                    for index, element in enumerate(value)
                ]
    return value


def said(raw: bytes) -> bool:
    """Whether a raw field says anything: it is there, and neither null nor empty."""
    return bytes(raw) not in _SILENT


_SILENT = frozenset((b"", b"null", b"[]", b"{}", b'""'))


def _prune_object(value: Mapping[str, Any], kind: inspect.Type, path: str, lost: list[Loss]) -> Any:
    members = _members(kind)
    structs = [member for member in members if isinstance(member, inspect.StructType)]
    if not structs:
        return value
    struct = _chosen(structs, value)
    if struct is None:
        tag = str(value.get(structs[0].tag_field or "", ""))[:MAX_NAME]
        _list(lost, f"{path}.{tag}" if tag in value else path, f"`{tag}`" if tag else "an untyped value")
        return None
    known = {field.encode_name: field.type for field in struct.fields}
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if name == struct.tag_field:
            kept[name] = inner
        elif name in known:
            kept[name] = prune(inner, known[name], f"{path}.{name}", lost)
        elif inner is not None and inner not in ([], {}, ""):
            _list(lost, f"{path}.{name[:MAX_NAME]}", "this field")
    return kept


def _chosen(structs: list[inspect.StructType], value: Mapping[str, Any]) -> inspect.StructType | None:
    for struct in structs:
        if struct.tag_field is None or value.get(struct.tag_field) == struct.tag:
            return struct
    return None


def _list(lost: list[Loss], path: str, what: str) -> None:
    if len(lost) < MAX_LISTED:
        lost.append(Loss(path, what))


def _members(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


@functools.cache
def _type_of(kind: Hashable) -> inspect.Type:
    return inspect.type_info(kind)
