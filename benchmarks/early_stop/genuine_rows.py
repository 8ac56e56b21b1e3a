"""Long rows that must not be stopped: tables, CSV, JSON, logs, matrices."""

import itertools
import json
from collections.abc import Iterator
from random import Random

from benchmarks.early_stop.corpus import PLACES, words

_NAMES = words(
    "Ada Bo Cem Dora Edo Fay Gil Hana Ivo Jana Kai Lea Max Nora Ole Pia Quin Rosa Sam Tea Uwe Vera Wim Zoe"
)


def rows(random: Random) -> Iterator[tuple[str, str]]:
    """Named texts in rows."""
    count = random.randint(120, 500)
    yield (
        "CSV of users with numbers",
        "id,name,email,active\n"
        + "\n".join(
            f"{n},User {n},user{n}@example.com,{random.choice(('true', 'false'))}"
            for n in range(1, count // 2)
        ),
    )
    yield (
        "CSV of readings",
        "time,celsius,percent,hectopascal\n"
        + "\n".join(
            f"2026-03-{n // 24 % 28 + 1:02}T{n % 24:02}:00:00Z,{random.gauss(12, 5):.1f},"
            f"{random.randint(30, 99)},{random.gauss(1013, 9):.1f}"
            for n in range(count)
        ),
    )
    yield (
        "CSV of bookings",
        "date;account;debit;credit;text\n"
        + "\n".join(
            f"{random.randint(1, 28):02}.{random.randint(1, 12):02}.2026;{random.randint(1000, 8999)};"
            f"{random.randint(1, 99999) / 100:.2f};0,00;{random.choice(('Rent', 'Wages', 'Paper', 'Fuel'))}"
            for _ in range(count)
        ),
    )
    yield (
        "one-hot rows",
        "\n".join(
            ",".join("1" if at == hot else "0" for at in range(12))
            for hot in (random.randrange(12) for _ in range(count))
        ),
    )
    yield "test matrix", _matrix(random)
    yield "Markdown table of features", _features(random)
    yield (
        "Markdown table of numbers",
        "| n | square | cube | root |\n|---:|---:|---:|---:|\n"
        + "\n".join(f"| {n} | {n * n} | {n**3} | {n**0.5:.4f} |" for n in range(1, count)),
    )
    yield (
        "multiplication table",
        "\n".join(" ".join(f"{a * b:4}" for b in range(1, 21)) for a in range(1, random.randint(40, 120))),
    )
    yield "timetable", _timetable(random)
    yield "box of names", _box(random)
    yield (
        "HTML table",
        "<table>\n"
        + "\n".join(
            f"  <tr><td>{n}</td><td>{random.choice(_NAMES)}</td><td>{random.choice(PLACES)}</td></tr>"
            for n in range(count)
        ),
    )
    yield "JSON of products", json.dumps([_product(n, random) for n in range(count // 3)], indent=2)
    yield (
        "JSON of equal defaults",
        json.dumps(
            [{"id": n, "enabled": True, "limit": 100, "tags": [], "owner": None} for n in range(70)], indent=1
        ),
    )
    yield "embedding", json.dumps([round(random.gauss(0, 0.05), 7) for _ in range(1536)])
    yield "matrix of zeros", json.dumps([[0] * 36 for _ in range(36)]).replace("], [", "],\n[")
    yield (
        "grid of cells",
        "\n".join(
            "[" + ", ".join(random.choice(("true", "false", "false", "false")) for _ in range(20)) + "],"
            for _ in range(60)
        ),
    )
    yield (
        "GeoJSON",
        json.dumps(
            {
                "type": "LineString",
                "coordinates": [
                    [round(8 + random.random(), 6), round(53 + random.random(), 6)] for _ in range(count)
                ],
            }
        ),
    )
    yield "access log", _access_log(random, count)
    yield "service log", _service_log(random, count)
    yield (
        "build log",
        "\n".join(
            f"[{n * 100 // count:3}%] Building CXX object src/{random.choice(_NAMES)}_{n}.cpp.o ... ok"
            for n in range(count // 2)
        ),
    )
    yield from _made_up(random.randint(250, 900))
    yield "numbers", ", ".join(map(str, range(1, random.randint(2000, 7000))))
    yield "numbers in lines", "\n".join(map(str, range(1, random.randint(1500, 6000))))
    yield "numbers without order", " ".join(str(random.randint(0, 999)) for _ in range(3000))
    yield (
        "primes",
        ", ".join(str(n) for n in range(2, 12000) if all(n % d for d in range(2, int(n**0.5) + 1))),
    )
    yield "digits", "".join(random.choice("0123456789") for _ in range(20_000))
    yield "bits", "".join(random.choice("01") for _ in range(12_000))
    yield "playing board", _boards(random)


def _made_up(count: int) -> Iterator[tuple[str, str]]:
    """Rows of test values in which nothing changes but a number."""
    forms = {
        "inserts of test users": "INSERT INTO users (id, name) VALUES ({n}, 'user{n}');",
        "JSON lines of test items": '{{"id": {n}, "name": "item {n}", "active": true}}',
        "CSV of test users": "{n},user{n},user{n}@example.com",
        "Markdown of test items": "| {n} | item {n} | {three} |",
        "list of links": '<li><a href="/item/{n}">Item {n}</a></li>',
        "users in XML": '<user id="{n}"><name>User {n}</name></user>',
        "columns in CSS": ".col-{n} {{ width: {n}%; }}",
        "variables": "int x{n} = {n};",
        "settings": "VAR_{n}=value_{n}",
        "log of requests": "[INFO] 2024-01-01 00:{minute:02}:{second:02} request {n} ok",
    }
    for name, form in forms.items():
        lines = (
            form.format(n=n, three=3 * n, minute=n // 60 % 60, second=n % 60) for n in range(1, count + 1)
        )
        yield name, "\n".join(lines)
    yield "JSON of test items", json.dumps([{"id": n, "name": f"item {n}"} for n in range(count)])


def _matrix(random: Random) -> str:
    axes = (
        ("ubuntu-24.04", "windows-2025", "macos-15"),
        ("3.11", "3.12", "3.13", "3.14"),
        ("sqlite", "postgres"),
        ("aiohttp", "direct"),
        ("x86_64", "aarch64"),
    )
    chosen = list(itertools.product(*axes))[: random.randint(60, 96)]
    return "\n".join(
        f"- os: {o}\n  python: {p}\n  store: {s}\n  http: {h}\n  arch: {a}" for o, p, s, h, a in chosen
    )


def _features(random: Random) -> str:
    names = ("single sign-on", "audit log", "export", "webhooks", "quotas", "sandbox", "backups", "search")
    head = "| Feature | Basic | Team | Business | Enterprise |\n|---|:-:|:-:|:-:|:-:|\n"
    return head + "\n".join(
        f"| {random.choice(names)} {n} | "
        + " | ".join(random.choice(("✓", "✗", "-")) for _ in range(4))
        + " |"
        for n in range(1, 110)
    )


def _timetable(random: Random) -> str:
    lines, minute = [], 300
    while minute < 1400:
        stops = [f"{(minute + add) // 60 % 24:02}:{(minute + add) % 60:02}" for add in (0, 7, 15, 26, 41)]
        lines.append(f"{random.choice(('RE', 'S', 'IC'))}{random.randint(1, 90):<4} " + "  ".join(stops))
        minute += random.choice((5, 10, 12, 20))
    return "\n".join(lines)


def _box(random: Random) -> str:
    line = "+" + "-" * 14 + "+" + "-" * 16 + "+" + "-" * 10 + "+"
    body = []
    for _ in range(60):
        body += [
            f"| {random.choice(_NAMES):<12} | {random.choice(PLACES):<14} | {random.randint(1, 9999):>8} |",
            line,
        ]
    return "\n".join([line, *body])


def _product(number: int, random: Random) -> dict[str, object]:
    return {
        "id": number,
        "sku": f"SKU-{number:05}",
        "name": f"{random.choice(_NAMES)} {random.choice(('lamp', 'chair', 'desk', 'shelf'))}",
        "price": {"amount": f"{random.randint(100, 99999) / 100:.2f}", "currency": "EUR"},
        "stock": random.randint(0, 400),
        "attributes": {
            "colour": random.choice(("red", "green", "black")),
            "weight_g": random.randint(100, 9000),
        },
    }


def _access_log(random: Random, count: int) -> str:
    lines = []
    for n in range(count):
        host = f"10.0.{random.randint(0, 9)}.{random.randint(1, 254)}"
        path = random.choice(("", "health", "v1/models", "static/app.js"))
        status, size = random.choice((200, 200, 304, 404)), random.randint(90, 9000)
        lines.append(
            f"{host} - - [24/Nov/2026:10:{n // 60 % 60:02}:{n % 60:02} +0000] "
            f'"GET /{path} HTTP/1.1" {status} {size}'
        )
    return "\n".join(lines)


def _service_log(random: Random, count: int) -> str:
    verbs = ("processed batch", "retried batch", "queued batch")
    return "\n".join(
        f"2026-11-24 10:{n // 60 % 60:02}:{n % 60:02},{random.randint(0, 999):03} INFO "
        f"worker-{random.randint(1, 4)} {random.choice(verbs)} {1000 + n} in {random.randint(3, 900)} ms"
        for n in range(count)
    )


def _boards(random: Random) -> str:
    boards = []
    for n in range(25):
        cells = [[random.choice(".......#O") for _ in range(16)] for _ in range(8)]
        boards.append(f"Move {n + 1}\n" + "\n".join(" ".join(row) for row in cells))
    return "\n\n".join(boards)
