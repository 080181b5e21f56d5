"""A campaign: problems by number.  Any of them can be drawn again alone, from the campaign's name and its index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from golden.spec.errors import ParameterError
from verification.fuzz.draw import Draw
from verification.problem import Problem
from verification.strategies import DATAPATHS, problems

DRAWS = 1
"""Version of the draws: a change in verification.strategies or in Draw that changes a problem raises it."""
CHOICES = ("all", *DATAPATHS)
MAX_SEED = 2**53 - 1
MAX_INDEX = 2**62
LARGEST = 64
_NAME = re.compile(rf"fuzz(\d+)-(\d+)-({'|'.join(sorted(CHOICES, key=len, reverse=True))})-(\d+)", re.ASCII)


@dataclass(frozen=True)
class Campaign:
    """What decides every problem of a campaign.

    seed      0...2**53-1
    datapath  "all" or one of verification.strategies.DATAPATHS
    max_size  the greatest T, N, C and H, 1...64
    """

    seed: int = 0
    datapath: str = "all"
    max_size: int = 8

    def __post_init__(self) -> None:
        if type(self.seed) is not int or not 0 <= self.seed <= MAX_SEED:
            raise ParameterError("seed", repr(self.seed), f"an integer in [0, {MAX_SEED}]")
        if self.datapath not in CHOICES:
            raise ParameterError("datapath", repr(self.datapath), f"one of {', '.join(CHOICES)}")
        if type(self.max_size) is not int or not 1 <= self.max_size <= LARGEST:
            raise ParameterError("max_size", repr(self.max_size), f"an integer in [1, {LARGEST}]")

    @property
    def name(self) -> str:
        """The campaign in one word; Campaign.parse reads it back."""
        return f"fuzz{DRAWS}-{self.seed}-{self.datapath}-{self.max_size}"

    @classmethod
    def parse(cls, name: Any) -> Campaign:
        """The campaign of a name.

        Raises ParameterError: another form, or draws of another version, which are other problems
        """
        found = _NAME.fullmatch(name) if isinstance(name, str) and len(name) < 99 else None
        if found is None:
            raise ParameterError("campaign", repr(name), f"fuzz{DRAWS}-SEED-DATAPATH-SIZE, such as {cls().name}")
        if int(found[1]) != DRAWS:
            raise ParameterError("campaign", repr(name), f"draws of version {DRAWS}, for others are other problems")
        return cls(int(found[2]), found[3], int(found[4]))

    def problem(self, index: int) -> Problem:
        """The problem of an index, the same wherever it is drawn."""
        return Draw(DRAWS, self.seed, index)(_strategy(self.datapath, self.max_size))


def parse_place(text: str) -> tuple[Campaign, int]:
    """(campaign, index) of "CAMPAIGN:INDEX"."""
    name, _, index = text.rpartition(":")
    if not index.isascii() or not index.isdigit() or len(index) > 19 or int(index) >= MAX_INDEX:
        raise ParameterError("problem", repr(text), f"CAMPAIGN:INDEX, such as {Campaign().name}:17")
    return Campaign.parse(name), int(index)


@lru_cache(maxsize=16)
def _strategy(datapath: str, size: int) -> Any:
    sizes: dict[str, Any] = {f"max_{what}": size for what in ("steps", "batch", "inputs", "hidden")}
    return problems(None if datapath == "all" else datapath, **sizes)
