"""Long code, markup, minified and encoded text, and drawings that must not be stopped."""

import base64
import json
import math
import zlib
from collections.abc import Iterator
from random import Random

from benchmarks.early_stop.corpus import words

_NOUNS = words(
    "account address amount balance batch branch budget cache client clock country currency customer "
    "deadline delivery discount email factor fee group holder invoice item key label ledger limit "
    "margin method note offer "
    "order owner parcel partner payment period phone price profile quota rate reason receipt region"
)


def code(random: Random) -> Iterator[tuple[str, str]]:
    """Named texts of code and its kin."""
    nouns = random.sample(_NOUNS, 40)
    yield "getters and setters", "public class Order {\n" + "\n".join(map(_accessors, nouns)) + "\n}"
    yield (
        "cases of a switch",
        "\n".join(f'        case {n}: return "{_word(random)}";' for n in range(random.randint(90, 300))),
    )
    yield (
        "tests in a row",
        "\n".join(map(_test, range(random.randint(30, 70)), (random.randint(1, 999) for _ in range(99)))),
    )
    yield (
        "inserts",
        "\n".join(
            f"INSERT INTO users (id, name, city) VALUES ({n}, 'user{n}', '{_word(random)}');"
            for n in range(1, 160)
        ),
    )
    yield (
        "utility classes",
        "\n".join(
            f".{kind}-{n} {{ {prop}: {n * 0.25}rem; }}"
            for kind, prop in (("m", "margin"), ("p", "padding"), ("g", "gap"), ("w", "width"))
            for n in range(33)
        ),
    )
    yield "five environments", "\n---\n".join(map(_deployment, ("dev", "test", "staging", "canary", "prod")))
    yield "assignments", "\n".join(f"    self._{noun} = {noun}" for noun in random.sample(_NOUNS, 42) * 2)
    yield "properties", "\n\n".join(map(_property, nouns))
    yield (
        "translations",
        json.dumps(
            {
                f"screen.{noun}.{part}": f"{part} of {noun}"
                for noun in nouns
                for part in ("title", "hint", "error")
            },
            indent=2,
        ),
    )
    yield (
        "options",
        "<select>\n"
        + "\n".join(
            f'  <option value="{_word(random)[:2]}">{_word(random).title()}</option>' for _ in range(195)
        ),
    )
    yield (
        "table of checksums",
        "\n".join(
            ", ".join(f"0x{zlib.crc32(bytes([row, column])):08x}" for column in range(4)) + ","
            for row in range(64)
        ),
    )
    yield "assembly", "\n".join(_instruction(random) for _ in range(240))
    yield "a file, then the file mended", _mended(random)
    yield (
        "minified script",
        "".join(
            f"function {_short(n)}(a,b){{return a{random.choice('+-*|&')}b.{_word(random)}({n * 7 % 99})}}"
            for n in range(180)
        ),
    )
    yield (
        "minified JSON",
        json.dumps(
            [{"i": n, "v": random.randint(0, 9999), "k": _word(random)} for n in range(300)],
            separators=(",", ":"),
        ),
    )
    yield "base64 of noise", base64.b64encode(random.randbytes(14_000)).decode()
    yield (
        "base64 of a small bitmap",
        base64.b64encode(b"BM" + bytes(random.choice((0, 0, 255, 17)) for _ in range(6_000))).decode(),
    )
    yield (
        "base64 with empty stretches",
        base64.b64encode(b"".join(random.randbytes(40) + bytes(700) for _ in range(8))).decode(),
    )
    yield "hex dump", "\n".join(f"{at:08x}  {random.randbytes(16).hex(' ')}" for at in range(0, 3200, 16))
    yield (
        "path of a drawing",
        '<path d="M0 0 '
        + " ".join(f"L{random.uniform(0, 500):.2f} {random.uniform(0, 500):.2f}" for _ in range(700))
        + '"/>',
    )
    yield (
        "squares of a drawing",
        "\n".join(
            f'<rect x="{x}" y="{y}" width="1" height="1" fill="#{random.randint(0, 0xFFFFFF):06x}"/>'
            for y in range(14)
            for x in range(14)
        ),
    )
    yield "sine in characters", "\n".join(" " * int(38 + 36 * math.sin(n / 6)) + "*" for n in range(150))
    yield "maze", "\n".join("#" + "".join(random.choice("# .  ") for _ in range(70)) + "#" for _ in range(60))
    yield (
        "tree of files",
        "\n".join(
            f"{'│   ' * random.randint(0, 3)}├── {_word(random)}_{random.choice(_NOUNS)}.py"
            for _ in range(160)
        ),
    )
    yield (
        "bars",
        "\n".join(
            f"{noun:<12} {'█' * random.randint(2, 60)} {random.randint(2, 99)}%" for noun in nouns + _NOUNS
        ),
    )
    yield (
        "diff",
        "\n".join(
            f"-    {noun} = old.{noun}\n+    {noun} = new.{noun}({random.randint(1, 9)})" for noun in nouns
        ),
    )
    yield "genome", "\n".join("".join(random.choice("ACGT") for _ in range(60)) for _ in range(120))
    yield (
        "shopping with ticks",
        "\n".join(f"- [{random.choice(' x')}] {random.choice(_NOUNS)} {_word(random)}" for _ in range(150)),
    )


def _word(random: Random) -> str:
    return "".join(
        random.choice("bdfgklmnprst") + random.choice("aeiou") for _ in range(random.randint(2, 4))
    )


def _instruction(random: Random) -> str:
    verb, target = (
        random.choice(("mov", "add", "sub", "xor", "cmp")),
        random.choice(("rax", "rbx", "rcx", "rdx")),
    )
    return f"    {verb} {target}, {random.choice(('rax', 'rsi', '[rsp+8]', '1', '0x10'))}"


def _short(number: int) -> str:
    return chr(97 + number % 26) + (str(number // 26) if number > 25 else "")


def _accessors(noun: str) -> str:
    name = noun.title()
    return (
        f"    public String get{name}() {{\n        return {noun};\n    }}\n\n"
        f"    public void set{name}(String {noun}) {{\n        this.{noun} = {noun};\n    }}\n"
    )


def _property(noun: str) -> str:
    return (
        f"    @property\n    def {noun}(self) -> str:\n"
        f'        """Return the {noun}."""\n        return self._{noun}'
    )


def _test(number: int, value: int) -> str:
    return (
        f"def test_rounding_{number}():\n    result = rounded({value}.{number})\n"
        f"    assert result is not None\n    assert result == {value}\n\n"
    )


def _deployment(environment: str) -> str:
    return f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: billing-{environment}
  namespace: {environment}
spec:
  replicas: {len(environment)}
  selector:
    matchLabels:
      app: billing
  template:
    metadata:
      labels:
        app: billing
        environment: {environment}
    spec:
      containers:
        - name: billing
          image: registry.example.com/billing:{environment}
          ports:
            - containerPort: 8080
          env:
            - name: LOG_LEVEL
              value: info
            - name: DATABASE_HOST
              value: db.{environment}.example.com
          resources:
            limits:
              cpu: "1"
              memory: 512Mi
          readinessProbe:
            httpGet:
              path: /ready
              port: 8080
"""


def _mended(random: Random) -> str:
    lines = [
        f"def {random.choice(_NOUNS)}_{_word(random)}({_word(random)}: int) -> int:\n"
        f"    total = {random.randint(1, 99)}\n    for step in range({random.randint(2, 9)}):\n"
        f"        total += step * {random.randint(2, 90)}\n    return total\n"
        for _ in range(22)
    ]
    first = "\n".join(lines)
    lines[random.randrange(22)] = "def replaced() -> int:\n    return 0\n"
    return f"Here is the file:\n\n{first}\n\nAnd here it is again, with the fault mended:\n\n" + "\n".join(
        lines
    )
