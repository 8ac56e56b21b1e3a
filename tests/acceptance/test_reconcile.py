"""A provider's bill against the record of a served Tidegate: the bill is made from what the provider counted.

Each model meets one thing that happens to bills. The export is the scripted provider's own count of tokens at
its prices; then it is altered in the ways that only a provider can (a price of its own, a line left out).
"""

import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.served import Served, deployment, served
from tests.support.upstream import Running, scripted_upstream
from tidegate.model.money import NANO

IN, OUT = Decimal(400), Decimal(1600)
"""USD per million tokens: dear, so that cents are at stake in every call."""
PRICE = f'{{ currency = "USD", rates = {{ input = "{IN}", output = "{OUT}" }}, illustration = true }}'
MODELS = ("steady", "bypassed", "unbilled", "dearer", "unpriced", "left", "silent")
SCRIPTS = {
    "left": {"disconnect": "finish", "output_tokens": 400, "event_ms": 30},
    "silent": {"no_usage": True, "output_tokens": 300},
}
CLAUDE_RATES = {
    "input": Decimal(400),
    "cache_read": Decimal(40),
    "cache_write": Decimal(500),
    "output": Decimal(2000),
}
CLAUDE_PRICE = """{ currency = "USD", rates = { input = "400", cache_read = "40", cache_write_5m = "500",
 output = "2000" }, illustration = true }""".replace("\n", "")
MARGIN_S = 60

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Stage:
    """A served Tidegate, its provider, and what the provider counted, by model."""

    here: Served
    provider: Running
    counted: dict[str, dict[str, Any]]
    day: datetime

    def run(self, *options: str) -> "subprocess.CompletedProcess[str]":
        asked = [sys.executable, "-m", "tidegate", "reconcile", *options, "--config", str(self.here.config)]
        return subprocess.run(asked, capture_output=True, text=True, check=False)

    def usage(self, *, without: str = "") -> str:
        """The saved usage of the day, with one model left out."""
        results = [
            {
                "object": "organization.usage.completions.result",
                "model": f"{name}-2026-11-01",
                "num_model_requests": one["calls"],
                "input_tokens": one["billed"]["input"],
                "output_tokens": one["billed"]["output"],
            }
            for name, one in self.counted.items()
            if name != without and not name.startswith("claude")
        ]
        return self.saved("usage.json", results)

    def costs(self, *, without: str = "", dearer: str = "") -> str:
        """The saved costs of the day, with one model left out and one at twice its price."""
        results = []
        for name, one in self.counted.items():
            for kind, rate in (("input", IN), ("output", OUT)):
                amount = rate * one["billed"][kind] / 1_000_000 * (2 if name == dearer else 1)
                item = {"object": "organization.costs.result", "line_item": f"{name}-2026-11-01, {kind}"}
                if name != without and not name.startswith("claude"):
                    results.append({**item, "amount": {"value": float(amount), "currency": "usd"}})
        return self.saved("costs.json", results)

    def claudes(self) -> Iterator[tuple[str, dict[str, int]]]:
        """What the provider counted of messages."""
        for name, one in self.counted.items():
            if name.startswith("claude"):
                yield name, {kind: one["billed"][kind] for kind in CLAUDE_RATES}

    def report(self, name: str, results: list[dict[str, Any]]) -> str:
        """A saved report of Anthropic's."""
        after = self.day + timedelta(days=1)
        bucket = {"starting_at": self.day.isoformat(), "ending_at": after.isoformat(), "results": results}
        path = self.here.directory / name
        path.write_text(json.dumps({"data": [bucket], "has_more": False}))
        return str(path)

    def saved(self, name: str, results: list[dict[str, Any]]) -> str:
        start = int(self.day.timestamp())
        bucket = {"start_time": start, "end_time": start + 86_400, "results": results}
        path = self.here.directory / name
        path.write_text(json.dumps({"object": "page", "data": [bucket], "has_more": False}))
        return str(path)

    def worth(self, name: str) -> Decimal:
        """What the provider counted of a model, at its price."""
        billed: dict[str, int] = self.counted[name]["billed"]
        return (IN * billed["input"] + OUT * billed["output"]) / 1_000_000


def chat(model: str, *, stream: bool = False) -> bytes:
    body = {"model": model, "stream": stream, "max_tokens": 2000}
    return json.dumps({**body, "messages": [{"role": "user", "content": "Say it again. " * 40}]}).encode()


def ask(base_url: str, key: str, model: str, *, stream: bool = False) -> None:
    head = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    url = f"{base_url}/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, chat(model, stream=stream), head)) as reply:
        reply.read()


def say(base_url: str, key: str, model: str) -> None:
    """Ask for a message whose prompt is written to the provider's cache, or read from it."""
    text = {"type": "text", "text": f"{model} knows this. " * 500, "cache_control": {"type": "ephemeral"}}
    body = {
        "model": model,
        "max_tokens": 500,
        "system": [text],
        "messages": [{"role": "user", "content": "Go."}],
    }
    head = {"x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    asked = urllib.request.Request(f"{base_url}/v1/messages", json.dumps(body).encode(), head)
    with urllib.request.urlopen(asked) as reply:
        reply.read()


def leave(here: Served, key: str, model: str) -> None:
    """Ask for a stream, read its beginning and go."""
    raw = chat(model, stream=True)
    with socket.create_connection(("127.0.0.1", int(here.base_url.rsplit(":")[-1])), 10) as sock:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        sock.sendall(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)
        seen = b""
        while seen.count(b"data: ") < 4:
            seen += sock.recv(4096)


def midnight() -> datetime:
    """The UTC day's beginning; near its end the next day is waited for."""
    now = datetime.now(UTC)
    after = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    if after - now < timedelta(seconds=MARGIN_S):
        time.sleep((after - now).total_seconds() + 1)
        return after
    return after - timedelta(days=1)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    day = midnight()
    with scripted_upstream(output_tokens=200) as provider:
        address = provider.base_url.removeprefix("http://")
        control = http.client.HTTPConnection(address, timeout=10)
        control.request("PUT", "/__scripts", json.dumps({"models": SCRIPTS}))
        assert control.getresponse().status == 200
        control.close()
        rows = [
            deployment(name, "openai-compatible", f"{provider.base_url}/v1", name, **price)
            for name in MODELS
            for price in ({} if name == "unpriced" else {"price": PRICE},)
        ]
        claudes = [
            deployment(name, "anthropic-compatible", provider.base_url, name, price=CLAUDE_PRICE)
            for name in ("claude", "claude-open")
        ]
        rows += claudes
        config = '\n[policy]\nunpriced = "flag"\n' + "".join(rows)
        with served(tmp_path_factory.mktemp("served"), config) as here:
            key = here.key()
            for name in MODELS:
                for _ in range(2):
                    if name == "left":
                        leave(here, key, name)
                    else:
                        ask(here.base_url, key, name, stream=name == "silent")
            ask(provider.base_url, "own", "bypassed")
            ask(provider.base_url, "own", "shadow")
            for name in ("claude", "claude-open"):
                say(here.base_url, key, name)
                say(here.base_url, key, name)
            say(provider.base_url, "own", "claude-open")
            here.settled(2 * len(MODELS) + 4)
            here.wait_for(lambda: json.loads(provider.app.stats.counts())["open"] == 0)
            counted = json.loads(provider.app.stats.counts())["models"]
            assert counted["claude"]["billed"]["cache_read"] > 0
            assert counted["claude"]["billed"]["cache_write"] > 0
            yield Stage(here, provider, counted, day)


def nano(text: str) -> int:
    return int(Decimal(text) * NANO)


def cells(told: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {
        cell["model"]: {cause: nano(part) for cause, part in cell["causes"]["cost"].items()}
        for cell in told["cells"]
    }


OURS = ("--provider", "openai-compatible", "--json")


def test_an_altered_bill_is_explained_to_the_cent(stage: Stage) -> None:
    usage, costs = stage.usage(without="unbilled"), stage.costs(without="unbilled", dearer="dearer")
    done = stage.run("openai", usage, costs, *OURS)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    found = cells(told)
    dominant = {
        name: max(parts, key=lambda cause: abs(parts[cause])) for name, parts in found.items() if parts
    }
    noise = {name for name, parts in found.items() if all(abs(part) < 10 for part in parts.values())}
    assert noise == {"steady"}
    assert {name: cause for name, cause in dominant.items() if name not in noise} == {
        "bypassed": "missing",
        "shadow": "missing",
        "unbilled": "not_billed",
        "dearer": "price_differs",
        "unpriced": "unpriced",
        "left": "cancelled",
        "silent": "estimated",
    }
    assert all(len(parts) == 1 for name, parts in found.items() if name not in noise), found
    expected = {
        "bypassed": stage.worth("bypassed") / 3,
        "shadow": stage.worth("shadow"),
        "unbilled": -stage.worth("unbilled"),
        "dearer": stage.worth("dearer"),
        "unpriced": stage.worth("unpriced"),
    }
    cent = NANO // 100
    for name, amount in expected.items():
        assert abs(sum(found[name].values()) - int(amount * NANO)) < cent, name
    others = [name for name in stage.counted if name != "unbilled" and not name.startswith("claude")]
    billed = sum(map(stage.worth, others), Decimal())
    assert abs(nano(told["total"]["theirs"]) - int((billed + stage.worth("dearer")) * NANO)) < cent
    ours = "SELECT SUM(cost_nano) AS nano FROM attempt WHERE provider = 'openai-compatible'"
    spent = stage.here.rows(ours)[0]["nano"]
    assert nano(told["total"]["ours"]) == spent
    assert sum(map(nano, told["total"]["causes"].values())) == nano(told["total"]["difference"])


def test_the_tokens_of_a_usage_alone_are_told_apart_too(stage: Stage) -> None:
    done = stage.run("openai", stage.usage(without="unbilled"), *OURS)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    found = {cell["model"]: cell["causes"]["tokens"] for cell in told["cells"]}
    assert {name: list(causes) for name, causes in found.items()} == {
        "steady": [],
        "dearer": [],
        "unpriced": [],
        "bypassed": ["missing"],
        "shadow": ["missing"],
        "unbilled": ["not_billed"],
        "left": ["cancelled"],
        "silent": ["estimated"],
    }
    shadow = stage.counted["shadow"]["billed"]
    assert found["shadow"] == {"missing": shadow["input"] + shadow["output"]}


def test_a_bill_of_messages_agrees_but_for_what_went_around_the_gateway(stage: Stage) -> None:
    usage = [
        {
            "model": f"{name}-20261101",
            "uncached_input_tokens": billed["input"],
            "cache_read_input_tokens": billed["cache_read"],
            "cache_creation": {"ephemeral_5m_input_tokens": billed["cache_write"]},
            "output_tokens": billed["output"],
        }
        for name, billed in stage.claudes()
    ]
    costs = [
        {
            "model": name,
            "currency": "USD",
            "amount": str(CLAUDE_RATES[kind] * count / 10_000),
            "token_type": kind,
        }
        for name, billed in stage.claudes()
        for kind, count in billed.items()
    ]
    files = (stage.report("claude-usage.json", usage), stage.report("claude-costs.json", costs))
    done = stage.run("anthropic", *files, "--provider", "anthropic-compatible", "--json")
    assert done.returncode == 1, done.stderr
    found = cells(json.loads(done.stdout))
    assert {name: list(causes) for name, causes in found.items()} == {
        "claude": [],
        "claude-open": ["missing"],
    }
    assert found["claude-open"]["missing"] > NANO // 10


def test_a_table_of_the_same_bill_agrees_with_it(stage: Stage) -> None:
    (billed,) = (billed for name, billed in stage.claudes() if name == "claude")
    cost = sum((CLAUDE_RATES[kind] * count for kind, count in billed.items()), Decimal()) / 1_000_000
    path = stage.here.directory / "bill.csv"
    path.write_text(f"Tag;Modell;Betrag\n{stage.day:%Y-%m-%d};claude;{cost:f}\n".replace(".", ","))
    columns = ("--column", "day=Tag", "--column", "model=Modell", "--column", "cost=Betrag")
    done = stage.run(
        "csv", str(path), "--decimal-comma", *columns, "--deployment", "claude", "--tolerance", "0"
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_tables_of_the_console_agree_by_day_model_and_key(stage: Stage) -> None:
    """No drift at all: every figure of theirs is ours, to the nano-unit."""
    start = int(stage.day.timestamp())
    one, bucket = stage.counted["steady"], f"{start},{start + 86_400},key_1"
    billed = one["billed"]
    usage, costs = (stage.here.directory / name for name in ("activity.csv", "cost.csv"))
    usage.write_text(
        "start_time,end_time,api_key_id,num_model_requests,model,input_tokens,output_tokens\n"
        f"{bucket},{one['calls']}.0,steady-2026-11-01,{billed['input']}.0,{billed['output']}.0\n"
    )
    rows = [
        f'{bucket},{rate * billed[kind] / 1_000_000:.30f},usd,"steady-2026-11-01, {kind}"\n'
        for kind, rate in (("input", IN), ("output", OUT))
    ]
    costs.write_text(
        "start_time,end_time,api_key_id,amount_value,amount_currency,line_item\n" + "".join(rows)
    )
    asked = ("openai", str(usage), str(costs), "--key", "key_1=steady", "--deployment", "steady", *OURS)
    done = stage.run(*asked, "--tolerance", "0")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    told = json.loads(done.stdout)
    (cell,) = told["cells"]
    assert (cell["day"], cell["model"], cell["key"]) == (f"{stage.day:%Y-%m-%d}", "steady", "steady")
    assert cell["theirs"]["calls"] == cell["ours"]["calls"] == one["calls"]
    assert cell["theirs"]["tokens"] == cell["ours"]["tokens"]
    assert nano(told["total"]["theirs"]) == nano(told["total"]["ours"]) == int(stage.worth("steady") * NANO)
    assert (told["total"]["causes"], told["apart"], told["within_tolerance"]) == ({}, [], True)


def test_beside_the_running_control_process_and_after_it_the_table_is_the_same(stage: Stage) -> None:
    """Last, since it stops Tidegate."""
    files = (stage.usage(), stage.costs())
    running = stage.run("openai", *files, "--provider", "openai-compatible")
    assert running.returncode == 1, running.stderr
    assert "not within the tolerance: bypassed, left, shadow, silent, unpriced" in running.stdout
    stage.here.process.terminate()
    stage.here.process.wait(30)
    stopped = stage.run("openai", *files, "--provider", "openai-compatible")

    def table(done: "subprocess.CompletedProcess[str]") -> list[str]:
        return [row for row in done.stdout.splitlines() if "our record" not in row]

    assert table(stopped) == table(running)
