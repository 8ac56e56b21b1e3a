"""Writes the pages of docs/reference that are made from the code; with --check says which are not current."""

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import inspect

from tidegate.cli import main as tidegate
from tidegate.model import record
from tidegate.model.provider import Target
from tidegate.model.usage import Usage

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
WIDTH = 100
MADE = "<!-- Made by `make docs` from the code; edit the code. -->"

CLI_HEAD = """\
Each command shows its help with `--help`. Exit status: 0 when it did what was asked, 1 when it could not,
with one line that says why, 2 when it was not understood.

The configuration is the file that `--config` names, else the one that the environment variable
`TIDEGATE_CONFIG` names, else `./tidegate.toml`."""
RECORDS_HEAD = """\
A record is one JSON object in a checked frame; its version is {}. The field `t` names its kind. Fields at
their default are left out."""

_LEAVES: dict[type, str] = {
    inspect.StrType: "text",
    inspect.IntType: "integer",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
}


def cli_page() -> str:
    """Every command with its help, as a terminal shows it."""
    width = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(tidegate, info_name="tidegate", **{**tidegate.context_settings, **width})
    return "\n\n".join(["# Command line", MADE, CLI_HEAD, *_commands(tidegate, context)]) + "\n"


def _commands(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            below = click.Context(
                inner, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH
            )
            yield from _commands(inner, below)


def records_page() -> str:
    """Every record of the journals, field by field."""
    head = [
        "# Journal records",
        MADE,
        cleandoc(record.__doc__ or "").split("\n", 1)[1].strip(),
        RECORDS_HEAD.format(record.VERSION),
    ]
    sections = ["## A gateway's journal", *_union(record.GatewayRecord)]
    sections += ["## The control process's journal", *_union(record.ControlRecord)]
    parts = (record.Who, Target, record.Hold, record.Measured, record.Decision, record.Settled, Usage)
    sections += ["## Parts of records", *(_struct(part) for part in parts)]
    return "\n\n".join([*head, *sections]) + "\n"


def _union(kinds: Any) -> list[str]:
    return [_struct(kind) for kind in kinds.__args__]


def _struct(kind: type[msgspec.Struct]) -> str:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    tag = f"`{info.tag}`" if info.tag else kind.__name__
    rows = "\n".join(
        f"| `{field.encode_name}` | {_type(field.type)} | {_default(field)} |" for field in info.fields
    )
    return f"### {tag}\n\n{cleandoc(kind.__doc__ or '')}\n\n| field | type | default |\n|---|---|---|\n{rows}"


def _default(field: inspect.Field) -> str:
    if field.required:
        return "*always there*"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else None
    return f"`{msgspec.json.encode(value).decode()}`"


def _type(kind: inspect.Type) -> str:  # noqa: PLR0911 -- one for each kind of type
    match kind:
        case inspect.UnionType(types=types):
            return " or ".join(_type(one) for one in types)
        case inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"list of {_type(item)}"
        case inspect.TupleType(item_types=items):
            return f"[{', '.join(_type(one) for one in items)}]"
        case inspect.DictType(value_type=value):
            return f"object of {_type(value)}"
        case inspect.StructType(cls=cls):
            return f"[{cls.__name__}](#{cls.__name__.lower()})"
        case _:
            return _LEAVES[type(kind)]


PAGES = {"cli.md": cli_page, "records.md": records_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check tell of those that are not as the code would make them."""
    stale = []
    for name, make in PAGES.items():
        path, wanted = REFERENCE / name, re.sub(r" +$", "", make(), flags=re.MULTILINE)
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(wanted, encoding="utf-8")
            print(f"wrote docs/reference/{name}")
    if stale and "--check" in arguments:
        print(f"not current: {', '.join(stale)} in docs/reference; run `make docs`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
