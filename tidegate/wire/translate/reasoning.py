"""How much thinking is asked for, in words and in tokens.

OpenAI asks in words (`reasoning_effort`). Anthropic's newer models are asked in words too, by
`output_config.effort` beside `thinking: adaptive`; the older ones in tokens (`budget_tokens`, at least 1,024
and below `max_tokens`). Between words and tokens a word stands for a share of the output limit, which both
dialects count thinking into. No provider publishes such a table, so the shares are ours.
"""

from tidegate.model.message import Effort

LEAST_BUDGET = 1024

SHARES: tuple[tuple[Effort, int], ...] = (
    ("minimal", 10),
    ("low", 20),
    ("medium", 50),
    ("high", 80),
    ("xhigh", 90),
    ("max", 95),
)
"""Per cent of the output limit that may be thinking."""

RANKS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
ANTHROPIC_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})


def budget_of(effort: Effort, max_output: int) -> int | None:
    """Return the tokens that an effort stands for; None where the limit leaves no room to think."""
    if max_output <= LEAST_BUDGET:
        return None
    share = dict(SHARES)[effort]
    return max(LEAST_BUDGET, max_output * share // 100)


def effort_of(budget_tokens: int, max_output: int) -> Effort:
    """Return the effort whose share of the output limit is nearest to a budget."""
    part = 100 * budget_tokens / max(max_output, 1)
    return min(SHARES, key=lambda share: abs(share[1] - part))[0]


def nearest(effort: Effort, taken: tuple[Effort, ...]) -> Effort | None:
    """Return the effort itself where it is taken, else the next lower, else the lowest; None when none is.

    `none` has no neighbour: a model that cannot stop thinking is not asked to think a little.
    """
    if effort in taken:
        return effort
    ranked = sorted((word for word in taken if word != "none"), key=RANKS.index)
    if effort == "none" or not ranked:
        return None
    lower = [word for word in ranked if RANKS.index(word) < RANKS.index(effort)]
    return lower[-1] if lower else ranked[0]
