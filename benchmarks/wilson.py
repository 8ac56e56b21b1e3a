"""How sure a share is: Wilson's interval (E. B. Wilson, 1927), at 95%."""

from math import sqrt

Z = 1.959964
"""The normal quantile of a two-sided 95% interval."""


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the interval of `hits` among `of`; all of 0 to 1 where nothing was counted."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)
