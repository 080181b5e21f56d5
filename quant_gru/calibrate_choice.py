"""What a calibration says about one operator: a range, a raw scale, and how the scale becomes a power of two.  [SPEC E-4]"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from golden.ranges import exponent_minmax, exponent_sqnr, pot_zero_point
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat

Widths = Mapping[str, tuple[int, bool]]
"""operator -> (bits, whether it is symmetric): how wide each operator of golden.spec.layout.OPERATORS is."""


@dataclass(frozen=True)
class Choice:
    """The range chosen for an operator in a format.

    low, high   reals, low <= 0 <= high: what the codes cover
    scale       raw scale, binary64
    nearest     whether the power of two is the nearest one (SQNR) or the next greater one (MinMax)
    """

    low: float
    high: float
    scale: float
    nearest: bool = False

    def power_of_two(self, name: str, fmt: IntFormat, is_symmetric: bool) -> tuple[int, int]:
        """(exponent, zero point) of the operator; a refusal names it.  [SPEC E-4]"""
        try:
            exponent = (exponent_sqnr if self.nearest else exponent_minmax)(self.scale)
        except ParameterError as refused:
            raise ParameterError(f"{name} {refused.field}", refused.found, refused.expected) from None
        return exponent, 0 if is_symmetric else pot_zero_point(self.low, exponent, fmt)


class Calibration(Protocol):
    """What the builders of quant_gru.build read; quant_gru.calibrate.Ranges and quant_gru.observers.Observers have it."""

    def choose(self, operator: str, fmt: IntFormat, is_symmetric: bool, *, power_of_two: bool = True) -> Choice:
        """The range of an operator in a format; power_of_two says that the scale becomes one."""

    def channel_exponents(self, operator: str, values: np.ndarray, fmt: IntFormat) -> np.ndarray:
        """int32 [M]: the exponents of a weight [K,M] or bias [M], one for each channel."""


def minmax_choice(low: float, high: float, fmt: IntFormat, is_symmetric: bool) -> Choice:
    """The choice that never clips a value in [low, high].  [SPEC E-4]"""
    low, high = min(low, 0.0), max(high, 0.0)
    if is_symmetric:
        return Choice(low, high, max(-low, high) / fmt.qmax)
    return Choice(low, high, (high - low) / (fmt.qmax - fmt.qmin))


def minmax_exponents(name: str, values: np.ndarray, fmt: IntFormat) -> np.ndarray:
    """int32 [M]: the greatest exponents that clip no value of a channel of values [K,M] or [M].  [SPEC E-4]"""
    amax = np.abs(np.atleast_2d(values).astype(np.float64)).max(axis=0)
    choices = (Choice(-float(a), float(a), float(a) / fmt.qmax) for a in amax)
    return np.array([choice.power_of_two(name, fmt, True)[0] for choice in choices], np.int32)
