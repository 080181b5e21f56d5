"""Where torch records or compiles what it runs: the integer network stays outside, or is refused in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

WAY_OUT = "export_onnx(path), or export_mode = True for torch.onnx.export with dynamo=False"
_DISABLED: dict[Any, Any] = {}


def outside(method: Callable[..., Any]) -> Callable[..., Any]:
    """A bound method as it may be called inside of torch.compile, whose graph ends before it and begins anew behind it.

    Raises   RuntimeError under torch.jit.trace and torch.export, which would keep the codes of the example for ever
    """
    refuse_torch_export()
    if torch.jit.is_tracing():
        raise RuntimeError(f"QuantGRU in quantized mode is recorded by torch.jit.trace, expected {WAY_OUT}")
    if "torch._dynamo" not in sys.modules:  # nothing compiles
        return method
    function: Any = method.__func__  # type: ignore[attr-defined]
    if function not in _DISABLED:
        _DISABLED[function] = torch.compiler.disable(function)
    return partial(_DISABLED[function], method.__self__)  # type: ignore[attr-defined]


def refuse_torch_export() -> None:
    """Raise RuntimeError under torch.export, which torch.onnx.export runs too unless dynamo=False."""
    if getattr(torch.compiler, "is_exporting", bool)():
        raise RuntimeError(f"QuantGRU in quantized mode is recorded by torch.export, expected {WAY_OUT}")
