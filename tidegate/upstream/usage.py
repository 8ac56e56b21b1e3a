"""What a reply says it used: as counted, or as its script bends it."""

from decimal import Decimal
from typing import Any

from tidegate.upstream.answer import Answer
from tidegate.upstream.script import PLAIN, Price, Script
from tidegate.upstream.stats import Bill

ABSURD = 1_000_000_000_000
MILLION = 1_000_000


def told(counts: dict[str, Any], answer: Answer, script: Script) -> dict[str, Any]:
    """Return the usage to send: `counts` bent, with what it cost, and the script's own fields last."""
    if script is PLAIN:
        return counts
    counts = bent(counts, script)
    spent = cost(answer, script)
    if spent is not None:
        counts = {**counts, "cost": float(spent)}
    return {**counts, **script.usage}


def bent(counts: dict[str, Any], script: Script) -> dict[str, Any]:
    """Return counts as `usage_as` wants them."""
    match script.usage_as:
        case "bare":
            return {name: value for name, value in counts.items() if isinstance(value, int)}
        case "totals":
            kept = "total_tokens" if "total_tokens" in counts else "output_tokens"
            return {name: value for name, value in counts.items() if name == kept}
        case "negative":
            return _each(counts, -1, 0)
        case "absurd":
            return _each(counts, 1, ABSURD)
        case None:
            return counts


def cost(answer: Answer, script: Script) -> Decimal | None:
    """Return what the provider charges for a whole answer in its own currency; None where it says nothing."""
    if script.cost is not None:
        return script.cost
    if script.price is None:
        return None
    return _priced(_whole(answer), script.price)


def bill(answer: Answer, script: Script, *, began: bool, spoken: int, tokens: int) -> Bill:
    """Return what an answer is charged for: the input, and of the output what was generated.

    `spoken` of a stream's `tokens` were sent; a reply that is no stream has none. A provider that does not
    stop when its client leaves generates, and charges for, all of it.
    """
    if not began and script.disconnect == "stop":
        return Bill()
    billed = _whole(answer)
    if tokens and script.disconnect == "stop":
        billed.output = -(-answer.output * min(spoken, tokens) // tokens)
    if script.cost is not None:
        billed.cost = script.cost
    elif script.price is not None:
        billed.cost = _priced(billed, script.price)
    return billed


def _whole(answer: Answer) -> Bill:
    uncached = answer.input - answer.cache_read - answer.cache_write
    return Bill(uncached, answer.cache_read, answer.cache_write, answer.output)


def _priced(billed: Bill, price: Price) -> Decimal:
    read_rate = price.input if price.cache_read is None else price.cache_read
    write_rate = price.input if price.cache_write is None else price.cache_write
    total = billed.input * price.input + billed.output * price.output
    return (total + billed.cache_read * read_rate + billed.cache_write * write_rate) / MILLION


def _each(counts: dict[str, Any], sign: int, least: int) -> dict[str, Any]:
    """Return counts with each number above 0 changed, in the details too."""
    changed: dict[str, Any] = {}
    for name, value in counts.items():
        if isinstance(value, dict):
            changed[name] = _each(value, sign, least)
        else:
            changed[name] = max(value, least) * sign if isinstance(value, int) and value else value
    return changed
