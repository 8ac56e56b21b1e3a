"""The figures of the recorded runs, as values and as text."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.loops.money import Prices, saved
from benchmarks.loops.replay import Outcome
from benchmarks.loops.shares import Share
from benchmarks.loops.trials import Trial

NANO = 1_000_000_000
FIRST_REPEAT = {"alternating": 2}
"""Calls after a loop's first one when its first repeat is done, by kind; one for all others."""


def recorded(outcomes: Sequence[Outcome], prices: Prices) -> dict[str, Any]:
    """Return what the rules did to recorded runs."""
    clean = [one for one in outcomes if one.labelled.label == "clean"]
    loops = [one for one in outcomes if one.labelled.label == "loop"]
    borderline = [one for one in outcomes if one.labelled.label == "borderline"]
    stopped = [one for one in loops if one.enforce is not None]
    after = [(one, one.enforce.call - one.labelled.from_call) for one in stopped if one.enforce]
    known = [calls - FIRST_REPEAT.get(one.labelled.kind, 1) for one, calls in after]
    kinds = sorted({one.labelled.kind for one in loops})
    return {
        "runs": len(outcomes),
        "requests": sum(len(one.requests) for one in outcomes),
        "clean_noticed": Share(sum(one.notice is not None for one in clean), len(clean)).as_json(),
        "clean_stopped": Share(sum(one.enforce is not None for one in clean), len(clean)).as_json(),
        "loops_noticed": Share(sum(one.notice is not None for one in loops), len(loops)).as_json(),
        "loops_stopped": Share(len(stopped), len(loops)).as_json(),
        "loops_stopped_by_kind": {
            kind: Share(
                sum(one.labelled.kind == kind for one in stopped),
                sum(one.labelled.kind == kind for one in loops),
            ).as_json()
            for kind in kinds
        },
        "stopped_at_the_last_result": sum(not one.enforce.is_shown for one in stopped if one.enforce),
        "borderline_noticed": Share(
            sum(one.notice is not None for one in borderline), len(borderline)
        ).as_json(),
        "borderline_stopped": Share(
            sum(one.enforce is not None for one in borderline), len(borderline)
        ).as_json(),
        "median_calls_after_first_of_loop": median([calls for _, calls in after]) if after else None,
        "median_calls_after_first_repeat": median(known) if known else None,
        "rules": dict(Counter(one.enforce.trips[0].rule for one in stopped if one.enforce)),
        "missed": [one.labelled.run.id for one in loops if one.enforce is None],
        "clean_tripped": {
            one.labelled.run.id: f"{one.notice.trips[0].rule} at call {one.notice.call}"
            for one in clean
            if one.notice
        },
        "money": _money(loops, prices),
    }


def _money(loops: Sequence[Outcome], prices: Prices) -> dict[str, Any]:
    found: dict[str, Any] = {"model": f"{prices.provider}/{prices.model}", "usd_per_eur": prices.fx.rate}
    for name, cached in (("uncached", False), ("prefix_from_cache", True)):
        pairs = [saved(one, prices, cached=cached) for one in loops]
        after, total = sum(one for one, _ in pairs), sum(one for _, one in pairs)
        found[name] = {
            "saved_eur": after / NANO,
            "of_eur": total / NANO,
            "saved_share": after / total if total else None,
        }
    return found


def recorded_text(name: str, figures: dict[str, Any]) -> str:
    """Return one block of figures, to read."""
    rows = [
        ("clean runs with a notice", _share(figures["clean_noticed"]), "at most 1%"),
        ("clean runs stopped when enforcing", _share(figures["clean_stopped"]), "at most 1%"),
        ("loops with a notice", _share(figures["loops_noticed"]), ""),
        ("loops stopped when enforcing", _share(figures["loops_stopped"]), "at least 90%"),
        *((f"- {kind}", _share(share), "") for kind, share in figures["loops_stopped_by_kind"].items()),
        ("- at the run's last result", str(figures["stopped_at_the_last_result"]), ""),
        (
            "median calls from the loop's first to the stop",
            str(figures["median_calls_after_first_of_loop"]),
            "",
        ),
        (
            "median calls from the first repeat to the stop",
            str(figures["median_calls_after_first_repeat"]),
            "at most 3",
        ),
        ("borderline runs with a notice", _share(figures["borderline_noticed"]), ""),
        ("borderline runs stopped when enforcing", _share(figures["borderline_stopped"]), ""),
    ]
    lines = [f"{name}: {figures['runs']} runs, {figures['requests']} requests"]
    lines += [f"  {label:48}{value:46}{goal}".rstrip() for label, value, goal in rows]
    money = figures["money"]
    for way, words in (
        ("uncached", "no cache of the provider"),
        ("prefix_from_cache", "prefixes from its cache"),
    ):
        part = money[way]
        if part["of_eur"]:
            lines.append(
                f"  saved in the loops, {money['model']}, {words}: {part['saved_eur']:.2f} of "
                f"{part['of_eur']:.2f} EUR ({100 * part['saved_share']:.0f}%)"
            )
    lines += [f"  missed: {', '.join(figures['missed']) or 'none'}"]
    lines += [f"  clean but tripped: {run}, {why}" for run, why in figures["clean_tripped"].items()]
    return "\n".join(lines)


def trials(found: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return trials as values; the last row is all of them."""
    rows = [*found, total(found)]
    return [
        {
            "kind": one.kind,
            "dialect": one.surface,
            "notice": one.notice.as_json(),
            "enforce": one.enforce.as_json(),
        }
        for one in rows
    ]


def total(found: Sequence[Trial]) -> Trial:
    """Return the sum of trials."""
    return Trial(
        "all",
        "all",
        Share(sum(one.notice.hits for one in found), sum(one.notice.of for one in found)),
        Share(sum(one.enforce.hits for one in found), sum(one.enforce.of for one in found)),
    )


def trials_text(title: str, found: Sequence[Trial]) -> str:
    """Return trials by kind, all dialects together, to read."""
    kinds = dict.fromkeys(one.kind for one in found)
    lines = [title, f"  {'':34}{'notice':46}{'enforce'}"]
    for kind in (*kinds, "all"):
        one = total([trial for trial in found if kind in ("all", trial.kind)])
        lines.append(f"  {kind:34}{one.notice!s:46}{one.enforce!s}")
    return "\n".join(lines)


def cost_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return what watching costs, to read."""
    lines = [
        "cost in us of CPU at 200 tool calls (budget 500 for the next request of a run)",
        "  result  loops      body  reading it  next request   of reading  run not remembered",
    ]
    lines += [
        f"  {row['result_bytes']:4} B  {'yes' if row['loops'] else 'no':5}{row['body_bytes'] // 1000:6} kB"
        f"{row['read_body_us']:12}{row['next_us']:14}{row['next_of_reading']:13.2f}{row['first_us']:20}"
        for row in rows
    ]
    return "\n".join(lines)


def _share(found: dict[str, Any]) -> str:
    return str(Share(found["hits"], found["of"]))
