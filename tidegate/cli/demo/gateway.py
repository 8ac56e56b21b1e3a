"""The demo's gateway: its configuration, its keys, and `tidegate serve` as a process."""

import os
import re
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.cli.demo.children import Child, Children
from tidegate.cli.demo.problem import DemoError
from tidegate.cli.demo.provider import Model, answers, quoted
from tidegate.cli.desk_client import open_desk
from tidegate.cli.options import settings_at
from tidegate.control.admin import NameRequest
from tidegate.control.registry import KeyRequest
from tidegate.model.errors import TidegateError
from tidegate.stores.sqlite.store import DATABASE, Store

TENANT = "hearth-and-home"
SUPPORT, MARKETING = "support", "marketing"
CURRENCY = "EUR"
RATES = {"input": "2.50", "cache_read": "0.25", "output": "10"}
"""EUR per million tokens: of the order of a large hosted model, so that the report has something to show."""
USD_PER_EUR, RATE_DAY = "1.10", "2026-01-01"
ILLUSTRATION = "illustration"
PREFERRED_PORT = 4180
READY_S, CAUGHT_UP_S = 60.0, 30.0
SOCKET_PATH_BYTES = 100
"""A Unix socket's path may not be longer: 104 bytes with its end on macOS, 108 on Linux."""

_LISTENS = re.compile(r"listens on (http://\S+)")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway. `config` is its tidegate.toml, `state` its state directory."""

    base_url: str
    config: Path
    state: Path
    child: Child


def write_config(root: Path, models: Sequence[Model], listen: str) -> Path:
    """Write the demo's tidegate.toml and return its path. Raises DemoError where the place does not serve."""
    if len(os.fsencode(root / "state" / "control.sock")) > SOCKET_PATH_BYTES:
        raise DemoError(f"{root} is too long a path for a socket in it; choose a shorter one with --dir")
    rates = ", ".join(f'{name} = "{rate}"' for name, rate in RATES.items())
    mark = f'illustration = true, source = "{ILLUSTRATION}"'
    price = f'{{ currency = "{CURRENCY}", rates = {{ {rates} }}, {mark} }}'
    lines = [
        "# Written by `tidegate demo`. Prices and exchange rate are for illustration: nobody bills them.",
        "[server]",
        f'listen = "{listen}"',
        'control = "127.0.0.1:0"',
        'state_dir = "state"',
        "drain_timeout_s = 3.0",
        "",
        "[[prices.fx]]",
        'base = "EUR"',
        'quote = "USD"',
        f'rate = "{USD_PER_EUR}"',
        f"date = {RATE_DAY}",
        f'source = "{ILLUSTRATION}"',
    ]
    for model in models:
        lines += [
            "",
            "[[deployments]]",
            f"name = {quoted(model.name)}",
            f'provider = "{model.provider}"',
            f"model = {quoted(model.model)}",
            f"names = [{quoted(model.name)}]",
            f"base_url = {quoted(model.base_url)}",
            *([f"key = {model.key}"] if model.key else []),
            f"price = {price}",
        ]
    path = root / "tidegate.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def is_free(port: int) -> bool:
    """Whether a loopback port can be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def create_keys(config: Path) -> tuple[str, str]:
    """Create one key for each team, as `tidegate keys create` does, and return their texts."""
    with open_desk(settings_at(str(config))) as desk:
        made = [
            desk.create_key(KeyRequest(tenant=TENANT, name=name, team=team)).text
            for name, team in (("help desk", SUPPORT), ("shop window", MARKETING))
        ]
    return made[0], made[1]


def start(children: Children, config: Path) -> Gateway:
    """Start `tidegate serve` and wait until it is ready. Raises DemoError."""
    child = children.start(
        "tidegate serve", [sys.executable, "-m", "tidegate", "serve", "--config", str(config)]
    )
    base_url = child.wait_for(_LISTENS, READY_S)
    until_s = time.monotonic() + READY_S
    while not answers(f"{base_url}/readyz"):
        child.check_alive()
        if time.monotonic() > until_s:
            raise DemoError(f"the gateway is not ready after {READY_S:.0f} s; its log is {child.log}")
        time.sleep(0.05)
    return Gateway(base_url, config, config.parent / "state", child)


def wait_until_recorded(gateway: Gateway, calls: int) -> None:
    """Return once that many calls are over and in the tables. Raises DemoError with the number found."""
    until_s = time.monotonic() + CAUGHT_UP_S
    found = 0
    while found < calls:
        with Store.open_read_only(gateway.state / DATABASE) as store:
            found = int(
                store.connection.execute("SELECT COUNT(*) FROM request WHERE outcome NOT NULL").get or 0
            )
        gateway.child.check_alive()
        if time.monotonic() > until_s:
            raise DemoError(f"{calls} calls were sent, {found} are recorded after {CAUGHT_UP_S:.0f} s")
        time.sleep(0.05)


def automatic_feature(gateway: Gateway) -> str:
    """Return the name that the application without headers was given. Raises DemoError if there is none."""
    sql = "SELECT DISTINCT feature FROM request WHERE team = ? AND feature_source = 'fingerprint'"
    with Store.open_read_only(gateway.state / DATABASE) as store:
        found = [str(feature) for (feature,) in store.rows(sql, (MARKETING,))]
    if len(found) != 1:
        raise DemoError(f"one automatic feature was expected, found {', '.join(found) or 'none'}")
    return found[0]


def name_feature(gateway: Gateway, feature: str, name: str) -> None:
    """Name a feature for all time, as `tidegate features name` does. Raises DemoError."""
    try:
        with open_desk(settings_at(str(gateway.config))) as desk:
            desk.name_feature(NameRequest(feature=feature, name=name, tenant=TENANT))
    except TidegateError as error:
        raise DemoError(error.message) from None
