"""Integer formats and their bounds.  [SPEC F-1]"""

from __future__ import annotations

from dataclasses import dataclass, field

from golden.spec.errors import ParameterError

BOUNDS: dict[tuple[int, bool], tuple[int, int]] = {
    (2, True): (-2, 1),
    (3, True): (-4, 3),
    (4, True): (-8, 7),
    (5, True): (-16, 15),
    (6, True): (-32, 31),
    (7, True): (-64, 63),
    (8, True): (-128, 127),
    (9, True): (-256, 255),
    (10, True): (-512, 511),
    (11, True): (-1024, 1023),
    (12, True): (-2048, 2047),
    (13, True): (-4096, 4095),
    (14, True): (-8192, 8191),
    (15, True): (-16384, 16383),
    (16, True): (-32768, 32767),
    (32, True): (-2147483648, 2147483647),
    (2, False): (0, 3),
    (3, False): (0, 7),
    (4, False): (0, 15),
    (5, False): (0, 31),
    (6, False): (0, 63),
    (7, False): (0, 127),
    (8, False): (0, 255),
    (9, False): (0, 511),
    (10, False): (0, 1023),
    (11, False): (0, 2047),
    (12, False): (0, 4095),
    (13, False): (0, 8191),
    (14, False): (0, 16383),
    (15, False): (0, 32767),
    (16, False): (0, 65535),
}
TENSOR_BITS = tuple(range(2, 17))
BIAS_BITS = (8, 16, 32)


@dataclass(frozen=True)
class IntFormat:
    """An integer format: two's complement when signed, plain binary when not.  [SPEC F-1]

    bits    2...16 for tensors and gates; 8, 16 or 32 for biases; 32 (signed) for accumulators
    signed  whether negative codes exist
    qmin    the least code (read from the table above)
    qmax    the greatest code
    Raises  ParameterError for a width that no clause knows
    """

    bits: int
    signed: bool
    qmin: int = field(init=False, repr=False, compare=False)
    qmax: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or isinstance(self.bits, bool) or not isinstance(self.signed, bool):
            raise ParameterError("format", f"({self.bits!r}, {self.signed!r})", "an integer width and a boolean sign")
        if (self.bits, self.signed) not in BOUNDS:
            raise ParameterError("format", str(self), "2 to 16 bits, or 32 bits signed")
        qmin, qmax = BOUNDS[self.bits, self.signed]
        object.__setattr__(self, "qmin", qmin)
        object.__setattr__(self, "qmax", qmax)

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"

    @classmethod
    def parse(cls, name: str) -> IntFormat:
        """The format of a name such as "int8" or "uint16"."""
        for bits, signed in BOUNDS:
            if name == f"{'int' if signed else 'uint'}{bits}":
                return cls(bits, signed)
        raise ParameterError("format", repr(name), "a name such as int8 or uint16")


INT8 = IntFormat(8, True)
UINT8 = IntFormat(8, False)
INT16 = IntFormat(16, True)
UINT16 = IntFormat(16, False)
INT32 = IntFormat(32, True)
