"""Whether a deployment runs where a policy wants it. What nobody promised does not count."""

from tidegate.model.provider import Residency


def satisfies(residency: Residency, jurisdiction: str, wanted: str) -> bool:
    """Tell whether inference is promised to stay in `wanted` (`eu`, ...); the empty wish is always met.

    `selectable` counts only with the jurisdiction of a region that was in fact selected; `unknown` and
    `none` never do (providers.md, section 4).
    """
    if not wanted:
        return True
    return residency in {"contractual", "selectable"} and jurisdiction == wanted
