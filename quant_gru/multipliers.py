"""The twelve MShifts of a static set: one shift for all, but for a factor that would leave its multiplier or vanish in it."""

from __future__ import annotations

from golden.rescale import derive_mshifts
from golden.spec.layout import BIAS_MULTIPLIERS
from golden.spec.params import INT32_MAX, MAX_RRH_MULTIPLIER, MShift

SHIFT, SHIFT_BIAS = 18, 24
LEAST = 64  # a smaller multiplier is off by up to a half in itself: 0.8 % and more
ENOUGH = 2**15  # what M-6 has


def fitted_mshifts(*scales: float, shift: int | None = None, shift_bias: int | None = None) -> dict[str, MShift]:
    """The MShifts of datapath M from its scales, every one fit to hold its factor.  [SPEC M-1, M-2]

    scales             as golden.rescale.derive_mshifts has them
    shift, shift_bias  s of all multipliers, and of those of the biases; one that is given holds without exception. None is
                       18 and 24, and where a multiplier would then be below 64, the least greater shift at which it has 16
                       bits, at most 31; where it would be too large, the greatest at which it is not
    Returns            name -> MShift for every name of golden.spec.layout.MULTIPLIERS
    Raises             ParameterError naming a multiplier that is too large at every shift, or at the one that was given
    """
    free = {True: shift_bias is None, False: shift is None}
    s, s_bias = SHIFT if shift is None else shift, SHIFT_BIAS if shift_bias is None else shift_bias
    known: dict[int, dict[str, MShift]] = {}

    def at(name: str, s: int) -> MShift:
        if s not in known:
            known[s] = derive_mshifts(*scales, shift=s, shift_bias=s, saturating=True)
        return known[s][name]

    found = derive_mshifts(*scales, shift=s, shift_bias=s_bias, saturating=True)
    for name, m in found.items():
        limit = MAX_RRH_MULTIPLIER if name == "m_rRh" else INT32_MAX
        if free[name in BIAS_MULTIPLIERS]:
            while m.multiplier >= limit and m.shift > 0:
                m = at(name, m.shift - 1)
            if m.multiplier < LEAST:
                while m.multiplier < ENOUGH and m.shift < 31:
                    m = at(name, m.shift + 1)
        if m.multiplier >= limit:  # refused, by its name, unless it is the limit itself
            is_bias = name in BIAS_MULTIPLIERS
            m = derive_mshifts(*scales, shift=0 if is_bias else m.shift, shift_bias=m.shift if is_bias else 0)[name]
        found[name] = m
    return found
