"""Holds a parsed TOML tree against the settings' types and tells of every difference, not only the first."""

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from tidegate.config.lines import join
from tidegate.config.problem import Problem, nearest
from tidegate.config.secret import LOOKS_LIKE_A_KEY, Secret
from tidegate.config.settings import host_port

PLAIN_KEY = (
    "a secret stands here in plain text; put it into the environment or a file and write "
    '{ env = "NAME" } or { file = "path" }'
)
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,18})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_NAME = re.compile(r"[\x21-\x7e]{1,200}")


class Shape:
    """Collects the problems of one tree while it is read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read(self, value: Any, wanted: type[msgspec.Struct]) -> Any:
        """Return `value` as builtins that `msgspec.convert` takes, as far as they are right."""
        return self._take(value, inspect.type_info(wanted), "")

    def _report(self, path: str, message: str) -> None:
        self.problems.append(Problem(path=path, message=message))

    def _take(self, value: Any, wanted: inspect.Type, path: str) -> Any:
        kind = ""
        match wanted:
            case inspect.UnionType(types=types):
                # None is not in TOML; the one other union is `str | int`, a decimal.
                first, *others = [one for one in types if not isinstance(one, inspect.NoneType)]
                if others:
                    first = inspect.Metadata(inspect.StrType(), extra={"kind": "decimal"})
                return self._take(value, first, path)
            case inspect.Metadata(type=inner, extra=extra):
                kind = (extra or {}).get("kind", "")
                wanted = inner
            case _:
                pass
        match wanted:
            case inspect.StructType():
                return self._table(value, wanted, path)
            case inspect.DictType():
                return self._free_table(value, wanted, path)
            case inspect.VarTupleType(item_type=item):
                alone = kind == "one or more" and isinstance(value, str)
                return self._list([value] if alone else value, item, path)
            case inspect.TupleType(item_types=items):
                return self._pair(value, items, path)
            case _:
                return self._leaf(value, wanted, path, kind)

    def _table(self, value: Any, wanted: inspect.StructType, path: str) -> Any:
        if not isinstance(value, dict):
            if wanted.cls is Secret and isinstance(value, str):
                self._report(path, PLAIN_KEY)
            else:
                self._report(path, f"expected a table, found {_found(value)}")
            return value
        before = len(self.problems)
        fields = {field.encode_name: field for field in wanted.fields}
        for key in value:
            if key not in fields:
                self._report(join(path, key), f"unknown key{nearest(key, list(fields))}")
        taken = {}
        for name, field in fields.items():
            if name in value:
                taken[name] = self._take(value[name], field.type, join(path, name))
            elif field.required:
                self._report(path, f"{name!r} is missing")
        if len(self.problems) == before:
            self._convert(taken, wanted.cls, path)
        return taken

    def _convert(self, taken: dict[str, Any], wanted: type, path: str) -> None:
        """Report what the struct's own check refuses."""
        try:
            msgspec.convert(taken, wanted)
        except msgspec.ValidationError as error:
            self._report(path, str(error))

    def _free_table(self, value: Any, wanted: inspect.DictType, path: str) -> Any:
        if not isinstance(value, dict):
            self._report(path, f"expected a table, found {_found(value)}")
            return value
        taken = {}
        for key, item in value.items():
            at = join(path, key)
            taken[self._take(key, wanted.key_type, at)] = self._take(item, wanted.value_type, at)
        return taken

    def _list(self, value: Any, item: inspect.Type, path: str) -> Any:
        if not isinstance(value, list):
            self._report(path, f"expected a list, found {_found(value)}")
            return value
        return [self._take(one, item, join(path, at)) for at, one in enumerate(value)]

    def _pair(self, value: Any, items: tuple[inspect.Type, ...], path: str) -> Any:
        if not isinstance(value, list) or len(value) != len(items):
            self._report(path, f"expected a list of {len(items)}, found {_found(value)}")
            return value
        return [self._take(one, items[at], join(path, at)) for at, one in enumerate(value)]

    def _leaf(self, value: Any, wanted: inspect.Type, path: str, kind: str) -> Any:
        try:
            return _leaf(value, wanted, kind)
        except ValueError as error:
            self._report(path, str(error))
            return value


def _leaf(value: Any, wanted: inspect.Type, kind: str) -> Any:
    """Return a scalar of the wanted type. Raises ValueError with what is wrong, in words."""
    match wanted:
        case inspect.StrType():
            return _text(value, wanted, kind)
        case inspect.BoolType():
            return _of_type(value, bool, "true or false")
        case inspect.IntType() | inspect.FloatType():
            return _number(value, wanted)
        case inspect.LiteralType(values=values):
            return _choice(value, [str(one) for one in values])
        case inspect.DateType():
            return _day(value)
        case _:
            raise AssertionError(f"settings use a type that has no rule here: {wanted}")


def _text(value: Any, wanted: inspect.StrType, kind: str) -> str:
    if isinstance(value, Decimal):
        raise ValueError(f'an exact decimal must stand in quotes: "{value}"')  # noqa: TRY004 -- as in _of_type
    if kind == "decimal" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text: str = _of_type(value, str, "text in quotes")
    if wanted.min_length is not None and len(text) < wanted.min_length:
        raise ValueError("must not be empty")
    if wanted.max_length is not None and len(text) > wanted.max_length:
        raise ValueError(f"has {len(text)} characters; the most is {wanted.max_length}")
    if kind:
        _KINDS[kind](text)
    return text


def _decimal(text: str) -> None:
    if not _DECIMAL.fullmatch(text):
        raise ValueError('expected a decimal that is not negative, such as "0.15"')


def _currency(text: str) -> None:
    if not _CURRENCY.fullmatch(text):
        raise ValueError('expected a currency of three capital letters, such as "EUR"')


def _unit(text: str) -> None:
    if text not in ("tokens", "calls") and not _CURRENCY.fullmatch(text):
        raise ValueError('expected "tokens", "calls" or a currency of three capital letters, such as "EUR"')


def _model_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValueError("a name is 1 to 200 printable ASCII characters without blanks")


def _label(text: str) -> None:
    if not (0 < len(text) <= 200 and text.isprintable() and text == text.strip()):
        raise ValueError("a name is 1 to 200 printable characters without blanks around it")
    if not unicodedata.is_normalized("NFC", text):
        raise ValueError("a name's accents must be written composed (Unicode NFC)")


def _address(text: str) -> None:
    host_port(text)


_KINDS: dict[str, Callable[[str], None]] = {
    "decimal": _decimal,
    "currency": _currency,
    "unit": _unit,
    "name": _model_name,
    "label": _label,
    "address": _address,
}


def _number(value: Any, wanted: inspect.IntType | inspect.FloatType) -> float:
    whole = isinstance(wanted, inspect.IntType)
    if isinstance(value, Decimal) and not whole and value.is_finite():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        words = "a whole number" if whole else "a number"
        raise ValueError(f"expected {words}, found {_found(value)}")  # noqa: TRY004 -- as in _of_type
    number: float = value
    if wanted.ge is not None and number < wanted.ge:
        raise ValueError(f"{number} is too small; the least is {wanted.ge}")
    if wanted.gt is not None and number <= wanted.gt:
        raise ValueError(f"{number} is too small; it must be above {wanted.gt}")
    if wanted.le is not None and number > wanted.le:
        raise ValueError(f"{number} is too large; the most is {wanted.le}")
    return number


def _choice(value: Any, choices: list[str]) -> str:
    text: str = _of_type(value, str, "text in quotes")
    if text not in choices:
        raise ValueError(f"{shown(text)} is none of {', '.join(choices)}{nearest(text, choices)}")
    return text


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f"expected a date such as 2026-11-01, found {_found(value)}")


def _of_type(value: Any, wanted: type, words: str) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"expected {words}, found {_found(value)}")  # noqa: TRY004 -- one kind of trouble here
    return value


def _found(value: Any) -> str:
    """Say what stands there, without showing text: it might be a secret."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case list():
            return f"a list of {len(value)}"
        case str():
            return "text"
        case int() | Decimal() | date():
            return str(value)[:40]
        case _:
            return type(value).__name__


def shown(text: str) -> str:
    """Quote a short text that does not look like a key; anything else is only named."""
    harmless = len(text) <= 64 and not LOOKS_LIKE_A_KEY.search(text)
    return ascii(text) if harmless else "the text"
