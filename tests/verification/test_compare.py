"""Planted differences: where compare finds them, and what it calls a consequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golden.sequence import forward
from golden.spec.trace import Trace
from tests.verification.small import dynamic_set, mshift_set, pot_set
from verification.compare import compare, hexadecimal

X = np.array([[[3, -5], [7, 1]], [[-2, 4], [0, 9]], [[6, 6], [-8, 2]]])


def planted(trace: Trace, changes: list[tuple[str, tuple[int, ...], int]]) -> Trace:
    """A copy of the trace with codes moved by so much."""
    fields = {name: array.copy() for name, array in trace.items()}
    for name, index, by in changes:
        fields[name][index] += by
    return replace(trace, fields=fields)


@pytest.fixture(scope="module")
def params():
    return mshift_set()


@pytest.fixture(scope="module")
def trace(params):
    return forward(params, X)


def test_a_trace_equals_itself(trace):
    result = compare(trace, trace)
    assert result.equal and result.mismatches == 0 and result.first is None
    assert result.compared == trace.codes
    assert list(result.stages) == list(trace)


def test_one_planted_code_is_found_with_its_place(trace, params):
    result = compare(planted(trace, [("g_acc", (1, 0, 1), 5)]), trace, params)
    d = result.first
    assert (d.datapath, d.stage, d.clause, d.t, d.n, d.unit, d.gate) == ("mshift", "g_acc", "GM-2", 1, 0, 1, None)
    assert d.got - d.expected == d.difference == 5
    assert set(d.operands) == {"Wx:g", "g_c", "g_bx_aligned"}
    assert sum(d.operands.values()) == d.expected
    assert (result.mismatches, result.roots, result.consequences) == (1, 1, 0)


def test_the_earlier_step_comes_first_whatever_its_stage(trace):
    result = compare(planted(trace, [("x", (2, 0, 0), 1), ("h_new", (1, 1, 0), 1)]), trace)
    assert (result.first.stage, result.first.t) == ("h_new", 1)


def test_in_a_step_the_earlier_stage_comes_first(trace):
    result = compare(planted(trace, [("S", (1, 0, 0), 1), ("z_pre", (1, 1, 1), 1)]), trace)
    assert (result.first.stage, result.first.n, result.first.unit) == ("z_pre", 1, 1)
    assert result.roots == 2  # another row: neither follows from the other


def test_reverse_starts_at_the_last_time(params):
    trace = forward(params, X, reverse=True)
    result = compare(planted(trace, [("z", (0, 0, 0), 1), ("g", (2, 0, 0), 1)]), trace)
    assert (result.first.stage, result.first.t) == ("g", 2)


def test_consequences_in_the_same_unit_are_told_from_a_second_root(trace):
    changes = [("z_acc", (0, 0, 0), 9), ("z_a", (0, 0, 0), 9), ("z_pre", (0, 0, 0), 1), ("z_acc", (0, 1, 1), 9)]
    result = compare(planted(trace, changes), trace)
    assert (result.mismatches, result.roots, result.consequences) == (4, 2, 2)


def test_a_wrong_state_makes_the_next_product_a_consequence(trace):
    changes = [("h", (1, 0, 1), 1), ("Rh", (1, 0, 0), 3), ("Rh", (1, 1, 0), 3)]
    result = compare(planted(trace, changes), trace)
    assert (result.first.stage, result.first.t) == ("h", 0)
    assert (result.roots, result.consequences) == (2, 1)  # row 1 reads another state


def test_a_wrong_state_in_reverse_feeds_the_time_before_it(params):
    trace = forward(params, X, reverse=True)
    changes = [("h", (3, 0, 0), 1), ("Rh", (1, 0, 0), 1), ("Rh", (2, 0, 0), 1)]
    result = compare(planted(trace, changes), trace)
    assert (result.first.stage, result.first.t) == ("Rh", 2)  # time 2 starts from h[0]
    assert (result.roots, result.consequences) == (2, 1)


def test_the_initial_state_comes_before_every_step(trace):
    result = compare(planted(trace, [("h", (0, 1, 0), 1), ("x", (0, 0, 0), 1)]), trace)
    assert (result.first.stage, result.first.t, result.first.n, result.first.unit) == ("h", -1, 1, 0)


def test_gate_blocks_name_their_gate(trace, params):
    result = compare(planted(trace, [("Wx", (0, 0, 3), 1)]), trace, params)
    assert (result.first.gate, result.first.unit) == ("r", 1)
    assert result.first.operands == {"x:row": [3, -5]}


def test_v_reads_the_block_that_it_copies(params):
    trace = forward(params, X, training=True)
    hidden = params.hidden_size
    result = compare(planted(trace, [("v", (0, 0, 3 * hidden), 1), ("h_new", (0, 0, 0), 1)]), trace)
    assert result.first.stage == "h_new"
    assert (result.roots, result.consequences) == (1, 1)
    only_v = compare(planted(trace, [("v", (0, 0, 3 * hidden + 1), 1)]), trace)
    assert (only_v.first.gate, only_v.first.unit) == ("last", 1)
    assert only_v.first.operands == {"h_new": int(trace["h_new"][0, 0, 1])}


def test_without_zoneout_a_state_does_not_follow_from_the_state_before(trace):
    result = compare(planted(trace, [("h", (1, 0, 0), 1), ("h", (2, 0, 0), 1)]), trace)
    assert result.roots == 2


def test_with_zoneout_a_state_follows_from_the_blend(params):
    trace = forward(params, X, zoneout=0.5)
    result = compare(planted(trace, [("h_zoneout_acc", (1, 0, 0), 2**16), ("h", (2, 0, 0), 1)]), trace)
    assert (result.roots, result.consequences) == (1, 1)


def test_dynamic_trajectory_feeds_every_row():
    params = dynamic_set()
    trace = forward(params, X.astype(np.float32))
    changes = [("m_z", (1,), 1), ("z_pre", (1, 0, 0), 1), ("z_pre", (1, 1, 1), 1), ("z_pre", (0, 0, 0), 1)]
    result = compare(planted(trace, changes), trace)
    assert (result.first.stage, result.first.t) == ("z_pre", 0)
    assert (result.roots, result.consequences) == (2, 2)


def test_a_moved_range_follows_from_the_range_before():
    trace = forward(dynamic_set(), X.astype(np.float32))
    fields = {name: array.copy() for name, array in trace.items()}
    for t in (0, 1, 2):
        fields["x_min"][t] = np.nextafter(fields["x_min"][t], np.float32(0))
    result = compare(replace(trace, fields=fields), trace)
    assert (result.first.stage, result.first.t, result.roots, result.consequences) == ("x_min", 0, 1, 2)
    assert abs(result.first.difference) == 1
    assert result.first.n is None and result.first.unit is None


def test_weights_of_dynamic_mode_come_before_the_loop():
    trace = forward(dynamic_set(), X.astype(np.float32))
    changes = [("W", (1, 4), 1), ("Wx", (0, 0, 4), 2), ("Wx", (0, 1, 4), 2), ("Wx", (0, 1, 5), 2)]
    result = compare(planted(trace, changes), trace)
    assert (result.first.stage, result.first.t, result.first.unit, result.first.gate) == ("W", None, 0, "g")
    assert (result.roots, result.consequences) == (2, 2)


def test_pot_widths_come_from_the_operators():
    params = pot_set()
    trace = forward(params, X)
    result = compare(planted(trace, [("g_pre", (0, 0, 0), -1)]), trace, params)
    assert result.first.bits == 8
    assert result.first.hex == (hexadecimal(result.first.got, 8), hexadecimal(result.first.expected, 8))


def test_floats_are_compared_by_their_bits():
    trace = forward(dynamic_set(), X.astype(np.float32))
    nan = {name: array.copy() for name, array in trace.items()}
    nan["x_min"][1] = np.nan
    both = replace(trace, fields=nan)
    assert compare(both, both).equal
    zero = {name: array.copy() for name, array in trace.items()}
    zero["x_max"][0] = 0.0
    minus = {name: array.copy() for name, array in zero.items()}
    minus["x_max"][0] = -0.0
    result = compare(replace(trace, fields=minus), replace(trace, fields=zero))
    assert result.mismatches == 1
    assert result.first.hex == ("0x80000000", "0x00000000")


def test_int8_ends_differ_by_255(trace):
    low, high = (planted(trace, [("z_pre", (0, 0, 0), end - int(trace["z_pre"][0, 0, 0]))]) for end in (-128, 127))
    result = compare(high, low, mshift_set())
    assert (result.first.got, result.first.expected, result.first.difference) == (127, -128, 255)
    assert result.first.hex == ("0x7f", "0x80")


def test_structure_is_reported_as_such(trace):
    fields = dict(trace.fields)
    del fields["z"]
    fields["extra"] = np.zeros(1, np.int32)
    fields["r"] = fields["r"].astype(np.int64)
    fields["g"] = fields["g"][:2]
    result = compare(replace(trace, fields=fields), trace)
    assert not result.equal and result.mismatches == 0
    assert result.problems == (
        "field z is missing",
        "field r is int64 [3, 2, 2], expected int32 [3, 2, 2]",
        "field g is int32 [2, 2, 2], expected int32 [3, 2, 2]",
        "field extra is not one of this run",
    )
    other = compare(replace(trace, datapath="pot"), trace)
    assert other.problems == ("the datapath is 'pot', expected 'mshift'",) and not other.equal
    turned = compare(replace(trace, reverse=True), trace)
    assert turned.problems == ("reverse is True, expected False",)


@pytest.mark.parametrize(
    ("value", "bits", "text"),
    [
        (-1, 8, "0xff"),
        (127, 8, "0x7f"),
        (-1, 6, "0x3f"),
        (-128, 8, "0x80"),
        (300, 8, "0x000000000000012c"),
        (-1.0, 32, "0xbf800000"),
    ],
)
def test_hexadecimal(value, bits, text):
    assert hexadecimal(value, bits) == text
