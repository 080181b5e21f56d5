"""QuantGRU: torch.nn.GRU whose quantized forward is the exact integer network."""

from __future__ import annotations

from os import PathLike
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from golden.spec.errors import ParameterError
from quant_gru import config as widths
from quant_gru import module_state as state
from quant_gru.float_gru import FloatGru, from_pytorch
from quant_gru.load import as_float32
from quant_gru.module_boundary import check_codes
from quant_gru.module_calibration import batches, float64, followed
from quant_gru.module_layers import Rows, Weights, run_in_float32, run_layers_on_codes
from quant_gru.module_network import Direction
from quant_gru.module_params import Static
from quant_gru.module_quantization import Quantization
from quant_gru.module_tracing import outside
from quant_gru.stack import Direction as StackDirection
from quant_gru.stack import Stack

EXTRA = "_extra_state"
EXPORT_FORMATS = ("float", "qdq", "integer")


class QuantGRU(nn.GRU):
    """torch.nn.GRU with a switch: use_quantization=True runs the integer network that golden defines, code for code.

    Arguments, parameters, shapes, initialization, h0 and PackedSequence are those of torch.nn.GRU. In float mode forward is
    torch.nn.GRU's own. In quantized mode x becomes codes (Q-1), the network runs in integers, and the states come back as
    reals (Q-3); between layers they are reals, and dropout acts on these. The gradient is straight-through.

    use_quantization    whether forward is the integer network
    calibrating         whether forward takes its input in as calibration data (it is then the float network)
    calibration_method  "histogram" (also spelled "sqnr"), "minmax" or "percentile" with percentile_value
    minmax_ema          of method "minmax": ranges of x and h by the moving average of E-1 over steps, not plain extremes
    datapath            "pot" (power-of-two scales, eighteen operators) or "mshift" (multiplier and shift)
    export_mode, export_format  what torch.onnx.export sees: "float", "qdq" or "integer"
    Raises   RuntimeError in quantized mode without calibration data; ParameterError for a bad value, naming it
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        use_quantization: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )
        self._quantization = Quantization()
        self._export_format = "float"
        self.use_quantization = bool(use_quantization)
        self.calibrating = False
        self.export_mode = False

    # ---- from and to torch.nn.GRU

    @classmethod
    def from_float(cls, gru: nn.GRU, use_quantization: bool = False) -> QuantGRU:
        """A QuantGRU with the options of a torch.nn.GRU and a copy of its weights."""
        if not isinstance(gru, nn.GRU):
            raise TypeError(f"gru is a {type(gru).__name__}, expected a torch.nn.GRU")
        made = cls(**_options(gru), use_quantization=use_quantization)
        made.load_state_dict(_weights_of(gru))
        return made.train(gru.training)

    def to_float(self) -> nn.GRU:
        """A torch.nn.GRU with a copy of the weights."""
        made = nn.GRU(**_options(self))
        made.load_state_dict(_weights_of(self))
        return made.train(self.training)

    # ---- settings

    @property
    def calibration_method(self) -> str:
        return self._quantization.method

    @calibration_method.setter
    def calibration_method(self, value: str) -> None:
        self._quantization.set("method", value)

    @property
    def percentile_value(self) -> float:
        return self._quantization.percentile

    @percentile_value.setter
    def percentile_value(self, value: float) -> None:
        self._quantization.set("percentile", value)

    @property
    def minmax_ema(self) -> bool:
        return self._quantization.ema

    @minmax_ema.setter
    def minmax_ema(self, value: bool) -> None:
        self._quantization.set("ema", value)

    @property
    def datapath(self) -> str:
        return self._quantization.datapath

    @datapath.setter
    def datapath(self, value: str) -> None:
        self._quantization.set("datapath", value)

    @property
    def export_format(self) -> str:
        return self._export_format

    @export_format.setter
    def export_format(self, value: str) -> None:
        if value not in EXPORT_FORMATS:
            raise ParameterError("export_format", repr(value), f"one of {', '.join(EXPORT_FORMATS)}")
        self._export_format = value

    def load_bitwidth_config(self, path: str | PathLike[str] | None = None, verbose: bool = False) -> None:
        """Take the widths of a JSON file (None: the default file); its disable_quantization sets use_quantization."""
        config = widths.load_config(path)
        self._quantization.set("config", config)
        self.use_quantization = not config.disable_quantization
        self._show_widths(verbose)

    def set_all_bitwidth(
        self, bits: int | None = None, is_symmetric: bool = True, verbose: bool = False, *, bitwidth: int | None = None
    ) -> None:
        """One width for all operators, 2 to 16; biases take the least of 8, 16 and 32 bits that holds it.

        bits  may be called bitwidth too
        """
        if (bits is None) == (bitwidth is None):
            raise ParameterError("bits", f"{bits!r} and bitwidth {bitwidth!r}", "one of them")
        chosen: Any = bitwidth if bits is None else bits
        self._quantization.set("config", widths.uniform(chosen, is_symmetric))
        self._show_widths(verbose)

    def adjust_quant_config(
        self,
        op: str,
        bitwidth: int | None = None,
        is_symmetric: bool | None = None,
        exponent: int | None = None,
        zero_point: int | None = None,
        verbose: bool = False,
    ) -> None:
        """Change one operator: its width and symmetry, or by hand its exponent and zero point in all layers (datapath pot)."""
        config = self._quantization.config.adjusted(op, bitwidth, is_symmetric)
        by_hand = exponent is not None or zero_point is not None
        self._quantization.adjust(config, {op: (exponent, zero_point)} if by_hand else {})
        self._show_widths(verbose)

    def get_quant_config(self, op: str | None = None) -> Any:
        """{"bitwidth", "is_symmetric"} of an operator, or of all eighteen by name."""
        items = widths.to_plain(self._quantization.config)["GRU_config"]["operator_config"]
        if op is None:
            return items
        if not isinstance(op, str) or op not in items:
            raise ParameterError("operator", repr(op), f"one of {', '.join(items)}")
        return items[op]

    # ---- calibration

    def calibrate(self, data: Any, hx: torch.Tensor | None = None) -> None:
        """Take data in: a tensor or PackedSequence as forward has it, or an iterable of them, such as a DataLoader.

        The float network runs in binary64; the statistics of several calls add up. hx goes with a tensor alone.
        """
        for item in followed(batches(data)):
            self._observe(item, hx)

    def finalize_calibration(self, verbose: bool = False) -> None:
        """Make scales and tables of the data; forward does it when it is due."""
        self._quantization.finalize(self._float_grus())
        if verbose:
            self.print_quant_params()

    def reset_calibration(self) -> None:
        """Forget all data, and the scales that were made of it or set by hand."""
        self._quantization.reset()

    def is_calibrated(self) -> bool:
        """Whether scales have been made of all data that was taken in, or loaded."""
        return self._quantization.templates is not None and not self._quantization.pending

    def plot_calibration(self, path: str | PathLike[str]) -> None:
        """Draw the histogram and the chosen range of every operator, all layers and directions: .png, .svg or .pdf."""
        from quant_gru.plot import plot_stack

        plot_stack(path, self._quantization.observers, self.quant_params())

    def export_quant_params(self, path: str | PathLike[str]) -> None:
        """Widths, exponents, scales, zero points and tables as a JSON file."""
        templates = self._quantization.ready(self._float_grus)
        state.write_json(path, self._quantization.config, self.datapath, templates)

    def load_quant_params(self, path: str | PathLike[str]) -> None:
        """Take what export_quant_params wrote; calibration data is forgotten."""
        self._quantization.load(*state.read_json(path, self._sizes()))

    def print_quant_params(self) -> None:
        """Show every operator's format, exponent and zero point."""
        print("\n".join(state.lines(self._quantization.config, self._quantization.ready(self._float_grus))))

    # ---- the network

    def quant_params(self) -> list[list[Static]]:
        """The parameter sets of golden.spec.params, layer by layer, direction by direction, of the weights of the moment."""
        return self._quantization.params(self._float_grus())

    def stack(self) -> Stack:
        """The network without torch: float weights and, once there is a calibration, parameter sets."""
        grus = self._float_grus()
        params: Any = self.quant_params() if self._quantization.known else [[None] * len(layer) for layer in grus]
        pairs = [enumerate(zip(layer, sets)) for layer, sets in zip(grus, params)]
        return Stack(tuple(tuple(StackDirection(g, p, bool(j)) for j, (g, p) in layer) for layer in pairs), self.batch_first)

    def forward(self, input: Any, hx: torch.Tensor | None = None) -> tuple[Any, torch.Tensor]:  # noqa: A002
        """As torch.nn.GRU: (output, h_n).

        In quantized mode both are float32 whose codes are exact, in the dtype of the parameters where that is another one.
        """
        if self.export_mode:
            from quant_gru.onnx_torch import forward_for_export

            return forward_for_export(self, input, hx)
        if self.calibrating:
            outside(self._observe)(input, hx)
            return super().forward(input, hx)
        if not self.use_quantization:
            return super().forward(input, hx)
        self._refresh_flat_weights()
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if 0 in input.shape and 0 in input.shape[:-1]:  # no rows, or no steps, which it refuses
            return super().forward(input, hx)
        batched = input.dim() == 3
        x, hx = self._batch(input, hx)
        output, h_n = outside(self._run)(x, hx, None)
        if self.batch_first and batched:
            output = output.transpose(0, 1)
        return (output, h_n) if batched else (output.squeeze(1), h_n.squeeze(1))

    def forward_codes(self, x: torch.Tensor, h0: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes of input.x in the shape of a batched input, and of input.h [L*D,N,H]: (output, h_n) as int32 codes.

        Raises   ValueError for codes outside their format, or where the directions of the first layer read other codes
        """
        self._refresh_flat_weights()
        layers = self._directions(x.device)
        if any(d.x != layers[0][0].x for d in layers[0]):
            raise ValueError("x has one set of codes, expected both directions of the first layer to have one input scale")
        if x.dim() != 3 or x.shape[2] != self.input_size:
            raise ValueError(f"x is a tensor of shape {list(x.shape)}, expected [any, any, {self.input_size}]")
        codes = check_codes("x", x.transpose(0, 1) if self.batch_first else x, layers[0][0].x.fmt)
        wanted = (self.num_layers * len(layers[0]), codes.shape[1], self.hidden_size)
        if h0 is not None and tuple(h0.shape) != wanted:
            raise ValueError(f"h0 is a tensor of shape {list(h0.shape)}, expected {list(wanted)}")
        start = None if h0 is None else check_codes("h0", h0, layers[0][0].h.fmt)
        with torch.no_grad():
            output, h_n = run_layers_on_codes(layers, codes, start)
        return (output.transpose(0, 1) if self.batch_first else output), h_n

    def export_onnx(self, path: str | PathLike[str], format: str = "integer", **options: Any) -> Any:  # noqa: A002
        """Write an ONNX file with its test data: "float", "qdq" or "integer"; options as in quant_gru.onnx.export."""
        from quant_gru.onnx import export

        if format in ("qdq", "integer"):
            self.quant_params()  # without a calibration it says what to call
        return export(self.stack(), path, format, **options)

    def _batch(self, x: torch.Tensor, hx: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[T,N,C] and [L*D,N,H] of an input in the module's own form, checked as torch.nn.GRU checks it."""
        if (dims := x.dim()) not in (2, 3):
            raise ValueError(f"GRU: Expected input to be 2D or 3D, got {dims}D instead")
        if hx is not None and hx.dim() != dims:
            kind = f"{'un' * (dims == 2)}batched {dims}-D"
            raise RuntimeError(f"For {kind} input, hx should also be {dims}-D but got {hx.dim()}-D tensor")
        if dims == 2:
            x, hx = x.unsqueeze(0 if self.batch_first else 1), None if hx is None else hx.unsqueeze(1)
        if x.shape[2] != self.input_size or x.dtype != self._flat_weights[0].dtype:
            self.check_input(x, None)
        if hx is not None:
            self.check_hidden_size(hx, self.get_expected_hidden_size(x, None))
        return (x.transpose(0, 1) if self.batch_first else x), hx

    def _packed(self, packed: PackedSequence, hx: torch.Tensor | None) -> tuple[PackedSequence, torch.Tensor]:
        data, batch_sizes, order, back = packed
        self.check_input(data, batch_sizes)
        x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        if hx is not None:
            hx = self.permute_hidden(hx, order)
            self.check_hidden_size(hx, self.get_expected_hidden_size(data, batch_sizes))
        even = bool((lengths == lengths[0]).all())
        output, h_n = outside(self._run)(x, hx, None if even else Rows.of(lengths.to(x.device), len(x)))
        output = pack_padded_sequence(output, lengths).data
        return PackedSequence(output, batch_sizes, order, back), self.permute_hidden(h_n, back)

    def _run(self, x: torch.Tensor, hx: torch.Tensor | None, rows: Rows | None) -> tuple[torch.Tensor, torch.Tensor]:
        layers, weights = self._directions(x.device), self._weights() if torch.is_grad_enabled() else None
        output, h_n = run_in_float32(layers, weights, x, hx, rows, self.dropout if self.training else 0.0)
        kind = self._flat_weights[0].dtype
        return (output, h_n) if kind == torch.float32 else (output.to(kind), h_n.to(kind))

    # ---- what forward is made of

    def _refresh_flat_weights(self) -> None:
        """As _update_flat_weights, at less cost where every flat weight is still the module's own parameter."""
        own = self._parameters
        for name, weight in zip(self._flat_weights_names, self._flat_weights):
            if own.get(name) is not weight:
                self._update_flat_weights()
                return

    def _weights(self) -> list[list[Weights]]:
        step = 4 if self.bias else 2
        flat = [(*self._flat_weights[i : i + step], *(None,) * (4 - step)) for i in range(0, len(self._flat_weights), step)]
        directions = 2 if self.bidirectional else 1
        return [flat[i : i + directions] for i in range(0, len(flat), directions)]

    def _sizes(self) -> list[list[tuple[int, int]]]:
        directions = 2 if self.bidirectional else 1
        inputs = [self.input_size] + [directions * self.hidden_size] * (self.num_layers - 1)
        return [[(c, self.hidden_size)] * directions for c in inputs]

    def _float_grus(self) -> list[list[FloatGru]]:
        self._update_flat_weights()
        names = iter(self._flat_weights_names)

        def real(w: torch.Tensor | None) -> Any:
            if w is None:
                return None
            kind = torch.float64 if w.dtype == torch.float64 else torch.float32
            return as_float32(next(names), w.detach().to("cpu", kind).numpy())

        return [[from_pytorch(*(real(w) for w in one)) for one in layer] for layer in self._weights()]

    def _observe(self, data: Any, hx: torch.Tensor | None) -> None:
        lengths = None
        if isinstance(data, PackedSequence):
            x, counts = pad_packed_sequence(data)
            lengths = counts.numpy()
        else:
            x, hx = self._batch(data, hx)
        self._quantization.observe(self._float_grus(), float64(x), None if hx is None else float64(hx), lengths)

    def _directions(self, device: torch.device) -> list[list[Direction]]:
        return self._quantization.directions(self._flat_weights, device, self._float_grus)

    def _show_widths(self, verbose: bool) -> None:
        for name, width in self._quantization.config.operators.items() if verbose else ():
            print(f"{name:<16} {width[0]:>2} bits, {'symmetric' if width[1] else 'asymmetric'}")

    # ---- state dict

    def get_extra_state(self) -> dict[str, Any] | None:
        """Configuration and calibration as tensors and plain values; None for a module that has neither."""
        return self._quantization.to_plain(bool(self.use_quantization))

    def set_extra_state(self, found: Any) -> None:
        """Take what get_extra_state gave.  Raises ParameterError naming the entry."""
        self.use_quantization = self._quantization.from_plain(found, self._sizes())

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        # a module without configuration has torch.nn.GRU's own state dict; torch's exporter takes nothing but tensors
        if destination[prefix + EXTRA] is None or torch.onnx.is_in_onnx_export():
            del destination[prefix + EXTRA]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, metadata: Any, strict: bool, missing: list[str],
                              unexpected: list[str], errors: list[str]) -> None:  # fmt: skip
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)
        if prefix + EXTRA in missing:  # a state dict of torch.nn.GRU
            missing.remove(prefix + EXTRA)

    def extra_repr(self) -> str:
        kind = f"use_quantization={self.use_quantization}, datapath={self.datapath}"
        return f"{super().extra_repr()}, {kind}, calibrated={self.is_calibrated()}"


def _options(gru: nn.GRU) -> dict[str, Any]:
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
    weight = gru.weight_ih_l0
    return {name: getattr(gru, name) for name in names} | {"device": weight.device, "dtype": weight.dtype}


def _weights_of(gru: nn.GRU) -> dict[str, torch.Tensor]:
    return {name: getattr(gru, name).detach() for name in gru._flat_weights_names}  # of parametrized ones, what they stand for
