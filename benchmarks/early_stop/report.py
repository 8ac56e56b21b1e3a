"""What was measured, as JSON and as a table."""

from collections.abc import Iterator
from typing import Any

from benchmarks.early_stop.figures import Quantile, Share
from benchmarks.early_stop.measure import ALL_KINDS, HALVES, HORIZONS, Measured

MAX_NAMED = 20
PARTS = ("recorded streams", "recorded plain replies", "model outputs", "our own long texts")


def as_json(measured: Measured) -> dict[str, Any]:
    """Every figure, with its interval."""
    kept, ended, asked = measured.kept, measured.ended, measured.asked
    return {
        "false_stops": {part: {half: kept.share(part, half).as_json() for half in HALVES} for part in PARTS},
        "falsely_stopped": kept.stopped,
        "replies_without_text": kept.unread,
        "degenerate": {
            kind or "all": {
                half: {
                    "stopped": ended.share(half, kind).as_json(),
                    "tokens_after_known_median": _as_json(ended.tokens_after(half, 0.5, kind)),
                    "tokens_after_known_p90": _as_json(ended.tokens_after(half, 0.9, kind)),
                }
                for half in HALVES
            }
            for kind in ALL_KINDS
        },
        "stopped_within_tokens": {
            horizon: {half: ended.within(half, horizon).as_json() for half in HALVES} for horizon in HORIZONS
        },
        "stopped_before_the_loop": {half: ended.early[half] for half in HALVES},
        "rules": dict(ended.rules),
        "missed": ended.missed,
        "local_model": {
            "skipped": asked.why_not,
            "answers": asked.answers,
            "degenerate_stopped": Share(asked.stopped, asked.degenerate).as_json(),
            "tokens_after_known": sorted(asked.after),
            "missed": asked.missed,
            "others_stopped": asked.others_stopped,
        },
        "cost": {**measured.cost._asdict(), "ratio": measured.cost.ratio},
    }


def _as_json(found: Quantile | None) -> dict[str, int] | None:
    return None if found is None else found._asdict()


def table(measured: Measured) -> str:
    """The same, to read."""
    return "\n".join(_lines(measured)) + "\n"


def _lines(measured: Measured) -> Iterator[str]:
    kept, ended, asked, cost = measured.kept, measured.ended, measured.asked, measured.cost
    yield "| false stops | development | held out |"
    yield "|---|---|---|"
    for part in PARTS:
        yield f"| {part} | " + " | ".join(kept.share(part, half).text() for half in HALVES) + " |"
    yield from (f"- stopped: {name}" for name in kept.stopped[:MAX_NAMED])
    yield f"\n{kept.unread} recorded replies hold no text that can be read.\n"
    yield "| degenerate, by script: stopped | development | held out |"
    yield "|---|---|---|"
    for kind in ALL_KINDS:
        yield f"| {kind or 'all'} | " + " | ".join(ended.share(half, kind).text() for half in HALVES) + " |"
        for name, share in (("median", 0.5), ("p90", 0.9)):
            found = [ended.tokens_after(half, share, kind) for half in HALVES]
            yield (
                f"| - tokens after it could be known, {name} | "
                + " | ".join("-" if one is None else one.text() for one in found)
                + " |"
            )
    for horizon in HORIZONS:
        within = " | ".join(ended.within(half, horizon).text() for half in HALVES)
        yield f"| all, within {horizon:,} tokens of the loop | {within} |"
    yield f"| stopped before the loop began | {' | '.join(str(ended.early[half]) for half in HALVES)} |\n"
    if asked.why_not:
        yield f"SKIPPED the local model: {asked.why_not}"
    else:
        yield (
            f"Local model at temperature 0: {asked.answers} answers, {asked.degenerate} of them go round; "
            f"stopped {Share(asked.stopped, asked.degenerate).text()}."
        )
        after = sorted(asked.after)
        if after:
            middle = after[len(after) // 2]
            yield f"Tokens after it could be known (estimated): median {middle}, most {after[-1]}."
        yield from (f"- not stopped: {prompt}" for prompt in asked.missed)
        yield from (f"- stopped, though not judged to go round: {name}" for name in asked.others_stopped)
    yield (
        f"\nCPU per token-sized piece: {cost.watched_us:.2f} us, {cost.ratio:.0f} times a plain loop "
        f"({cost.plain_us:.3f} us), over {cost.pieces:,} pieces; memory of one watch at most "
        f"{cost.memory_bytes / 1000:.0f} kB."
    )
