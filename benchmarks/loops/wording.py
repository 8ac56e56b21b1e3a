"""Words for made runs: what an agent says, how it spells a call, and what changes in a result by itself."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

SAID = (
    "Let me try that {again}.",
    "I will run it {again} to be sure.",
    "Checking {again}.",
    "One more attempt {again}.",
    "That did not help; I look at it {again}.",
    "Now I do this {again}, with care.",
    "",
    "Hmm. {again}?",
    "The last answer was not clear, so {again}.",
    "Let us see what happens {again}.",
)
AGAIN = ("again", "once more", "another time", "a further time", "anew", "with fresh eyes")

FAILURES = (
    "Error: the file {thing} could not be opened",
    "cannot open {thing}: no such file or directory",
    "{thing} was not found",
    "Failed to read {thing}",
    "The path {thing} does not exist",
    "open() failed for {thing}",
    "Unable to locate {thing}",
    "FileNotFoundError: {thing}",
    "missing file {thing}",
)
THINGS = (
    "config/main.toml",
    "report.csv",
    "orders table",
    "src/app.py",
    "invoice archive",
    "user profile",
    "the index",
)
FACTS = (
    "The service has three modules, of which two are loaded at start.",
    "Total of the quarter: 18,240 EUR, of which 4,120 EUR are open.",
    "Tables: customers, orders, order_items, payments",
    "def main():\n    load()\n    run()\n    close()",
    "The contract ends with the month in which notice is given.",
    "No results matched the query.",
    "Traceback (most recent call last): ValueError: unknown column",
    "permission denied for schema billing",
    '{"items": [], "total": 0}',
    "Build failed: undefined reference to `connect`",
    "The page lists the opening hours of five branches and their addresses.",
)
ASKS = (
    "find {what}",
    "search for {what}",
    "{what} please",
    "look up {what}",
    "where is {what}",
    "show me {what}",
    "{what} overview",
    "details on {what}",
    "anything about {what}",
    "list of {what}",
    "latest {what}",
    "{what} documentation",
    "information about {what}",
    "what do we know of {what}",
    "{what} summary",
)
WHATS = ("open invoices", "the billing schema", "customer complaints", "release notes", "delivery times")

WORDS_TO_USER = (
    "I am going to check the {thing} and then report what I found to you.",
    "Next I check the {thing}, and report to you what I found.",
    "Let me check the {thing} now; then I report what I found.",
    "I will now check the {thing} and report back what I found.",
    "First I have to check the {thing}. Then I will report what I found.",
    "Now I check the {thing} and will report to you what I found there.",
)
NUDGES = ("Continue.", "Go on.", "Please continue.", "ok", "Yes, go ahead.", "Carry on")


def said(chance: Random) -> str:
    """What an agent says beside a call; it differs from call to call."""
    return chance.choice(SAID).format(again=chance.choice(AGAIN))


def spelled(chance: Random, arguments: dict[str, Any]) -> str:
    """Arguments as JSON, in one of the ways a model writes them: order of keys, white space."""
    items = list(arguments.items())
    chance.shuffle(items)
    separators = chance.choice(((",", ":"), (", ", ": "), (" , ", " : ")))
    return json.dumps(dict(items), separators=separators, indent=chance.choice((None, None, 1)))


def _clock(chance: Random) -> str:
    return f"{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"


def _hexadecimal(chance: Random, digits: int) -> str:
    return f"{chance.getrandbits(4 * digits):0{digits}x}"


CHANGES: dict[str, Callable[[Random, int, str], str]] = {
    "nothing": lambda _, __, text: text,
    "a time": lambda r, _, text: f"2026-11-{r.randrange(10, 29)} {_clock(r)} {text}",
    "a time stamp": lambda r, _, text: (
        f'{{"at": "2026-11-24T{_clock(r)}.{r.randrange(999):03}Z", "text": {json.dumps(text)}}}'
    ),
    "a duration": lambda r, _, text: f"{text}\n(took {r.randrange(10, 9000)} ms)",
    "seconds": lambda r, _, text: f"{text} [{r.random() * 9:.2f}s]",
    "a counter": lambda _, n, text: f"Attempt {n + 1}: {text}",
    "a counter in JSON": lambda _, n, text: json.dumps({"result": text, "retry_count": n, "request": n + 17}),
    "a line number": lambda _, n, text: f"line {120 + 3 * n}: {text}",
    "a place": lambda _, n, text: f"src/app.py:{40 + n}:{n + 1}: {text}",
    "an id": lambda r, _, text: f"{text} (request id {_hexadecimal(r, 16)})",
    "a UUID": lambda r, _, text: (
        "-".join((_hexadecimal(r, 8), "4a2b", "8c3d", "9e4f", _hexadecimal(r, 12))) + f" {text}"
    ),
    "a temporary path": lambda r, _, text: f"/tmp/run{_hexadecimal(r, 6)}/out.log: {text}",
    "an address": lambda r, _, text: f"{text} at 0x{_hexadecimal(r, 12)}",
    "a process": lambda r, _, text: f"{text}\n[pid {r.randrange(300, 32000)}] exit",
}
"""What may change in a result by itself, by the kind of change: (chance, number of the repeat, text)."""
