"""The three roundings of a right shift, by name.  [SPEC R-1 ... R-3]"""

from enum import Enum


class Rounding(Enum):
    """How a right shift treats what it drops."""

    TIES_UP = "ties_up"  # -1.5 -> -1, -0.5 -> 0, 0.5 -> 1
    TIES_AWAY = "ties_away"  # -0.5 -> -1, 0.5 -> 1
    TIES_EVEN = "ties_even"  # 0.5 -> 0, 1.5 -> 2
