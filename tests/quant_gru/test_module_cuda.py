"""The GPU side of the float boundary without a GPU: what reaches the driver, and what happens when it is refused."""

from __future__ import annotations

import ctypes
import threading
import types
import warnings
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cuda_impl.sequence import forward as twin  # noqa: E402
from golden.spec.formats import INT8, INT16, IntFormat  # noqa: E402
from quant_gru import QuantGRU, module_boundary, module_cuda, module_host, module_network  # noqa: E402
from quant_gru.module_boundary import Point  # noqa: E402

CPU = torch.device("cpu")
KERNEL = module_cuda.Kernel


class Ends:
    """By how much the last states are taken from the wrong place."""

    shift = 0


class Driver:
    """Reads the arguments as a kernel would, and does on the CPU what the kernel does."""

    class CUresult:
        CUDA_SUCCESS = type("Status", (), {"name": "CUDA_SUCCESS"})

    def __init__(self, kind, dtype):
        self.kind, self.dtype, self.status = kind, np.dtype(dtype), self.CUresult.CUDA_SUCCESS

    def cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra):
        kinds = module_cuda.argument_types(self.kind)
        places = (ctypes.c_void_p * len(kinds)).from_address(parameters)
        source, target, *numbers = (kind.from_address(place).value for kind, place in zip(kinds, places))
        last = numbers.pop(0) if self.kind == "dequantize" else None
        count = numbers.pop(0)
        assert (gy, gz, by, bz, shared, extra) == (1, 1, 1, 1, 0, 0) and (gx - 1) * bx < count <= gx * bx
        kinds = (self.dtype, np.dtype(np.float32)) if self.kind == "dequantize" else (np.dtype(np.float32), self.dtype)
        memory = [(ctypes.c_char * (count * k.itemsize)).from_address(p) for p, k in zip((source, target), kinds)]
        arrays = [np.frombuffer(m, k) for m, k in zip(memory, kinds)]
        if self.kind == "dequantize":
            first, length, scale, zero_point = numbers
            module_host.to_reals(arrays[0], np.int64(zero_point), np.float32(scale), arrays[1])
            if length:
                first -= Ends.shift if first else 0
                end = np.frombuffer((ctypes.c_char * (4 * length)).from_address(last), np.float32)
                end[:] = arrays[1][first : first + length]
        else:
            program = module_host.multiply_to_codes if self.kind == "multiply" else module_host.divide_to_codes
            program(arrays[0], *(np.float32(v) for v in numbers), arrays[1])
        return (self.status,)


def kernel(kind, dtype, driver=None):
    """A kernel whose driver is the CPU."""
    made = KERNEL.__new__(KERNEL)
    made.driver, made.function = driver or Driver(kind, dtype), None
    made.prepare(kind, 0)
    return made


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    monkeypatch.setattr(module_cuda, "bind", lambda device: None)
    stream = type("Stream", (), {"cuda_stream": 0})
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)


@pytest.mark.parametrize("reciprocal", [False, True])
@pytest.mark.parametrize(("fmt", "dtype"), [(INT8, "int8"), (INT16, "int16"), (IntFormat(5, True), "int8")])
@pytest.mark.parametrize("zero_point", [0, 11])
def test_the_arguments_reach_the_driver(reciprocal, fmt, dtype, zero_point):
    p = Point(0.023529412224888802, zero_point, fmt, reciprocal, CPU)
    v = torch.randn(40, 30).t() * 3
    codes = p._quantize_by(kernel("multiply" if reciprocal else "divide", dtype), v)
    assert torch.equal(codes, p.quantize(v)) and codes.is_contiguous()
    reals = p._dequantize_by(kernel("dequantize", dtype), codes.t())
    assert torch.equal(reals, p.dequantize(codes).t())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
def test_states_and_where_they_end_in_one_kernel(dtype):
    p = Point(0.25, 3, {"int8": INT8, "uint8": IntFormat(8, False), "int16": INT16, "int32": IntFormat(16, False)}[dtype],
              False, CPU)  # fmt: skip
    h = torch.randint(p.fmt.qmin, p.fmt.qmax + 1, (6, 3, 4)).to(p.dtype)
    wanted = p.dequantize(h)
    for reverse in (False, True):
        for index in (0, 1):
            ends = torch.full((2, 3, 4), 7.0)
            for given in (h, h.transpose(0, 1).contiguous().transpose(0, 1)):
                states = p._states_by(kernel("dequantize", dtype), given, ends, index, reverse)
                assert torch.equal(states, wanted[1:]) and states.is_contiguous()
            assert torch.equal(ends[index], wanted[1 if reverse else 5]) and torch.all(ends[1 - index] == 7.0)
            plain = torch.full((2, 3, 4), 7.0)
            assert torch.equal(p.states(h, plain, index, reverse), states) and torch.equal(plain, ends)


def test_points_share_a_kernel():
    shared = kernel("divide", "int8")
    points = [Point(2.0**-i, i, INT8, False, CPU) for i in range(4)]
    v = torch.linspace(-3, 3, 500)
    wanted = [p.quantize(v) for p in points]
    for i in (0, 1, 1, 0, 2, 3, 2):
        assert torch.equal(points[i]._quantize_by(shared, v), wanted[i])
    assert len({bytes(codes.numpy()) for codes in wanted}) == 4


def test_threads_share_a_kernel():
    class Meeting(Driver):
        """Reads no arguments before every thread has written its own."""

        written = threading.Barrier(3, timeout=60)

        def cuLaunchKernel(self, *arguments):
            self.written.wait()
            return super().cuLaunchKernel(*arguments)

    shared, found = kernel("divide", "int8", Meeting("divide", "int8")), [None] * 3
    points = [Point(2.0**-i, i, INT8, False, CPU) for i in range(3)]
    values = [torch.linspace(-3, 3, 500 + i) for i in range(3)]

    def work(i):
        found[i] = [points[i]._quantize_by(shared, values[i]) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for p, v, several in zip(points, values, found):
        assert len(several) == 3 and all(torch.equal(codes, p.quantize(v)) for codes in several)


def test_the_check_takes_good_kernels_and_refuses_others(monkeypatch):
    monkeypatch.setattr(module_boundary.torch, "device", lambda *a: CPU)
    check = module_boundary._CHECKS[False, torch.int8]
    pair = kernel("divide", "int8"), kernel("dequantize", "int8")
    assert check(pair)
    wrong = Driver("divide", "int8")
    wrong.kind = "multiply"
    assert not check((kernel("divide", "int8", wrong), pair[1]))
    with monkeypatch.context() as patch:
        patch.setattr(module_host, "to_reals", lambda q, zp, scale, out: out.fill(1))
        assert not check(pair)
    assert check(pair)
    monkeypatch.setattr(Ends, "shift", 1)
    assert not check(pair)


@pytest.mark.parametrize("default", [torch.float64, torch.float16])
def test_the_check_takes_good_kernels_where_new_tensors_have_another_type(monkeypatch, default):
    monkeypatch.setattr(module_boundary.torch, "device", lambda *a: CPU)
    kept = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        assert module_boundary._CHECKS[False, torch.int8]((kernel("divide", "int8"), kernel("dequantize", "int8")))
    finally:
        torch.set_default_dtype(kept)


def test_a_refusal_leaves_torch_in_use_with_one_warning(monkeypatch):
    refused = Driver("divide", "int8")
    refused.status = type("Status", (), {"name": "CUDA_ERROR_INVALID_CONTEXT"})
    monkeypatch.setattr(module_cuda, "Kernel", lambda kind, dtype, device: kernel(kind, dtype, refused))

    def check(pair):
        v, codes = torch.zeros(3), torch.zeros(3, dtype=torch.int8)
        pair[0].start(3, (v.data_ptr(), codes.data_ptr(), 3), (1.0, 0.0, 0.0, 1.0, 0.0))
        return True

    with pytest.warns(RuntimeWarning, match="torch's own operations: RuntimeError: the CUDA driver gave CUDA_ERROR_"):
        assert module_cuda.kernels(False, "int8", 0, check) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module_cuda.kernels(False, "int8", 0, check) is None
    with pytest.warns(RuntimeWarning, match="the kernels gave other bits"):
        assert module_cuda.kernels(False, "int8", 0, lambda pair: False) is None
    good = module_cuda.kernels(True, "int8", 0, lambda pair: True)
    assert good is not None


@pytest.mark.parametrize("reverse", [False, True])
def test_runs_by_the_twin_wait_for_the_caller_and_the_caller_for_them(monkeypatch, reverse):
    gru = QuantGRU(3, 4)
    gru.set_all_bitwidth(12)
    gru.calibrate(torch.randn(6, 2, 3))
    d = replace(gru._directions(CPU)[0][0], reverse=reverse)
    order = []

    class Stream:
        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            order.append(f"{self.name} waits for {other.name}")

    def on_host(params, x, h0, *, reverse, device, on_device):
        assert (device, on_device) == ("gpu", True)
        order.append("run")
        return twin(params, x.numpy(), None if h0 is None else h0.numpy(), reverse=reverse, device="host")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("caller"))
    monkeypatch.setattr(torch.cuda, "default_stream", lambda device: Stream("default"))
    @contextmanager
    def on_device(number, module):
        assert (number, module) == (x.device.index, torch)  # None, as x stands on the CPU here
        order.append("device of x")
        yield
        order.append("device before")

    monkeypatch.setattr(module_network, "run_stages", on_host)
    monkeypatch.setattr(module_network, "on_device", on_device)
    x, h0 = (point.quantize(torch.randn(shape)) for point, shape in ((d.x, (5, 2, 3)), (d.h, (2, 4))))
    for start in (h0, None):
        assert torch.equal(module_network._gpu_trace(d.params, x, start, reverse)["h"].to(d.h.dtype), d.run(x, start))
    steps = ["default waits for caller", "device of x", "run", "caller waits for default", "device before"]
    assert order == steps * 2


def test_a_point_on_a_gpu_uses_its_kernels(monkeypatch):
    p = replace(Point(0.5, 3, INT8, False, CPU), device=torch.device("cuda", 0))
    used = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(module_cuda, "kernels", lambda *a: used.append(a[:3]) or ("to codes", "to reals"))
    monkeypatch.setattr(Point, "_quantize_by", lambda self, k, v: k)
    monkeypatch.setattr(Point, "_dequantize_by", lambda self, k, v: k)
    monkeypatch.setattr(Point, "quantize_by_torch", lambda self, v: "torch")
    assert (p.quantize(torch.zeros(2)), p.dequantize(torch.zeros(2))) == ("to codes", "to reals")
    assert used == [(False, "int8", 0)]
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert p.quantize(torch.zeros(2)) == "torch"


def on_this_thread(function, blocks, threads, *arguments):
    """Run the source of a kernel for every thread of a grid, with binary32 for its intrinsics."""
    here = SimpleNamespace(blockIdx=SimpleNamespace(x=0), threadIdx=SimpleNamespace(x=0))
    names = {
        "cuda": here,
        "int32": int,
        "int64": int,
        "float32": np.float32,
        "libdevice": SimpleNamespace(fmul_rn=np.multiply, fdiv_rn=np.divide, fadd_rn=np.add, rintf=np.rint),
        "multiply": False,
    }
    cells = tuple(types.CellType(names[name]) for name in function.__code__.co_freevars)
    bound = types.FunctionType(function.__code__, function.__globals__, function.__name__, None, cells)
    for here.blockIdx.x in range(blocks):
        for here.threadIdx.x in range(threads):
            bound(*arguments)


@pytest.mark.parametrize(("first", "length"), [(0, 0), (0, 40), (260, 40), (299, 1)])
def test_the_source_of_the_kernels(first, length):
    v = np.concatenate([np.linspace(-40, 40, 297), [np.nan, np.inf, -np.inf]]).astype(np.float32)
    codes, reals, last = np.full(301, 99, np.int8), np.full(301, 99, np.float32), np.full(41, 99, np.float32)
    numbers = tuple(np.float32(n) for n in (0.25, 3, -128, 127, 0))
    on_this_thread(module_cuda.quantize_source(False), 2, module_cuda.THREADS, v, codes, 300, *numbers)
    p = Point(0.25, 3, INT8, False, CPU)
    wanted = p.quantize(torch.from_numpy(v))
    assert np.array_equal(codes[:300], wanted.numpy()) and codes[300] == 99
    on_this_thread(module_cuda.dequantize_source(), 2, module_cuda.THREADS, codes, reals, last, 300, first, length,
                   np.float32(0.25), 3)  # fmt: skip
    expected = p.dequantize(wanted).numpy()
    assert np.array_equal(reals[:300], expected) and reals[300] == 99
    assert np.array_equal(last[:length], expected[first : first + length]) and np.all(last[length:] == 99)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("given", [False, True])
def test_a_forward_starts_two_kernels_at_its_boundary(monkeypatch, options, given):
    gru, x = QuantGRU(3, 4, use_quantization=True, **options), torch.randn(6, 2, 3)
    gru.calibrate(x)
    hx = torch.rand(gru.num_layers * (1 + gru.bidirectional), 2, 4) if given else None
    started = []
    with torch.no_grad():
        wanted = gru(x, hx)
        for layer in gru._directions(CPU):
            for d in layer:
                for point in (d.x, d.h):
                    pair = kernel("divide", "int8"), kernel("dequantize", "int8")
                    for one, kind in zip(pair, ("codes", "reals")):
                        start = one.start
                        one.start = lambda *a, start=start, kind=kind: (started.append(kind), start(*a))
                    point.__dict__.update(_on_cpu=False, _index=0, kernels=pair)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch, "stack", None)  # h_n is written where it belongs, not put together
        found = gru(x, hx)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted))
    directions = len(gru._flat_weights) // 4
    layers = gru._directions(CPU)
    quantized = sum(1 + (len(layer) == 2 and layer[0].x != layer[1].x) for layer in layers)
    assert started.count("reals") == directions and started.count("codes") == quantized + directions * given
    output, h_n = found
    before = output.clone()
    h_n.zero_()
    assert torch.equal(output, before) and output.untyped_storage().data_ptr() != h_n.untyped_storage().data_ptr()
