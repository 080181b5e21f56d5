"""The GPU side of the float boundary without a GPU: what reaches the driver, and what happens when it is refused."""

from __future__ import annotations

import ctypes
import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cuda_impl.sequence import forward as twin  # noqa: E402
from golden.spec.formats import INT8, INT16, IntFormat  # noqa: E402
from quant_gru import QuantGRU, module_boundary, module_cuda, module_host, module_network  # noqa: E402
from quant_gru.module_boundary import Point  # noqa: E402

CPU = torch.device("cpu")
KERNEL = module_cuda.Kernel


class Driver:
    """Reads the arguments as a kernel would, and does on the CPU what the kernel does."""

    class CUresult:
        CUDA_SUCCESS = type("Status", (), {"name": "CUDA_SUCCESS"})

    def __init__(self, kind, dtype):
        self.kind, self.dtype, self.status = kind, np.dtype(dtype), self.CUresult.CUDA_SUCCESS

    def cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra):
        types = module_cuda.argument_types(self.kind)
        places = (ctypes.c_void_p * len(types)).from_address(parameters)
        source, target, count, *numbers = (kind.from_address(place).value for kind, place in zip(types, places))
        assert (gy, gz, by, bz, shared, extra) == (1, 1, 1, 1, 0, 0) and (gx - 1) * bx < count <= gx * bx
        kinds = (self.dtype, np.dtype(np.float32)) if self.kind == "dequantize" else (np.dtype(np.float32), self.dtype)
        memory = [(ctypes.c_char * (count * k.itemsize)).from_address(p) for p, k in zip((source, target), kinds)]
        arrays = [np.frombuffer(m, k) for m, k in zip(memory, kinds)]
        if self.kind == "dequantize":
            module_host.to_reals(arrays[0], np.int64(numbers[1]), np.float32(numbers[0]), arrays[1])
        else:
            program = module_host.multiply_to_codes if self.kind == "multiply" else module_host.divide_to_codes
            program(arrays[0], *(np.float32(v) for v in numbers), arrays[1])
        return (self.status,)


def kernel(kind, dtype, driver=None):
    """A kernel whose driver is the CPU."""
    made = KERNEL.__new__(KERNEL)
    made.driver = driver or Driver(kind, dtype)
    made.function, made.device, made.types = None, 0, module_cuda.argument_types(kind)
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


def test_the_check_takes_good_kernels_and_refuses_others(monkeypatch):
    monkeypatch.setattr(module_boundary.torch, "device", lambda *a: CPU)
    check = module_boundary._CHECKS[False, torch.int8]
    pair = kernel("divide", "int8"), kernel("dequantize", "int8")
    assert check(pair)
    wrong = Driver("divide", "int8")
    wrong.kind = "multiply"
    assert not check((kernel("divide", "int8", wrong), pair[1]))
    monkeypatch.setattr(module_host, "to_reals", lambda q, zp, scale, out: out.fill(1))
    assert not check(pair)


def test_a_refusal_leaves_torch_in_use_with_one_warning(monkeypatch):
    refused = Driver("divide", "int8")
    refused.status = type("Status", (), {"name": "CUDA_ERROR_INVALID_CONTEXT"})
    monkeypatch.setattr(module_cuda, "Kernel", lambda kind, dtype, device: kernel(kind, dtype, refused))

    def check(pair):
        v = torch.zeros(3)
        pair[0].start(3, v, v.to(torch.int8), 1.0, 0.0, 0.0, 1.0, 0.0)
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
    monkeypatch.setattr(module_network, "run_stages", on_host)
    x, h0 = (point.quantize(torch.randn(shape)) for point, shape in ((d.x, (5, 2, 3)), (d.h, (2, 4))))
    for start in (h0, None):
        assert torch.equal(module_network._gpu_trace(d.params, x, start, reverse)["h"].to(d.h.dtype), d.run(x, start))
    assert order == ["default waits for caller", "run", "caller waits for default"] * 2


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
