"""Cases that begin with level 2: what they find and meet, other cases of level 1 find and meet too.  Data only."""

from __future__ import annotations

SECOND = frozenset(
    """
    pot-hidden-even-left-16-16-inside mshift-candidate-unequal-int16-inside pot-gate-away-piecewise-quadratic-16
    pot-candidate-away-piecewise-quadratic-16 pot-candidate-even-piecewise-quadratic-16
    pot-candidate-away-piecewise-quadratic pot-candidate-even-piecewise-quadratic mshift-gate-unequal-int16-inside
    pot-candidate-even-left-16-16-inside pot-reset-path-away-left-16-16-inside pot-reset-path-even-left-16-16-inside
    pot-reset-path-away-coarse-8-8-inside pot-reset-path-away-equal-8-8-inside piecewise-quadratic-tanh-int16-inside
    piecewise-quadratic-sigmoid-int16-inside piecewise-quadratic-sigmoid-int16-low mshift-hidden-large-above
    mshift-hidden-large-below piecewise-linear-sigmoid-int16-inside piecewise-linear-sigmoid-int16-low
    piecewise-linear-tanh-int16-inside quantize-reciprocal-int16-below direct-sigmoid-uint16-5 direct-sigmoid-uint16-m20
    sequence-mshift-training cell-mshift-16-inside cell-mshift-8-below sequence-dynamic-mask
    zoneout-blend-int16-k16384-high zoneout-blend-int16-k16384-above
    """.split()
)


def level_of(id: str, level: int) -> int:
    """The level of a case that its plan gives this one."""
    return max(level, 2) if id in SECOND else level
