"""No table grows with what clients choose: each is flooded with names that never come again (trap V4).

There are no metrics yet; these tables are where labels without bound would show today.
"""

import ast
import asyncio
import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.house import KEY, PEPPER, START_US, FakeClient, House, Ticks
from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tests.support.served import Served, deployment, served
from tidegate.config.load import load
from tidegate.exchange.call import Call
from tidegate.exchange.forward import _kept, reply_headers
from tidegate.exchange.settlement import MAX_DRIFTS
from tidegate.gateway.auth import MAX_ADDRESSES, Authenticator, LoginGuard, tidegate_key
from tidegate.gateway.head import decode_path, host_name
from tidegate.model.errors import ModelNotFound, TidegateError, Unauthenticated
from tidegate.model.identity import Key
from tidegate.model.ids import uuid7
from tidegate.model.price import PriceSection
from tidegate.model.provider import Deployment
from tidegate.model.usage import Usage
from tidegate.policy.fingerprint import _keyed, prefixes
from tidegate.policy.keyformat import assemble
from tidegate.providers import direct_framing, direct_request
from tidegate.providers.catalog import load as load_catalog
from tidegate.services import pricebook
from tidegate.services.clock import Clock
from tidegate.services.deployments import Deployments
from tidegate.services.features import MAX_PER_KEY, MAX_REMEMBERED, Features, Fingerprints
from tidegate.services.fleet import Fleet
from tidegate.services.keys import MAX_VERIFIED, Keyring, mac_of, mint
from tidegate.services.ledger import Ledger
from tidegate.services.pricebook import PriceBook
from tidegate.services.pricing import MAX_MEMO, Pricing
from tidegate.services.pseudonyms import REMEMBERED, Pseudonyms
from tidegate.services.tokens import MAX_MODELS, Calibrations
from tidegate.stores.snapshot import Policies
from tidegate.wire import body as wire_body
from tidegate.wire.body import Body

MORE = 100
"""How far past its bound each table is pushed."""

PACKAGE = Path(__file__).parents[2] / "tidegate"
ANY = Deployment(name="any", provider="vllm", model="*", names=("*",), base_url="http://x.test/v1")
MINUTE_US = 60_000_000

ARGUMENTS_ARE_OURS = {
    "providers/catalog.py:load",  # none
    "stores/sqlite/migrations.py:migrations_of",  # a schema's name
    "wire/translate/loss.py:_type_of",  # a type
}

Size = Callable[[], tuple[int, int]]
FLOODS: list[Size] = []


def flood(table: Size) -> Size:
    """Add a table: its function floods it, and returns its size and its bound."""
    FLOODS.append(table)
    return table


def everything() -> Deployments:
    """One deployment, which takes any model of its provider."""
    return Deployments(load_catalog(), [ANY], {})


@flood
def addresses_that_guess() -> tuple[int, int]:
    guard = LoginGuard()
    authenticator, nobody = Authenticator(guard), Keyring([], PEPPER)
    for n in range(MAX_ADDRESSES + MORE):
        with pytest.raises(Unauthenticated):
            authenticator.key_of(nobody, ["sk-foreign"], f"2001:db8::{n:x}", MINUTE_US)
    return len(guard._failures), MAX_ADDRESSES


@flood
def keys_that_were_verified() -> tuple[int, int]:
    made = [mint() for _ in range(MAX_VERIFIED + MORE)]
    keyring = Keyring([Key(id=name, mac=mac_of(text, PEPPER), tenant="a") for name, text in made], PEPPER)
    for _, text in made:
        keyring.verify(text, 0)
    return len(keyring._verified), MAX_VERIFIED


@flood
def features_of_a_key() -> tuple[int, int]:
    features = Features()
    for n in range(MAX_PER_KEY + MORE):
        features.automatic("k", f"{n:06x}")
    return len(features._known["k"]), MAX_PER_KEY


@flood
def fingerprints() -> tuple[int, int]:
    known = Fingerprints()
    for n in range(MAX_REMEMBERED + MORE):
        known.of(b"k" * 32, f"You are {n}.", b"", hashed=f"{n:016x}")
    return len(known._known), MAX_REMEMBERED


@flood
def hashes_of_tenants() -> tuple[int, int]:
    for n in range(_keyed.cache_parameters()["maxsize"] + MORE):
        prefixes(n.to_bytes(32, "big"), [b"", b""])
    return cached(_keyed)


@flood
def calibrations() -> tuple[int, int]:
    known = Calibrations()
    for n in range(MAX_MODELS + MORE):
        known.learn_input(f"m{n}", 100, 120)
        known.learn_output(f"m{n}", 100, 120)
    return max(len(known._input), len(known._output)), MAX_MODELS


@flood
def names_of_people() -> tuple[int, int]:
    names = Pseudonyms(PEPPER, lambda *_: None)
    for n in range(REMEMBERED + MORE):
        names.of("acme", "user", f"user-{n}")
    return len(names._seen), REMEMBERED


@flood
def prices_of_models() -> tuple[int, int]:
    """By the names asked for, by those the provider says it served, and by service tier."""
    prices, deployments = Pricing(PriceBook.load(), {"vllm": ""}), everything()
    for n in range(MAX_MEMO + MORE):
        (found,) = deployments.resolve(f"any/asked-{n}")
        prices.hold(found, START_US, 10, 10, "")
        prices.cost(found, Usage(input_uncached=1), served=f"served-{n}", at_us=START_US, tier=f"tier-{n}")
    return max(sizes(prices).values()), MAX_MEMO + 1


@flood
def models_in_the_price_book() -> tuple[int, int]:
    book = PriceBook.load(PriceSection())
    for n in range(pricebook._MEMO + MORE):
        book.price("vllm", f"model-{n}", at_us=START_US, input_tokens=1)
    return max(sizes(book).values()), pricebook._MEMO


@flood
def paths() -> tuple[int, int]:
    for n in range(decode_path.cache_parameters()["maxsize"] + MORE):
        decode_path(f"/v1/models/{n}".encode())
    return cached(decode_path)


@flood
def hosts() -> tuple[int, int]:
    for n in range(host_name.cache_parameters()["maxsize"] + MORE):
        host_name(f"h{n}.test".encode())
    return cached(host_name)


@flood
def headers_of_replies_that_go_on() -> tuple[int, int]:
    for n in range(_kept.cache_parameters()["maxsize"] + MORE):
        reply_headers({f"x-ratelimit-{n}": "1", f"x-{n}": "1"}, "r", [])
    return cached(_kept)


@flood
def headers_of_replies() -> tuple[int, int]:
    each = direct_framing.MAX_FIELDS - 1
    for start in range(0, direct_framing._MAX_NAMES + MORE, each):
        fields = b"".join(b"x-%d: 1\r\n" % n for n in range(start, start + each))
        framing = direct_framing.Framing()
        framing.feed(b"HTTP/1.1 204 No Content\r\n" + fields + b"\r\n")
        assert framing.whole
    return len(direct_framing._names), direct_framing._MAX_NAMES


@flood
def headers_of_requests() -> tuple[int, int]:
    to = direct_request.target("http://x.test/v1")
    for n in range(direct_request._MAX_NAMES + MORE):
        direct_request.request_head(b"POST", to, {f"x-{n}": "1"}, 0)
    return len(direct_request._prefixes), direct_request._MAX_NAMES


@flood
def addresses_of_providers() -> tuple[int, int]:
    for n in range(direct_request.target.cache_parameters()["maxsize"] + MORE):
        direct_request.target(f"http://x.test/v1/deployments/{n}?beta=true")
    return cached(direct_request.target)


@flood
def kinds_of_fields() -> tuple[int, int]:
    """What decodes a field is kept by its type, which is ours, and never by its name."""
    before = len(wire_body._decoders)
    for n in range(MORE):
        Body.parse(b'{"field-%d":1}' % n).get(f"field-{n}", int)
    return len(wire_body._decoders), before + 1


@flood
def refusals_by_code() -> tuple[int, int]:
    """Nameless refusals are counted by code, and codes are ours whatever was sent."""
    ledger = Ledger(Nowhere(), Ticks(1).clock(), refused_per_minute=0)
    for n in range(1_000):
        for error in refusals(str(n)):
            ledger.refuse(error, request_id="r", surface=None)
    return len(ledger._nameless), len(codes(TidegateError))


@pytest.mark.parametrize("table", FLOODS, ids=lambda table: table.__name__)
def test_a_table_that_is_flooded_stays_within_its_bound(table: Size) -> None:  # trap V4, case 40
    size, bound = table()
    assert 0 < size <= bound


def test_names_that_nothing_has_leave_no_trace() -> None:  # trap V4
    deployments = everything()
    fleet = Fleet(Clock(), Policies(), on_breaker=lambda name, event: None)
    before = sizes(deployments)
    for n in range(10_000):
        with pytest.raises(ModelNotFound):
            deployments.resolve(f"gpt-{n}", allowed=("any",))
        (found,) = deployments.resolve(f"vllm/gpt-{n}")
        fleet.cool(found.name, n)
    assert sizes(deployments) == before
    assert len(fleet._cooling) <= 1


def test_calls_in_which_everything_is_new_fill_no_table_of_the_exchange(tmp_path: Path) -> None:  # trap V4
    """Prompt, feature, user, tags, and the model that the provider says it served, all new each time."""

    async def main() -> tuple[int, int, int]:
        house = House(tmp_path, ScriptedTransport(serves_another), Ticks(1), segment_bytes=1 << 22)
        for n in range(MAX_DRIFTS + MORE):
            client = FakeClient()
            await house.exchange.run(new_in_everything(house, n), client)
            assert client.status == 200
        await house.journal.close()
        planner, settlement = house.exchange._planner, house.exchange._settlement
        learned = max(len(planner._calibrations._input), len(planner._calibrations._output))
        return len(settlement._drifts), len(planner._features._known[KEY.id]), learned

    assert asyncio.run(main()) == (MAX_DRIFTS, MAX_PER_KEY, 1)


def test_every_memo_has_a_bound() -> None:  # trap V4
    """`lru_cache` with a size; `cache` only for those named here, whose arguments no client chooses."""
    assert {f"{path}:{name}" for path, name in memos()} <= ARGUMENTS_ARE_OURS


def test_no_listener_serves_metrics(tmp_path: Path) -> None:  # traps V4, V6; case 43
    config = deployment("any", "vllm", "http://127.0.0.1:9/v1", "*")
    with served(tmp_path / "served", config) as running:
        key = running.key()
        control = load(running.config).server.control.rpartition(":")[2]
        data = urlsplit(running.base_url).port
        for n in range(20):
            body = json.dumps({"model": f"label-{n}", "messages": []})
            headers = {"authorization": f"Bearer {key}", "tidegate-feature": f"label-{n}"}
            assert ask(data, "POST", "/v1/chat/completions", headers, body)[0] == 404
        for port in (data, int(control)):
            for path in ("/metrics", "/metrics/", "/v1/metrics", "/stats", "/debug/vars"):
                for headers in ({}, {"authorization": f"Bearer {key}"}):
                    status, said = ask(port, "GET", path, headers)
                    assert status == 404, (port, path)
                    assert b"label-" not in said
        assert over_the_socket(running, "/metrics").startswith(b"HTTP/1.1 404 ")


def ask(
    port: int | None, method: str, path: str, headers: dict[str, str], body: str = ""
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def over_the_socket(running: Served, path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(running.layout.socket))
        sock.sendall(f"GET {path} HTTP/1.1\r\nhost: control\r\nconnection: close\r\n\r\n".encode())
        return sock.recv(65_536)


class Nowhere:
    """A journal that keeps nothing."""

    def begin(self, id: str, payload: bytes) -> int:  # noqa: A002 - the journal's own word
        return 0

    def append(self, payload: bytes, *, of: str = "") -> int:
        return 0

    def end(self, id: str, payload: bytes) -> int:  # noqa: A002 - same
        return 0

    async def written(self, mark: int) -> None: ...

    async def synced(self, mark: int) -> None: ...


def refusals(word: str) -> Iterator[TidegateError]:
    """What the door answers to credentials, paths, hosts and models with a client's word in them."""
    keyring = Keyring([], PEPPER)
    tries: tuple[Callable[[], object], ...] = (
        lambda: tidegate_key([word]),
        lambda: tidegate_key([f"tg_{word}", f"tg_{word}_"]),
        lambda: keyring.verify(f"tg_{word}", 0),
        lambda: keyring.verify(assemble("a" * 12, word.rjust(32, "b").translate(_LETTERS)), 0),
        lambda: decode_path(f"//{word}".encode()),
        lambda: host_name(f"{word}/".encode()),
        lambda: Body.parse(f'{{"{word}"'.encode()),
        lambda: everything().resolve(word),
    )
    for one in tries:
        with pytest.raises(TidegateError) as caught:
            one()
        yield caught.value


_LETTERS = str.maketrans("0123456789", "abcdefghij")


def codes(kind: type[TidegateError]) -> set[str]:
    return {kind.code}.union(*(codes(one) for one in kind.__subclasses__()))


def serves_another(call: Sent) -> ScriptedReply:
    """An answer whose model is the last word of the prompt, with its bill."""
    word = json.loads(call.body)["messages"][-1]["content"].split()[-1]
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
    message = {"role": "assistant", "content": "well then"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    reply = {
        "id": "c1",
        "object": "chat.completion",
        "model": f"m-{word}",
        "choices": [choice],
        "usage": usage,
    }
    return ScriptedReply(200, {"content-type": "application/json"}, [json.dumps(reply).encode()])


def new_in_everything(house: House, n: int) -> Call:
    at_us = house.clock.wall_us()
    words = "".join(chr(ord("a") + int(digit)) for digit in str(n))
    messages = [
        {"role": "system", "content": f"You are the application {words}."},
        {"role": "user", "content": f"this is {n}"},
    ]
    return Call(
        id=uuid7(at_us, house.clock.random_bits(62)),
        surface="chat",
        key=KEY,
        headers=[(b"tidegate-user", b"user-%d" % n), (b"tidegate-tags", b"tag-%d=%d" % (n, n))],
        query=b"",
        body=json.dumps({"model": "small", "max_tokens": 64, "messages": messages, "user": f"u{n}"}).encode(),
        at_us=at_us,
        started_s=house.clock.mono_s(),
    )


def sizes(of: object) -> Mapping[str, int]:
    return {name: len(table) for name, table in vars(of).items() if isinstance(table, dict | set | list)}


def cached(function: object) -> tuple[int, int]:
    info = function.cache_info()  # type: ignore[attr-defined]
    return info.currsize, info.maxsize


def memos() -> Iterator[tuple[Path, str]]:
    """Functions that remember their results without a bound, by file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for mark in map(ast.unparse, node.decorator_list):
                    plain = mark.removeprefix("functools.")
                    if plain == "cache" or (plain.startswith("lru_cache") and "maxsize=" not in plain):
                        yield path.relative_to(PACKAGE), node.name
