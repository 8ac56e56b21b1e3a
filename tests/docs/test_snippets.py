"""What the pages show is true: Python runs against a running Tidegate, commands and TOML are understood."""

import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from tests.docs.pages import Block, blocks
from tests.support.upstream import scripted_upstream
from tidegate.cli import main

ADDRESS = "http://127.0.0.1:4180"
KEY = "tg_..."
"""As the pages write an address and a key; a running Tidegate's own take their place."""

CONFIG = """\
[server]
listen = "127.0.0.1:0"

[[deployments]]
name = "gpt"
provider = "openai-compatible"
model = "gpt-5-mini"
base_url = "{url}/v1"
price = {{ currency = "EUR", rates = {{ input = "1.00", output = "4.00" }}, illustration = true }}

[[deployments]]
name = "claude"
provider = "anthropic-compatible"
model = "claude-haiku-4-5"
base_url = "{url}"
price = {{ currency = "EUR", rates = {{ input = "3.00", output = "15.00" }}, illustration = true }}
"""
READY_S = 30.0
TIDEGATE = [sys.executable, "-m", "tidegate"]


@dataclass(frozen=True)
class Live:
    """A running Tidegate."""

    address: str
    key: str
    config: Path


def wait_until_ready(address: str) -> None:
    until_s = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=READY_S):
                return
        except urllib.error.URLError:
            assert time.monotonic() < until_s, "Tidegate did not become ready"
            time.sleep(0.05)


def make_key(config: Path) -> str:
    create = [*TIDEGATE, "keys", "create", "--tenant", "acme", "--quiet", "--config", str(config)]
    return subprocess.run(create, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    config = tmp_path_factory.mktemp("live") / "tidegate.toml"
    with scripted_upstream() as upstream:
        config.write_text(CONFIG.format(url=upstream.base_url), encoding="utf-8")
        key = make_key(config)
        serve = [*TIDEGATE, "serve", "--config", str(config)]
        with (config.parent / "log").open("wb+") as log, subprocess.Popen(serve, stderr=log) as serving:
            try:
                address = listening(config.parent / "log")
                wait_until_ready(address)
                yield Live(address, key, config)
            finally:
                serving.terminate()


def listening(log: Path) -> str:
    """The address that `serve` says it took."""
    until_s = time.monotonic() + READY_S
    while (found := re.search(r"listens on (\S+)\n", log.read_text(encoding="utf-8"))) is None:
        assert time.monotonic() < until_s, "Tidegate did not say where it listens"
        time.sleep(0.05)
    return found[1]


def python_pages() -> dict[str, list[Block]]:
    found: dict[str, list[Block]] = {}
    for block in blocks("python"):
        found.setdefault(block.page, []).append(block)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("page", python_pages())
def test_python_runs(page: str, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_CONFIG", str(live.config))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    names: dict[str, Any] = {"__name__": page}
    for block in python_pages()[page]:
        text = block.text.replace(ADDRESS, live.address).replace(KEY, live.key)
        exec(compile("\n" * (block.line - 1) + text, page, "exec"), names)


def commands() -> list[tuple[str, str]]:
    """Each `tidegate ...` line of a shell block, with its place."""
    found = []
    for block in blocks("sh", "console"):
        joined = block.text.replace("\\\n", " ")
        for line in joined.splitlines():
            text = line.removeprefix("$ ").split(" #")[0].split(" | ")[0].split(" > ")[0].strip()
            if text.startswith("tidegate "):
                found.append((str(block), text))
    return found


@pytest.mark.parametrize(("place", "line"), commands())
def test_a_command_is_understood(place: str, line: str) -> None:
    name, *arguments = shlex.split(line)
    context: click.Context | None = None
    command: click.Command = main
    while True:
        context = command.make_context(name, arguments, parent=context)
        if not isinstance(command, click.Group):
            return
        arguments = [*context._protected_args, *context.args]
        if not arguments:
            return
        found, inner, arguments = command.resolve_command(context, arguments)
        assert inner is not None, f"{place}: {line}"
        name, command = found or "", inner


@pytest.mark.parametrize("block", list(blocks("toml")), ids=str)
def test_toml_is_toml(block: Block) -> None:
    lines = block.text.splitlines()
    alternatives = len({line.partition("=")[0] for line in lines}) == 1
    for text in lines if alternatives else [block.text]:
        assert tomllib.loads(text)
