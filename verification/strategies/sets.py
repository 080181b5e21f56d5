"""Parameter sets and tables as strategies of their own.  problems() draws them together with data that fits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from golden.spec.formats import INT8, INT16, UINT8, UINT16
from golden.spec.params import MShiftDynamicParams, MShiftParams, PotParams
from golden.spec.tables import Activation
from verification.strategies import mshift, pot, tables
from verification.strategies.numbers import zero_point

_SIZE = st.integers(1, 6)
_BOOL = st.booleans()
_FORMATS = st.sampled_from((INT8, UINT8, INT16, UINT16))
_FUNCTION = st.sampled_from(("sigmoid", "tanh"))


@st.composite
def mshift_params(draw: Any, sizes: st.SearchStrategy[int] = _SIZE) -> MShiftParams:
    """Static sets of datapath M; C and H from sizes."""
    return mshift.static_params(draw, draw(sizes), draw(sizes), draw(_BOOL))


@st.composite
def dynamic_params(draw: Any, sizes: st.SearchStrategy[int] = _SIZE) -> MShiftDynamicParams:
    """Sets of datapath M with moving ranges; C and H from sizes."""
    return mshift.dynamic_params(draw, draw(sizes), draw(sizes), lively=draw(_BOOL))


@st.composite
def pot_params(draw: Any, sizes: st.SearchStrategy[int] = _SIZE) -> PotParams:
    """Sets of datapath P; C and H from sizes."""
    return pot.params(draw, draw(sizes), draw(sizes), draw(_BOOL))


@st.composite
def activations(draw: Any, kind: str) -> Activation:
    """Tables of one kind with arbitrary integer data: "direct", "piecewise_linear" or "piecewise_quadratic"."""
    fmt_in = INT8 if kind == "direct" else draw(_FORMATS)
    fmt_out = draw(_FORMATS)
    points = zero_point(draw, fmt_in), zero_point(draw, fmt_out)
    return tables.random_activation(draw, kind, draw(_FUNCTION), fmt_in, points[0], fmt_out, points[1], draw(_BOOL))
