"""The float side: networks from files, calibration, parameter sets of every datapath, and how accurate they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quant_gru.module import QuantGRU

__all__ = ["QuantGRU"]


def __getattr__(name: str) -> Any:
    if name != "QuantGRU":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        from quant_gru.errors import MissingPart

        raise MissingPart("torch", "torch") from None
    from quant_gru.module import QuantGRU

    return QuantGRU
