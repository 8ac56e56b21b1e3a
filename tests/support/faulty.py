"""A served Tidegate before a scripted provider: the first deployment misbehaves, its fallbacks are well."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support.dialects import Answer, Json, ask, body_of
from tests.support.served import Served, deployment, served
from tests.support.upstream import Running, scripted_upstream
from tidegate.model.request import Surface

PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", output_text = "2" } }'
INPUT_NANO, OUTPUT_NANO = 500, 2_000
"""What a token costs at that price."""
LIMIT_S = 1.5
"""Each limit of this Tidegate: to a connection, a reply's head, its first content, the next event."""
CONFIG = f"""
connect_timeout_s = {LIMIT_S}
first_byte_timeout_s = {LIMIT_S}
first_content_timeout_s = {LIMIT_S}
idle_timeout_s = {LIMIT_S}

[resilience]
backoff_s = 0.02
sticky = false
"""
ENV = {"FIRST": "sk-first-0000000000", "OTHER": "sk-other-0000000000"}
OF_ANTHROPIC = ("anthropic", "anthropic-compatible")
IN_TIME_S = 10.0
"""Far more than any row takes: a client that waits longer has been forgotten."""

Ending = Literal["first", "second", "cut", "error"]
"""What the client gets: a whole answer of one of them, part of one and an error, or an error alone."""
Charged = dict[str, int]
ASKED = "Say something about the sea"


@dataclass(frozen=True)
class Row:
    """One fault, and what must come of it.

    The row's name is an alias: first the deployment `a-<name>` of the model `m-<name>`, which does what
    `script` says, then those `behind` it (`same` is one that is well and has the first one's key). `tries`
    are the attempts at the first deployment: how each ended, and its error's class. `status` and `code` are
    those of the error that the client gets, where it gets one. `counts`: on whose word the last try is
    billed. `defect` says why it fails today.
    """

    name: str
    script: Json
    tries: tuple[str, ...]
    ends: Ending = "second"
    surface: Surface = "chat"
    provider: str = "openai-compatible"
    base_url: str = ""
    behind: tuple[str, ...] = ("b",)
    stream: bool = False
    tool: bool = False
    turns: tuple[Json, ...] = ({"role": "user", "content": ASKED},)
    status: int = 200
    code: str | None = None
    counts: str = "none"
    finish: str | None = None
    sent: str = "yes"
    defect: str = ""


@dataclass
class Ground:
    """A Tidegate, its provider, and a key."""

    served: Served
    upstream: Running
    key: str

    def ask(
        self,
        model: str,
        surface: Surface = "chat",
        *,
        stream: bool = False,
        tool: bool = False,
        turns: Sequence[Json] = ({"role": "user", "content": ASKED},),
    ) -> Answer:
        """Call as a plain client and read all of the reply."""
        body = body_of(surface, model, list(turns), stream=stream, tool=tool)
        return ask(self.served.base_url, self.key, surface, body)

    def ask_row(self, row: Row) -> Answer:
        """Make the call of a row."""
        return self.ask(row.name, row.surface, stream=row.stream, tool=row.tool, turns=row.turns)

    def calls(self, model: str) -> int:
        """How often the provider was called for a model."""
        return int(self._model(model).get("calls", 0))

    def charged(self, model: str) -> Charged:
        """What the provider charges for a model, in tokens: of the prompts, and of the answers."""
        bill = self._model(model).get("billed", {})
        read = [int(bill.get(name, 0)) for name in ("input", "cache_read", "cache_write")]
        return {"input": sum(read), "output": int(bill.get("output", 0))}

    def aborted(self, model: str) -> int:
        """How often the provider saw its client leave."""
        return int(self._model(model).get("aborted", 0))

    def is_open(self) -> bool:
        """The provider is at a call."""
        return bool(self._stats()["open"])

    def recorded(self, ident: str) -> tuple[Json, list[Json]]:
        """The settled row of a call, and its attempts in order."""
        closed = "SELECT * FROM request WHERE id = ? AND outcome IS NOT NULL"
        self.served.wait_for(lambda: self.served.rows(closed, ident))
        (request,) = self.served.rows(closed, ident)
        attempts = self.served.rows("SELECT * FROM attempt WHERE request_id = ? ORDER BY n", ident)
        assert [one["n"] for one in attempts] == list(range(request["last_attempt"] + 1))
        return request, attempts

    def notes(self, kind: str) -> list[Json]:
        """What the journal notes of one kind."""
        return [
            json.loads(row["facts"]) for row in self.served.rows("SELECT * FROM note WHERE kind = ?", kind)
        ]

    def is_quiet(self) -> bool:
        """Nothing is open: no exchange at the provider, no call without an outcome, no attempt unsettled."""
        open_calls = self.served.rows("SELECT id FROM request WHERE outcome IS NULL")
        open_attempts = self.served.rows("SELECT n FROM attempt WHERE status IS NULL")
        return not open_calls and not open_attempts and self._stats()["open"] == 0

    def _stats(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.upstream.app.stats.counts())
        return found

    def _model(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._stats()["models"].get(name, {})
        return found


@contextmanager
def ground(directory: Path, cases: Sequence[Row], config: str = CONFIG) -> Iterator[Ground]:
    """Serve these cases, and the fallbacks `b` (chat, responses) and `c` (messages) with another key."""
    with scripted_upstream() as upstream:
        aliases = "\n[aliases]\n"
        for case in cases:
            name, model = f"a-{case.name}", f"m-{case.name}"
            config += _deployment(upstream, name, case.provider, model, base_url=case.base_url)
            if "same" in case.behind:
                config += _deployment(upstream, f"s-{case.name}", case.provider, f"same-{case.name}")
            behind = [f"s-{case.name}" if name == "same" else name for name in case.behind]
            aliases += f"{case.name} = {json.dumps([f'a-{case.name}', *behind])}\n"
        config += _deployment(upstream, "b", "openai-compatible", "b", key="OTHER")
        config += _deployment(upstream, "c", "anthropic-compatible", "c", key="OTHER")
        scripts = {f"m-{case.name}": case.script for case in cases if case.script}
        text = json.dumps({"models": scripts}).replace("{upstream}", upstream.base_url)
        upstream.app.scenario.replace(text)
        with served(directory, config + aliases, env=ENV) as running:
            yield Ground(running, upstream, running.key())


def _deployment(
    upstream: Running, name: str, provider: str, model: str, *, key: str = "FIRST", base_url: str = ""
) -> str:
    base = base_url or upstream.base_url
    base = base if provider in OF_ANTHROPIC else f"{base}/v1"
    return deployment(name, provider, base, model, key=f'{{ env = "{key}" }}', price=PRICE)


def flags_of(attempt: Json) -> set[str]:
    """What a reader of an attempt must know."""
    return set(json.loads(attempt["flags"] or "[]"))


def input_of(attempt: Json) -> int:
    """All input tokens of an attempt."""
    names = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
    return sum(attempt[name] or 0 for name in names)


def output_of(attempt: Json) -> int:
    """All output tokens of an attempt."""
    return sum(attempt[name] or 0 for name in ("output_text", "reasoning"))


def assert_charged(attempts: list[Json], charged: Charged) -> None:
    """What a provider charges for stands in the record: exactly where it said so, else estimated and flagged.

    Nothing is recorded as spent that the provider does not charge for, unless it says that it is a guess.
    """
    for one in attempts:
        assert one["cost_nano"] is not None
        assert one["cost_nano"] == input_of(one) * INPUT_NANO + output_of(one) * OUTPUT_NANO
        if one["usage_source"] == "none":
            assert one["cost_nano"] == 0
        elif one["usage_source"] != "provider":
            assert "estimated" in flags_of(one), one
        if one["status"] != "ok" and one["cost_nano"]:
            assert "maybe_billed" in flags_of(one) or one["usage_source"] == "provider", one
    if all(one["usage_source"] in ("provider", "none") for one in attempts):
        assert sum(map(input_of, attempts)) == charged["input"]
        assert sum(map(output_of, attempts)) == charged["output"]
    if charged["input"]:
        assert sum(map(input_of, attempts)) > 0, "the provider charges for what the record calls free"


def params(rows: Sequence[Row]) -> list[Any]:
    """Rows for `parametrize`; what fails today must go on failing until it is mended."""
    marks = {
        row.name: [pytest.mark.xfail(strict=True, reason=row.defect)] if row.defect else [] for row in rows
    }
    return [pytest.param(row, id=row.name, marks=marks[row.name]) for row in rows]


def check(ground: Ground, row: Row, whole: str, record_property: Callable[[str, object], None]) -> Answer:
    """Make a row's call and hold what came against it. `whole` is what every deployment answers."""
    answer = ground.ask_row(row)
    assert answer.took_s < IN_TIME_S
    request, attempts = ground.recorded(answer.ident)
    first = [one for one in attempts if one["deployment"] == f"a-{row.name}"]
    charged = ground.charged(f"m-{row.name}")
    by = attempts[-1]["deployment"]
    seen = f"{answer.code} ({answer.status})" if not answer.is_whole else f"the whole answer of {by[:20]}"
    record_property("client", f"a part, then {seen}" if answer.text and not answer.is_whole else seen)
    record_property(
        "record",
        ", ".join(f"{one['deployment'][0]} {one['status']} {one['usage_source']}" for one in attempts),
    )
    record_property("charged", f"{charged['input']} + {charged['output']} tokens, " + recorded_as(first))
    assert_answer(answer, row, whole)
    assert request["outcome"] == outcome_of(row)
    assert request["http"] == answer.status
    assert tuple(f"{one['status']} {one['error_class'] or '-'}" for one in first) == row.tries
    assert attempts[: len(first)] == first
    assert {one["sent"] for one in first} == {row.sent}
    assert first[-1]["usage_source"] == row.counts
    if not row.base_url:
        assert ground.calls(f"m-{row.name}") == len(first)
        assert_charged(first, charged)
    assert ground.calls(f"same-{row.name}") == 0, "the same wallet was asked again"
    rest = attempts[len(first) :]
    assert [one["status"] for one in rest] == (["ok"] if row.ends == "second" else [])
    assert all(one["usage_source"] == "provider" for one in rest)
    return answer


def assert_answer(answer: Answer, row: Row, whole: str) -> None:
    """The client got the whole answer once, in the form it asked for, or was told that it did not."""
    assert not answer.torn
    assert answer.bad_frames == 0
    assert answer.status == row.status
    if row.ends in ("first", "second"):
        assert answer.is_whole
        assert answer.text == whole
        assert answer.streamed is row.stream
        assert row.finish in (None, answer.finish)
        return
    assert not answer.is_whole
    assert answer.code == row.code
    if row.ends == "error":
        assert not answer.text
        assert not answer.tools
        return
    assert whole.startswith(answer.text)
    assert answer.text or answer.tools
    assert answer.closed == 0, "half a tool call was called whole"


def outcome_of(row: Row) -> str:
    """How a row's request ends for its client."""
    if row.ends in ("first", "second"):
        return "ok"
    return "truncated" if row.tries[-1].startswith("truncated") and row.ends == "cut" else "failed"


def recorded_as(attempts: Sequence[Json]) -> str:
    """What a record says it was, for a table."""
    flagged = any("maybe_billed" in flags_of(one) for one in attempts)
    counts = f"{sum(map(input_of, attempts))} + {sum(map(output_of, attempts))}"
    return f"recorded {counts}{', maybe billed' if flagged else ''}"
