"""What a sweep is: a step, its constants, and the inputs that it is compared on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from golden.spec.errors import ParameterError

Constant = int | float | str

INT32_INPUTS = 1 << 32  # every int32, or the bits of every float32

# step: clause, how many inputs, what index i stands for, names of the outputs that are compared
STEPS: dict[str, tuple[str, int, str, tuple[str, ...]]] = {
    "ties_up": ("R-1", INT32_INPUTS, "x = i - 2^31", ("y",)),
    "ties_away": ("R-2", INT32_INPUTS, "x = i - 2^31", ("y",)),
    "ties_even": ("R-3", INT32_INPUTS, "x = i - 2^31", ("y",)),
    "requantize": ("M-5", INT32_INPUTS, "v = i - 2^31", ("q",)),
    "quantize": ("Q-1", INT32_INPUTS, "v has the bits i", ("q",)),
    "quantize_reciprocal": ("Q-2", INT32_INPUTS, "v has the bits i", ("q",)),
    "direct": ("A-1", 1 << 8, "q = i - 128", ("y",)),
    "direct_wide": ("A-2", 1 << 16, "q = i - 32768", ("y",)),
    "piecewise_linear": ("A-3", 1 << 16, "q = i - 32768", ("y",)),
    "piecewise_quadratic": ("A-4", 1 << 16, "q = i - 32768", ("y",)),
    "matmul": ("L-1", 1 << 16, "x = (i >> 8) - 128, W = (i & 255) - 128", ("acc",)),
    "mshift_candidate": ("GM-2", INT32_INPUTS, "r = i >> 25, Rh = (i & (2^25 - 1)) - 2^24", ("g_rb", "g_c", "g_a", "g_pre")),
    "mshift_hidden": (
        "GM-3", 1 << 23, "z = i >> 16, g = (i >> 8 & 255) - 128, h = (i & 255) - 128", ("n_acc", "n", "S", "h_new"),
    ),
    "pot_reset_path": ("GP-3, GP-4", 1 << 16, "r = i >> 8, Rh = (i & 255) - 128", ("A", "P_prod", "P_acc", "P")),
    "pot_hidden": (
        "GP-6, GP-7, GP-8", 1 << 24, "z = i >> 16, g = (i >> 8 & 255) - 128, h = (i & 255) - 128",
        ("O_prod", "O", "N_prod", "N", "h_acc", "h_new"),
    ),
    "zoneout_blend": (
        "Z-2", 1 << 31, "k = i >> 16 (at 0 it is 2^15), h_prev = (i >> 8 & 255) - 128, h_new = (i & 255) - 128", ("acc", "h"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """A step with constants.

    step       a key of STEPS
    constants  by name; a table is given by the arguments of its maker
    """

    step: str
    constants: Mapping[str, Constant]

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ParameterError("STEP", repr(self.step), f"one of {', '.join(STEPS)}")
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self):
        return type(self), (self.step, dict(self.constants))

    @property
    def clause(self) -> str:
        """The clause that the step stands for."""
        return STEPS[self.step][0]

    @property
    def size(self) -> int:
        """How many inputs there are."""
        return STEPS[self.step][1]

    @property
    def inputs(self) -> str:
        """What index i stands for."""
        return STEPS[self.step][2]

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is compared."""
        return STEPS[self.step][3]

    @property
    def name(self) -> str:
        """The step and its constants on one line; `qgru sweep --params` takes the part behind the step."""
        return " ".join([self.step, *(f"{k}={v}" for k, v in self.constants.items())])

    def plain(self) -> dict[str, Constant]:
        """The constants as JSON takes them."""
        return dict(self.constants)


def parsed(step: str, text: str) -> Sweep:
    """The sweep of a step with constants as `name` writes them: "M=5 s=3 zp=0 fmt=int8".

    Raises   ParameterError naming what is not of that form
    """
    constants: dict[str, Constant] = {}
    for word in text.replace(",", " ").split():
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise ParameterError("--params", repr(word), "NAME=VALUE")
        try:
            constants[key] = json.loads(value)
        except (ValueError, RecursionError):  # a word, or more digits than a number may have
            constants[key] = value
        if not isinstance(constants[key], (int, float, str)) or isinstance(constants[key], bool):
            raise ParameterError("--params", repr(word), "a number or a word")
    return Sweep(step, constants)
