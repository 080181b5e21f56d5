"""A case that must be refused: a parameter set, perhaps with an input, and the refusal that is expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from golden.sequence import forward
from golden.spec.errors import ParameterError, QgruError, RangeError, WidthError
from golden.spec.serial import from_plain
from vectors.canonical import plain

ERRORS = ("ParameterError", "WidthError", "RangeError")


@dataclass(frozen=True, eq=False)
class ErrorCase:
    """What must be refused.

    id           permanent and unique in its set
    description  of the parameter set, as golden.spec.serial.to_plain writes it, or nearly
    arrays       its arrays by name
    x            an input, when the parameter set is sound and only the run must be refused
    error        class of the refusal: ParameterError, WidthError or RangeError
    field        what it names: the field, the stage or the tensor
    at           the step or the channel that it names, or None
    """

    id: str
    description: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    error: str
    field: str
    at: int | None = None
    x: np.ndarray | None = None
    group: str = "errors"
    comment: str = ""
    level: int = 1
    flags: Any = None

    kind: ClassVar[str] = "error"

    def __post_init__(self) -> None:
        if self.error not in ERRORS:
            raise ParameterError("error", repr(self.error), f"one of {', '.join(ERRORS)}")
        object.__setattr__(self, "flags", {"must_be_refused": 1} if self.flags is None else self.flags)

    def refusal(self) -> QgruError | None:
        """What golden says when it is given this case; None when it takes it."""
        try:
            params = from_plain(self.description, self.arrays)
            if self.x is not None:
                forward(params, self.x)
        except QgruError as error:
            return error
        return None


def error_case(
    id: str, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], x: Any = None, **texts: Any
) -> ErrorCase:
    """The case that expects the refusal that golden gives now.

    Raises ParameterError when golden takes it
    """
    found = ErrorCase(id, description, arrays, "ParameterError", "", x=x).refusal()
    if found is None:
        raise ParameterError(id, "taken", "a parameter set or an input that is refused")
    return ErrorCase(id, description, arrays, type(found).__name__, *named(found), x=x, **texts)


def named(error: QgruError) -> tuple[str, int | None]:
    """(field, step or channel) that a refusal names."""
    if isinstance(error, WidthError):
        return error.stage, error.channel
    if isinstance(error, RangeError):
        return error.tensor, error.step
    return getattr(error, "field", ""), None


def error_entry(case: ErrorCase) -> dict[str, Any]:
    """What the manifest says of an error case beside what every case has."""
    entry = {"params": plain(dict(case.description), "params"), "error": {"type": case.error, "field": case.field}}
    if case.at is not None:
        entry["error"]["at"] = case.at
    return entry


def error_arrays(case: ErrorCase) -> dict[str, tuple[np.ndarray, str, str, str]]:
    """name -> (array, role, format, clause) of every array of an error case, in order."""
    given = {f"params.{name}": np.asarray(array) for name, array in sorted(case.arrays.items())}
    if case.x is not None:
        given["input.x"] = np.asarray(case.x)
    out = {}
    for name, array in given.items():
        fmt = {"float32": "binary32", "int64": "int64"}.get(array.dtype.name, "int32")
        out[name] = (array, "input" if name == "input.x" else "parameter", fmt, "F-3")
    return out


def unpack_error(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ErrorCase:
    """The error case of a manifest's entry and the arrays of its files."""
    given = {name.removeprefix("params."): a for name, a in arrays.items() if name.startswith("params.")}
    unknown = [name for name in arrays if name != "input.x" and not name.startswith("params.")]
    if unknown:
        raise ParameterError("array name", repr(unknown[0]), "params.* or input.x")
    error = entry["error"]
    texts = {key: entry[key] for key in ("group", "comment", "level")}
    return ErrorCase(
        entry["id"],
        entry["params"],
        given,
        error["type"],
        error["field"],
        error.get("at"),
        arrays.get("input.x"),
        **texts,
        flags=dict(entry["flags"]),
    )
