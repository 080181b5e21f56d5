"""A field as a register: its ends, its widths, and the inputs that show them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from verification.widths.least import bits_each, bits_of, unsigned_bits_of
from verification.widths.search import Reached


@dataclass(eq=False)
class Register:
    """A field as a register.

    name, clause    of the layout
    ends            (least, greatest) attained in golden
    bound           (least, greatest) that nothing leaves
    order           (least, greatest) partial sum of a sum, in any order of its terms, or None
    channel_ends    int64 [2, channels] attained by corner inputs, channel by channel
    channel_bound   int64 [2, channels] proven
    witness         the input that reaches the end that needs the width
    other           the input at the other end
    seen            "h" when a bit less changes a code of the new state, else the furthest field that changes, "" for none
    shown           the input for which it does
    """

    name: str
    clause: str
    ends: tuple[int, int]
    bound: tuple[int, int]
    channel_ends: np.ndarray
    channel_bound: np.ndarray
    witness: Reached
    other: Reached
    order: tuple[int, int] | None = None
    seen: str = ""
    shown: Reached | None = field(default=None, repr=False)

    @property
    def bits(self) -> int:
        """The least width that holds what is attained."""
        return bits_of(*self.ends)

    @property
    def bound_bits(self) -> int:
        """A width that is proven enough."""
        return bits_of(*self.bound)

    @property
    def verdict(self) -> str:
        """"exact" where both ends of the bound are attained, "tight" where only the widths agree, else "open"."""
        if self.ends == self.bound:
            return "exact"
        return "tight" if self.bits == self.bound_bits else "open"

    @property
    def unsigned(self) -> int | None:
        """The width without a sign, where nothing is negative."""
        return unsigned_bits_of(*self.bound)

    @property
    def channel_bits(self) -> np.ndarray:
        """int64 [channels]: the width that is proven enough for each channel."""
        return bits_each(*self.channel_bound)

    @property
    def channels_attained(self) -> int:
        """For how many channels the corner inputs need that width."""
        return int(np.count_nonzero(bits_each(*self.channel_ends) == self.channel_bits))
