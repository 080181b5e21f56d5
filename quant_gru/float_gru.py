"""The unquantized GRU in NumPy, with every value that a quantized one has a code for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.arrays import check_shape, freeze, real_array
from golden.spec.errors import ParameterError
from golden.spec.layout import GATES, PYTORCH_GATES

_SAME_GATE = {"z": "z", "r": "r", "g": "n"}  # our name -> PyTorch's


@dataclass(frozen=True, eq=False)
class FloatGru:
    """One layer and direction of a float GRU, gates in the order z, r, g.

    W       float32 [C,3H], of the input
    R       float32 [H,3H], of the state
    bx, br  float32 [3H]
    Raises  ParameterError naming the field: another dtype, a wrong shape, NaN or inf
    """

    W: np.ndarray
    R: np.ndarray
    bx: np.ndarray
    br: np.ndarray

    def __post_init__(self) -> None:
        R = np.asarray(self.R)
        if R.ndim != 2 or R.shape[0] < 1 or R.shape[1] != 3 * R.shape[0]:
            raise ParameterError("R", f"an array of shape {list(R.shape)}", "shape [H, 3H] with H > 0")
        width = R.shape[1]
        if np.ndim(self.W) == 2 and np.shape(self.W)[0] < 1:
            raise ParameterError("W", f"an array of shape {list(np.shape(self.W))}", f"shape [C, {width}] with C > 0")
        for name, shape in (("W", (None, width)), ("R", (None, width)), ("bx", (width,)), ("br", (width,))):
            object.__setattr__(self, name, freeze(real_array(name, getattr(self, name), shape)))

    @property
    def input_size(self) -> int:
        """C"""
        return int(self.W.shape[0])

    @property
    def hidden_size(self) -> int:
        """H"""
        return int(self.R.shape[0])


def from_pytorch(weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None) -> FloatGru:
    """The GRU of PyTorch's weights: gates r, z, n to z, r, g, and transposed.  The only place where this is done.

    weight_ih  float32 [3H,C]
    weight_hh  float32 [3H,H]
    bias_*     float32 [3H]; None is zero
    Raises     ParameterError naming the field
    """
    weight_hh = np.asarray(weight_hh)
    if weight_hh.ndim != 2 or weight_hh.shape[1] < 1 or weight_hh.shape[0] != 3 * weight_hh.shape[1]:
        raise ParameterError("weight_hh", f"an array of shape {list(weight_hh.shape)}", "shape [3H, H] with H > 0")
    rows, hidden = weight_hh.shape
    weight_ih = real_array("weight_ih", weight_ih, (rows, None))
    if weight_ih.shape[1] < 1:
        raise ParameterError("weight_ih", f"an array of shape {list(weight_ih.shape)}", f"shape [{rows}, C] with C > 0")
    real_array("weight_hh", weight_hh, (rows, hidden))
    biases = [
        np.zeros(rows, np.float32) if b is None else real_array(name, b, (rows,))
        for name, b in (("bias_ih", bias_ih), ("bias_hh", bias_hh))
    ]
    blocks = [PYTORCH_GATES.index(_SAME_GATE[gate]) for gate in GATES]
    order = np.concatenate([np.arange(b * hidden, (b + 1) * hidden) for b in blocks])
    return FloatGru(weight_ih[order].T, weight_hh[order].T, biases[0][order], biases[1][order])


def sigmoid(u: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-u)) without overflow."""
    e = np.exp(-np.abs(u))
    return np.where(u >= 0, 1 / (1 + e), e / (1 + e))


@np.errstate(all="ignore")  # a value that leaves the range stays inf or NaN, and is refused by its name where it is used
def run(
    gru: FloatGru, x: Any, h0: Any = None, *, reverse: bool = False, dtype: Any = np.float64
) -> dict[str, np.ndarray]:
    """Run the float network over a sequence and keep what a quantized one would give codes to.

    x        float [T,N,C]
    h0       float [N,H]; None is zero
    reverse  read x from T-1 to 0; everything comes back in time order
    dtype    of all arithmetic, float64 or float32
    Returns  name -> array of dtype by the names of golden.spec.layout.OPERATOR_FIELDS, in time order: x [T,N,C],
             h [T+1,N,H] (h[0] initial, h[t+1] the output of time t), Wx, Rh [T,N,3H] without biases, and [T,N,H] of
             z_pre, z, r_pre, r, A = Rh_g + br_g, P = r * A, g_pre, g, O = z * h, N = (1 - z) * g
    """
    x = np.asarray(x, dtype)
    check_shape("x", x, (None, None, gru.input_size))
    steps, batch = x.shape[:2]
    hidden = gru.hidden_size
    W, R, bx, br = (v.astype(dtype) for v in (gru.W, gru.R, gru.bx, gru.br))
    z_part, r_part, g_part = (slice(k * hidden, (k + 1) * hidden) for k in range(3))
    out = {k: np.zeros((steps, batch, hidden), dtype) for k in ("z_pre", "z", "r_pre", "r", "A", "P", "g_pre", "g", "O", "N")}
    out |= {"x": x, "Wx": x @ W, "Rh": np.zeros((steps, batch, 3 * hidden), dtype)}
    out["h"] = np.zeros((steps + 1, batch, hidden), dtype)
    if h0 is not None:
        h0 = np.asarray(h0, dtype)
        check_shape("h0", h0, (batch, hidden))
        out["h"][0] = h0
    h = out["h"][0]
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        Wx, Rh = out["Wx"][t], h @ R
        z_pre = Wx[:, z_part] + Rh[:, z_part] + bx[z_part] + br[z_part]
        r_pre = Wx[:, r_part] + Rh[:, r_part] + bx[r_part] + br[r_part]
        z, r = sigmoid(z_pre), sigmoid(r_pre)
        A = Rh[:, g_part] + br[g_part]
        P = r * A
        g_pre = Wx[:, g_part] + P + bx[g_part]
        g = np.tanh(g_pre)
        O, N = z * h, (1 - z) * g  # noqa: E741
        h = O + N
        step = {"Rh": Rh, "z_pre": z_pre, "z": z, "r_pre": r_pre, "r": r, "A": A, "P": P, "g_pre": g_pre, "g": g}
        step |= {"O": O, "N": N}
        for name, value in step.items():
            out[name][t] = value
        out["h"][t + 1] = h
    return out
