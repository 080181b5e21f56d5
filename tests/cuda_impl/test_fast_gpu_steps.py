"""One product a step on a GPU: states bit for bit golden's, in spans and graphs, on any stream; and its kernels' PTX."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from cuda_impl.fast.gpu import fits_bytes, takes
from cuda_impl.fast.network import narrowest_dtype
from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.formats import INT16, UINT8
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import calibrate
from quant_gru.float_gru import from_pytorch
from tests.cuda_impl.test_fast_gpu import codes, network, on_host
from tests.cuda_impl.test_fast_ptx import FLOATING, assembled, compiled  # noqa: F401 (compiled is a fixture)
from verification.strategies import problems


def built(inputs: int, hidden: int, name: str):
    """A set by name: what the names of FORMS say."""
    if name in ("mshift", "pot"):
        return network(inputs, hidden, name)
    rng, bound = np.random.default_rng(inputs + hidden), 2 / np.sqrt(hidden)
    shapes = ((3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,))
    gru = from_pytorch(*(rng.uniform(-bound, bound, s).astype(np.float32) for s in shapes))
    ranges = calibrate(gru, [rng.normal(size=(12, 4, inputs)).astype(np.float32)])
    gates = {f"gate.{k}_pre": INT16 for k in "zrg"}
    if name == "mshift far":
        return mshift_params(gru, ranges, gate_bits=16)
    if name == "mshift wide":
        return replace(mshift_params(gru, ranges), m_rRh=MShift(2**24 - 1, 12))
    if name == "pot 5":
        return pot_params(gru, ranges, 5)
    if name == "pot even":
        return pot_params(gru, ranges, rounding=Rounding.TIES_EVEN)
    if name == "pot wide":
        p = pot_params(gru, ranges)
        return replace(p, operators={**p.operators, "op.rRh": replace(p.operators["op.rRh"], exponent=30)})
    if name == "pot 32":
        p = pot_params(gru, ranges)
        return replace(p, operators={**p.operators, "op.Rh_add_br": replace(p.operators["op.Rh_add_br"], zero_point=400)})
    return pot_params(gru, ranges, formats={"pot far": gates, "pot unsigned": {"input.x": UINT8, "input.h": UINT8}}[name])


FORMS = (
    "mshift", "mshift far", "mshift wide", "pot", "pot 5", "pot even", "pot 32", "pot far", "pot wide", "pot unsigned",
)  # fmt: skip


def test_the_forms_are_what_their_names_say():
    from cuda_impl.fast import gpu_pack
    from cuda_impl.fast.gpu_pack_real import pot_constants

    for name in FORMS:
        p = built(9, 7, name)
        assert fits_bytes(p) and takes(p)
        if name.startswith("pot"):
            real = pot_constants(p, gpu_pack.pot_width(p)).real
            assert real == (name in ("pot", "pot 5", "pot even", "pot unsigned")), name
        wide = gpu_pack.pot_width(p) == 64 if name.startswith("pot") else not gpu_pack.mshift_constants(p).plain
        assert wide == name.endswith("wide"), name
    assert built(9, 7, "pot unsigned").fmt_x == built(9, 7, "pot unsigned").fmt_h == UINT8


@pytest.mark.ptx
@pytest.mark.parametrize("name", FORMS)
def test_the_kernels_stay_in_registers(name, compiled, tmp_path):  # noqa: F811
    from cuda_impl.fast import gpu_pack, gpu_steps
    from cuda_impl.fast.gpu_layout import Kind

    p, pot = built(9, 7, name), name.startswith("pot")
    c = gpu_pack.pot_constants(p, gpu_pack.pot_width(p)) if pot else gpu_pack.mshift_constants(p)
    kind = Kind("pot" if pot else "mshift", c.far_gates, pot and name.endswith("wide"), pot and gpu_pack.is_even(p))
    kind = replace(kind, unsigned=name.endswith("unsigned"), plain=c.plain, left=c.left, zoneout=FORMS.index(name) % 3)
    each = gpu_steps.units_each(kind)
    text = compiled(gpu_steps.step_kernel(kind, each), gpu_steps.step_signature(kind, len(c.numbers)))
    assert FLOATING.findall(text) == [] and "div." not in text.split("bar.sync")[1]
    assert text.count("ld.global.nc.L1::no_allocate.v2.u32") == (12 if each == 2 else 0)
    registers, spilled = assembled(text, tmp_path, gpu_steps.THREADS)
    assert spilled == 0 and registers <= 128


@pytest.mark.ptx
def test_the_beginning_compiles(compiled, tmp_path):  # noqa: F811
    from cuda_impl.fast import gpu_steps

    text = compiled(gpu_steps.begin_kernel(), gpu_steps.begin_signature())
    assert FLOATING.findall(text) == [] and assembled(text, tmp_path, gpu_steps.THREADS)[1] == 0


def step_network(p, **choices):
    from cuda_impl.fast.gpu_steps_network import StepNetwork

    return StepNetwork(p, **choices)


@pytest.mark.gpu
@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_drawn_problems(datapath):
    torch = pytest.importorskip("torch")

    def taken(problem):
        return fits_bytes(problem.params) and takes(problem.params)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(problems(datapath, max_batch=20).filter(taken))
    def same(problem):
        made, wanted = step_network(problem.params), problem.run(forward)
        for _ in range(3):
            x = torch.from_numpy(np.ascontiguousarray(problem.x)).cuda()
            found = problem.run(lambda _params, _x, *arguments, x=x, **options: made.forward(x, *arguments, **options))
            assert np.array_equal(on_host(found).reshape(wanted.h.shape), wanted.h), problem.to_code()

    same()


SIZES = [
    (16, 1, 1, 5), (60, 7, 17, 4), (9, 100, 33, 5), (16, 100, 300, 4), (60, 1024, 33, 3), (16, 1024, 1, 20), (9, 2500, 5, 2),
    (16, 2500, 17, 2), (48, 64, 3000, 3),
]  # fmt: skip
CASES = [(*size, name) for size in SIZES for name in (FORMS if size[1] <= 1024 else ("mshift", "pot unsigned"))]


@pytest.mark.gpu
@pytest.mark.parametrize(("inputs", "hidden", "batch", "steps", "name"), CASES)
def test_sizes_and_options(inputs, hidden, batch, steps, name):
    torch = pytest.importorskip("torch")
    p = built(inputs, hidden, name)
    made = step_network(p)
    x, h0 = codes(p.fmt_x, (steps, batch, inputs)), codes(p.fmt_h, (batch, hidden), 1)
    mask = np.random.default_rng(2).integers(0, 2, (steps, batch, hidden))
    there = torch.from_numpy(x).cuda()
    for options in ({}, {"reverse": True}, {"zoneout": 0.3}, {"mask": mask, "training": True, "reverse": True}):
        wanted = forward(p, x, h0, **options).h
        for first in (torch.from_numpy(h0).cuda(), h0, h0.astype(np.int64)):  # alone, recorded, replayed
            found = made.forward(there, first, **options)
            made.check()
            assert found.dtype == getattr(torch, narrowest_dtype(p.fmt_h).name)
            assert np.array_equal(on_host(found), wanted)
    assert np.array_equal(on_host(made.forward(there)), forward(p, x).h)
    for none in (there[:0], x[:0]):
        assert np.array_equal(on_host(made.forward(none, h0))[0], h0)
    wanted = forward(p, x, h0, reverse=True, zoneout=0.3).h
    for _ in range(2):  # arrays that are not torch's
        assert np.array_equal(on_host(made.forward(x, h0, reverse=True, zoneout=0.3)), wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
def test_spans_and_what_changes_from_run_to_run(each, reverse):
    torch = pytest.importorskip("torch")
    p, steps, batch = built(32, 100, "pot"), 11, 40
    made = step_network(p, span_bytes=4 * batch * 3 * 128 * 4, each=each)
    for seed in range(4):
        x, h0 = codes(p.fmt_x, (steps, batch, 32), seed), codes(p.fmt_h, (batch, 100), seed + 9)
        mask = np.random.default_rng(seed).integers(0, 2, (steps, batch, 100))
        out = torch.zeros((steps + 1) * batch * 100 + 3, dtype=torch.int8, device="cuda")[seed:][: (steps + 1) * batch * 100]
        out = out.view(steps + 1, batch, 100)
        for options in ({}, {"zoneout": 0.1 * seed + 0.2}, {"mask": mask, "training": True}):
            found = made.forward(torch.from_numpy(x).cuda(), h0, **options, reverse=reverse, out=out)
            assert found is out and np.array_equal(on_host(out), forward(p, x, h0, **options, reverse=reverse).h)
    assert len(made._rooms) == 1 and all(next(iter(made._rooms.values())).graphs.values())
    for batch in range(1, 9):  # more batch sizes than are kept
        x = codes(p.fmt_x, (3, batch, 32), batch)
        assert np.array_equal(on_host(made.forward(torch.from_numpy(x).cuda())), forward(p, x).h)


@pytest.mark.gpu
def test_streams_graphs_and_threads():
    torch = pytest.importorskip("torch")
    p = network(64, 256)
    x = codes(p.fmt_x, (40, 64, 64))
    wanted, there = torch.from_numpy(forward(p, x).h.astype(np.int8)).cuda(), torch.from_numpy(x).cuda()
    made = step_network(p, span_bytes=16 * 64 * 3 * 256 * 4)
    for _ in range(20):
        assert torch.equal(made.forward(there), wanted)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        outs = [made.forward(there) for _ in range(3)]
    assert torch.equal(made.forward(there), wanted)  # beside the other stream
    torch.cuda.synchronize()
    assert all(torch.equal(out, wanted) for out in outs)
    given = torch.zeros_like(there)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = made.forward(given)
    for seed in (1, 2):
        other = codes(p.fmt_x, x.shape, seed)
        given.copy_(torch.from_numpy(other))
        assert torch.equal(made.forward(there), wanted)  # between replays, in its own room
        graph.replay()
        torch.cuda.synchronize()
        assert np.array_equal(on_host(captured), forward(p, other).h)
    bad = []

    def run():
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(10):
                got = made.forward(there)
                torch.cuda.current_stream().synchronize()
                if not torch.equal(got, wanted):
                    bad.append(1)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad


@pytest.mark.gpu
def test_what_is_refused():
    torch = pytest.importorskip("torch")
    p = network(48, 96)
    made, x = step_network(p), codes(p.fmt_x, (6, 5, 48))
    turned = torch.from_numpy(np.ascontiguousarray(x.transpose(1, 0, 2))).cuda().transpose(0, 1)
    for given_x in (turned, torch.from_numpy(x.astype(np.int64)).cuda()):
        assert np.array_equal(on_host(made.forward(given_x)), forward(p, x).h)
    with pytest.raises(ParameterError, match="x is 128, expected a code in"):
        made.forward(torch.full((1, 1, 48), 128, dtype=torch.int32).cuda())
    with pytest.raises(ParameterError, match="x is an array of shape"):
        made.forward(torch.zeros((1, 1, 47), dtype=torch.int8).cuda())
    with pytest.raises(ParameterError, match="expected at least one row"):
        made.forward(torch.zeros((1, 0, 48), dtype=torch.int8).cuda())
    with pytest.raises(ParameterError, match="weight.W is a format of 16 bits, expected at most 8"):
        step_network(network(9, 7, "pot", 16))
