"""The float side: networks from files, calibration, parameter sets, QuantGRU, and how accurate they are."""

__all__ = ["QuantGRU"]


def __getattr__(name: str) -> type:
    """QuantGRU, which brings torch in, only when it is asked for."""
    if name != "QuantGRU":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from quant_gru.module import QuantGRU
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from quant_gru.errors import MissingPart

        raise MissingPart("torch", "torch") from None
    return QuantGRU
