"""A counterexample again, without the solver: the twin's function in plain Python beside the judge."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from verification.proofs.obligation import Obligation
from verification.proofs.source import Twin


def plain(value: Any) -> Any:
    """A number or an array as JSON holds it; a binary32 number by its bits, as "0x3f800000"."""
    if isinstance(value, (np.float32, np.float64, float)):
        return f"0x{int(np.float32(value).view(np.uint32)):08x}"
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return None if value is None else int(value)


def parsed(value: Any) -> Any:
    """The number or array of a JSON value, as `plain` writes it."""
    if isinstance(value, str):
        return np.uint32(int(value, 16)).view(np.float32)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return np.array([parsed(v) for v in value], np.float32)
    return np.array(value, np.int64) if isinstance(value, list) else value


def answer(twin: Twin, obligation: Obligation, arguments: list[Any]) -> Any:
    """What the twin's function gives in plain Python, or a sentence when it leaves int64 or an array."""
    function = twin.callable(obligation.function)
    given = [np.int64(a) if isinstance(a, int) else a for a in arguments]
    try:
        # a float that overflows is an inf, as the clauses have it; an integer that does is a finding
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = function(*given)
        result = plain(obligation.pick(found, given) if obligation.pick else found)
        if not any(isinstance(a, np.float32) for a in given):
            with np.errstate(over="raise"):
                function(*given)
    except FloatingPointError:
        return f"{result}, and an intermediate leaves int64"
    except (IndexError, ValueError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"
    return result


def replay(obligation: Obligation, arguments: list[Any], twin: Twin | None = None) -> dict[str, Any]:
    """Run the twin's function and the judge on the arguments.

    arguments  in the order of the function, integers, binary32 numbers as hexadecimal bits, arrays as nested lists
    Returns    {"arguments", "twin", "judge", "differs"}
    """
    values = [parsed(a) for a in arguments]
    found = answer(twin or Twin(), obligation, values)
    assert obligation.judge is not None, f"{obligation.name} has no judge"
    wanted = plain(obligation.judge(*values))
    return {"arguments": arguments, "twin": found, "judge": wanted, "differs": found != wanted}
