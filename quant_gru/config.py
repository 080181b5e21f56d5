"""How wide each operator is: the JSON that comes with a quantized GRU, its default and its checks.  [SPEC G-P]

    {"GRU_config": {"default_config": {"disable_quantization": false},
                    "operator_config": {"input.x": {"bitwidth": 8, "is_symmetric": false}, ...}}}

The file quant_gru/gru_quant_bitwidth_config.json is the default, quant_gru/gru_quant_bitwidth_config.schema.json the schema.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import BIAS_BITS, TENSOR_BITS, IntFormat
from golden.spec.layout import OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS

DEFAULT_PATH = Path(__file__).with_name("gru_quant_bitwidth_config.json")
SCHEMA_PATH = Path(__file__).with_name("gru_quant_bitwidth_config.schema.json")
BIAS_OPERATORS = ("weight.bx", "weight.br")
MAX_BYTES = 1 << 20
COMMENTS = ("comment", "description")


class Width(NamedTuple):
    """bitwidth, and whether the zero point is 0, of one operator."""

    bitwidth: int
    is_symmetric: bool


@dataclass(frozen=True)
class BitwidthConfig:
    """The widths of the eighteen operators.

    operators  operator -> Width (or a pair); those that are not named are 8 bits wide, symmetric where they are weights
    disable_quantization  whether the network runs in float
    Raises     ParameterError naming the operator: an unknown one, a width that no clause knows, asymmetric weights
    """

    operators: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    disable_quantization: bool = False

    def __post_init__(self) -> None:
        for name in self.operators:
            _known(name)
        whole = {name: checked_width(name, *self.operators.get(name, default_width(name))) for name in OPERATORS}
        object.__setattr__(self, "operators", whole)
        object.__setattr__(self, "disable_quantization", _flag("disable_quantization", self.disable_quantization))

    def format(self, name: str) -> IntFormat:
        """The format of an operator; sigmoid outputs are unsigned."""
        return IntFormat(self.operators[_known(name)][0], name not in UNSIGNED_OPERATORS)

    def adjusted(self, name: str, bitwidth: int | None = None, is_symmetric: bool | None = None) -> BitwidthConfig:
        """The same configuration with another width or symmetry of one operator; None leaves it."""
        old = self.operators[_known(name)]
        new = Width(old[0] if bitwidth is None else bitwidth, old[1] if is_symmetric is None else is_symmetric)
        return replace(self, operators={**self.operators, name: new})


def default_width(name: str) -> Width:
    """8 bits, symmetric where the operator is a weight or a bias."""
    return Width(8, name in WEIGHT_OPERATORS)


def checked_width(name: str, bitwidth: Any, is_symmetric: Any) -> Width:
    """Width of an operator: 2 to 16 bits, biases 8, 16 or 32; weights and biases are symmetric.

    Raises   ParameterError naming the operator
    """
    wanted = f"one of {', '.join(map(str, BIAS_BITS))}" if name in BIAS_OPERATORS else "an integer in [2, 16]"
    allowed = BIAS_BITS if name in BIAS_OPERATORS else TENSOR_BITS
    if not _whole(bitwidth) or bitwidth not in allowed:
        raise ParameterError(f"{name} bitwidth", repr(bitwidth), wanted)
    symmetric = _flag(f"{name} is_symmetric", is_symmetric)
    if name in WEIGHT_OPERATORS and not symmetric:
        raise ParameterError(f"{name} is_symmetric", False, "true, weights and biases have no zero point")
    return Width(int(bitwidth), symmetric)


def uniform(bits: int, is_symmetric: bool = True) -> BitwidthConfig:
    """All operators of one width; a bias takes the least of 8, 16 and 32 bits that holds it.

    is_symmetric  of everything but the weights and biases, which always are
    """
    if not _whole(bits) or bits not in TENSOR_BITS:
        raise ParameterError("bitwidth", repr(bits), "an integer in [2, 16]")
    is_symmetric = _flag("is_symmetric", is_symmetric)
    bias = min(b for b in BIAS_BITS if b >= bits)
    widths = {n: Width(bias if n in BIAS_OPERATORS else bits, is_symmetric or n in WEIGHT_OPERATORS) for n in OPERATORS}
    return BitwidthConfig(widths)


def load_config(path: str | PathLike[str] | None = None) -> BitwidthConfig:
    """The configuration of a JSON file; None is the default file.

    Operators that the file does not name keep the default width, with one warning that names them.
    Raises   ParameterError naming the file, the key or the operator: not JSON, unknown keys or operators, bad widths; OSError
    """
    path = DEFAULT_PATH if path is None else Path(fspath(path))
    with open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ParameterError(path.name, f"more than {MAX_BYTES} bytes", "a configuration of the eighteen operators")
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except ParameterError:
        raise
    except (ValueError, RecursionError):
        raise ParameterError(path.name, "not JSON", "an object with the key GRU_config") from None
    return from_plain(content)


def from_plain(content: Any) -> BitwidthConfig:
    """The configuration of a parsed JSON file; missing operators are warned of by name.

    Raises   ParameterError naming the key or the operator
    """
    config = _object("configuration", content, ("GRU_config",))["GRU_config"]
    parts = _object("GRU_config", config, ("operator_config",), ("default_config",))
    default = _object("default_config", parts.get("default_config", {}), (), ("disable_quantization",))
    items = parts["operator_config"]
    if not isinstance(items, Mapping):
        raise ParameterError("operator_config", type(items).__name__, "an object")
    widths = {}
    for name, item in items.items():
        if _comment(name):
            continue
        found = _object(_known(name), item, ("bitwidth", "is_symmetric"))
        widths[name] = checked_width(name, found["bitwidth"], found["is_symmetric"])
    missing = [name for name in OPERATORS if name not in widths]
    if missing:
        warnings.warn(f"operator_config lacks {', '.join(missing)}, taken as 8 bits", UserWarning, stacklevel=3)
    return BitwidthConfig(widths, default.get("disable_quantization", False))


def to_plain(config: BitwidthConfig) -> dict[str, Any]:
    """The JSON form, all eighteen operators named."""
    widths = {n: {"bitwidth": w[0], "is_symmetric": w[1]} for n, w in config.operators.items()}
    default = {"disable_quantization": config.disable_quantization}
    return {"GRU_config": {"default_config": default, "operator_config": widths}}


def _known(name: str) -> str:
    if name not in OPERATORS:
        raise ParameterError("operator", repr(name), f"one of {', '.join(OPERATORS)}")
    return name


def _whole(value: Any) -> bool:
    """Whether a value is an integer, Python's or NumPy's."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(name, repr(value), "true or false")
    return bool(value)


def _comment(name: str) -> bool:
    return name in COMMENTS or name.startswith("_")


def _object(name: str, item: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise ParameterError(name, type(item).__name__, "an object")
    for key in required:
        if key not in item:
            raise ParameterError(f"{name} {key}", "missing", "a value")
    for key in item:
        if key not in required and key not in optional and not _comment(key):
            raise ParameterError(f"{name} {key}", "an unknown key", f"one of {', '.join((*required, *optional))}")
    return item


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, as json.loads asks for it with object_pairs_hook.

    Raises   ParameterError naming a key that is given twice; plain JSON would keep the last of its values
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [k for k, _ in pairs]
        twice = next(n for n in names if names.count(n) > 1)
        raise ParameterError(twice, "given twice", "each key once")
    return found
