"""Static sets on a GPU without one: what is packed and given to a launch, with the real cells, against golden.  [SPEC S]"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from cuda_impl.fast.network import narrowest_dtype
from golden.sequence import forward
from golden.spec.formats import IntFormat
from tests.cuda_impl.test_fast_gpu import codes, network, on_host
from verification.strategies import problems

FORMATS = ["int8", "uint8", "uint7", "int9", "uint9", "uint12", "int12", "uint15", "int15", "int16", "uint16"]


def format_of(name: str) -> IntFormat:
    return IntFormat(int(name.lstrip("uint")), not name.startswith("u"))


def with_formats(of_x: str, of_h: str, hidden: int = 6):
    """A network whose x and state have other formats, its exponents and zero points moved along, so that codes stay lively."""
    p, bits = network(16, hidden, "pot"), {}
    operators = dict(p.operators)
    for key, name in (("input.x", of_x), ("input.h", of_h)):
        fmt, old = format_of(name), operators[key]
        finer = fmt.bits - 8
        middle = 0 if fmt.signed else 1 << (fmt.bits - 1)
        operators[key] = replace(old, fmt=fmt, exponent=old.exponent + finer, zero_point=middle + old.zero_point)
        bits[key] = fmt.bits
    return replace(p, operators=operators)


@pytest.fixture
def prepared(monkeypatch):
    pytest.importorskip("numba.cuda")
    from tests.cuda_impl.launches_on_host import host_launches

    yield from host_launches(monkeypatch)


@pytest.mark.ptx
@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_drawn_problems(datapath, prepared):
    seen = set()

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(problems(datapath))
    def same(problem):
        made, launches = prepared(problem.params)
        if type(made).__name__ == "TwinNetwork":
            return
        h = problem.run(lambda _params, *arguments, **options: made.forward(*arguments, **options))
        wanted = problem.run(forward).h
        seen.update(launches.seen)
        assert np.array_equal(on_host(h).reshape(wanted.shape), wanted), problem.to_code()

    same()
    assert seen == ({"input", "recurrence"} if datapath == "mshift" else {"input", "limbs", "recurrence", "grid"})


@pytest.mark.ptx
@pytest.mark.parametrize("of_h", ["int8", "uint8", "uint12", "uint16", "int16"])
@pytest.mark.parametrize("of_x", FORMATS)
def test_formats_of_x_and_of_the_state(of_x, of_h, prepared):
    p = with_formats(of_x, of_h)
    x, h0 = codes(p.fmt_x, (3, 2, 16)), codes(p.fmt_h, (2, 6), 1)
    made, launches = prepared(p)
    wanted = forward(p, x, h0).h
    assert len(np.unique(wanted[1:])) > 18 and len(set(launches.seen)) == 0
    assert np.array_equal(on_host(made.forward(x, h0)), wanted)
    two_bytes = max(format_of(of_x).bits, format_of(of_h).bits) > 8
    assert launches.seen == (["limbs", "grid"] if two_bytes else ["input", "recurrence"])


@pytest.mark.ptx
@pytest.mark.parametrize(
    ("datapath", "hidden", "bits", "launches"),
    [("mshift", 60, 8, ["recurrence", "input"]), ("pot", 1040, 8, ["grid", "input"]), ("pot", 30, 16, ["grid", "limbs"])],
)
def test_launches_are_kept_from_run_to_run(datapath, hidden, bits, launches, prepared):
    p = network(16, hidden, datapath, bits)
    network_, of = prepared(p)
    for run in range(3):
        x, h0 = codes(p.fmt_x, (2, 3, 16), run), codes(p.fmt_h, (3, hidden), run)
        assert np.array_equal(on_host(network_.forward(x, h0)), forward(p, x, h0).h)
        assert of.made == launches and len(of.seen) == 2 * (run + 1)
    x = codes(p.fmt_x, (1, 3, 16))
    assert np.array_equal(on_host(network_.forward(x)), forward(p, x).h) and of.made == 2 * launches
    assert np.array_equal(on_host(network_.forward(x[:0], h0)), forward(p, x[:0], h0).h)  # no product
    assert of.made == 2 * launches + launches[:1]


@pytest.mark.ptx
@pytest.mark.parametrize(
    ("datapath", "bits", "weight", "inputs", "taken"),
    [
        ("mshift", 8, -128, 131_071, True), ("mshift", 8, -128, 131_072, False), ("pot", 8, -128, 131_071, True),
        ("pot", 8, -128, 131_072, False), ("pot", 8, 1, 200_000, True), ("pot", 16, -32513, 43_804, True),
        ("pot", 16, 1, 43_805, False),
    ],
)  # fmt: skip
def test_as_many_inputs_as_the_sums_have_room_for(datapath, bits, weight, inputs, taken, prepared):
    p = network(16, 2, datapath, bits)
    p = replace(p, W=np.full((inputs, 6), weight, p.W.dtype))
    if bits == 16:  # so coarse that a sum saturates nothing
        coarse = {key: replace(p.operators[key], exponent=-8) for key in ("matmul.Wx", *(f"gate.{k}_pre" for k in "zrg"))}
        p = replace(p, operators={**p.operators, **coarse})
    made, launches = prepared(p)
    assert (type(made).__name__ != "TwinNetwork") == taken
    for code in (p.fmt_x.qmin, p.fmt_x.qmax, max(p.fmt_x.qmin, -32513)) if taken else ():
        x = np.full((1, 1, inputs), code, narrowest_dtype(p.fmt_x))
        assert np.array_equal(on_host(made.forward(x)), forward(p, x).h)


@pytest.mark.gpu
@pytest.mark.parametrize("of_h", ["int8", "uint8", "uint12", "uint16", "int16"])
@pytest.mark.parametrize("of_x", FORMATS)
def test_formats_on_the_gpu(of_x, of_h):
    from cuda_impl.fast.network import prepare

    p = with_formats(of_x, of_h)
    x, h0 = codes(p.fmt_x, (3, 9, 16)), codes(p.fmt_h, (9, 6), 1)
    assert x.dtype == narrowest_dtype(p.fmt_x)
    assert np.array_equal(on_host(prepare(p, "gpu").forward(x, h0)), forward(p, x, h0).h)
