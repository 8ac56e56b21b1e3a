"""`python -m benchmarks.guards --data DIR`: what the patterns find in real traffic, and what a scan costs.

Reads the exchanges in `traffic/*.jsonl.gz`, every string of a request and of a reply once. The cost is that
of a scan of prose out of the same exchanges, beside one search for a word (`word in text`).
"""

import gzip
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from tidegate.policy.grounding import given, ungrounded
from tidegate.policy.guard_patterns import KINDS, patterns
from tidegate.policy.guard_stop import stop_list
from tidegate.policy.guard_stream import StreamScanner, scan

KEY = b"benchmark"
SHORTEST = 8
PROSE_BYTES = 400_000
DELTA = 5
ROUNDS = 5


def strings(value: Any) -> Iterator[str]:
    """Every string within a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def texts(folder: Path) -> Iterator[str]:
    """The texts of all exchanges, each once; a reply that is no JSON as a whole."""
    met: set[int] = set()
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as opened:
            for line in opened:
                for text in _texts(json.loads(line)):
                    if len(text) >= SHORTEST and hash(text) not in met:
                        met.add(hash(text))
                        yield text


def _texts(exchange: Any) -> Iterator[str]:
    yield from strings(exchange["request"].get("body"))
    reply = exchange["reply"].get("body_text") or ""
    try:
        yield from strings(json.loads(reply))
    except json.JSONDecodeError:
        yield reply


def prose(all_texts: list[str]) -> str:
    """Texts that read as sentences, put together."""
    kept = [
        text for text in all_texts if text.count(" ") * 9 > len(text) and text.count(".") * 200 > len(text)
    ]
    return "\n".join(kept)[:PROSE_BYTES]


def us_per_kb(job: Callable[[], object], size: int) -> float:
    """The fastest of several rounds, in CPU time."""
    job()
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        job()
        times.append(time.process_time() - began)
    return min(times) * 1e6 / (size / 1000)


def costs(text: str) -> dict[str, float]:
    """What each guard costs, in microseconds a thousand characters; `search` is a plain one."""
    all_kinds, usual, stop = (
        patterns(KINDS),
        patterns(),
        stop_list(["acme corp", "project nightfall", "geheim"]),
    )
    known = given(text[:4_000])
    pieces = [text[at : at + DELTA] for at in range(0, len(text) // 8, DELTA)]

    def stream() -> None:
        scanner = StreamScanner(usual, digest_key=KEY, redacted=KINDS)
        for piece in pieces:
            scanner.feed(piece)

    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "search": (lambda: "project nightfall" in text, len(text)),
        "patterns": (lambda: scan(text, usual, digest_key=KEY), len(text)),
        "patterns with addresses of machines": (lambda: scan(text, all_kinds, digest_key=KEY), len(text)),
        "stop list of 3": (lambda: scan(text, stop, digest_key=KEY), len(text)),
        "reading a context": (lambda: given(text), len(text)),
        "grounding of an answer": (lambda: ungrounded(text[:4_000], known, digest_key=KEY), 4_000),
        f"patterns on a stream, {DELTA} characters a piece": (stream, len(text) // 8),
    }
    return {name: us_per_kb(job, size) for name, (job, size) in jobs.items()}


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=lambda: os.environ.get("TIDEGATE_DATA"),
    required=True,
    help="A folder with traffic/; by default TIDEGATE_DATA.",
)
@click.option("--samples", default=0, show_default=True, help="Print so many findings of each rule.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON alone.")
def main(*, data: Path, samples: int, as_json: bool) -> None:
    """Count the findings of each rule in real traffic, and measure what a scan costs."""
    all_texts = list(texts(data / "traffic"))
    if not all_texts:
        raise click.UsageError(f"{data} has no traffic/*.jsonl.gz")
    detect = patterns(KINDS)
    values: dict[str, Counter[str]] = {}
    for text in all_texts:
        for one in scan(text, detect, digest_key=KEY):
            values.setdefault(one.rule, Counter())[text[one.start : one.end]] += 1
    size = sum(map(len, all_texts))
    counts = {rule: {"all": found.total(), "different": len(found)} for rule, found in sorted(values.items())}
    spent = {name: round(cost, 2) for name, cost in costs(prose(all_texts)).items()}
    if as_json:
        figures = {
            "texts": len(all_texts),
            "characters": size,
            "findings": counts,
            "us_per_1000_characters": spent,
        }
        print(json.dumps(figures, indent=1))
        return
    print(f"{len(all_texts)} texts, {size} characters")
    for rule, count in counts.items():
        print(
            f"{rule}: {count['all']} findings, {count['different']} different",
            *list(values[rule])[:samples],
            sep="\n  ",
        )
    for name, cost in spent.items():
        print(
            f"{name}: {cost:.2f} us per 1,000 characters, {cost / spent['search']:.0f} times a plain search"
        )


if __name__ == "__main__":
    main()
