"""The quantized forward of QuantGRU is golden's network, code for code, however it is called."""

from __future__ import annotations

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.quantize import dequantize, quantize, quantize_reciprocal, reciprocal  # noqa: E402
from golden.sequence import forward as golden  # noqa: E402
from golden.spec.errors import ParameterError  # noqa: E402
from golden.spec.formats import INT8, INT16, UINT16, IntFormat  # noqa: E402
from golden.spec.params import same_params  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402
from quant_gru.build import mshift_params, pot_params  # noqa: E402
from quant_gru.module_boundary import Point  # noqa: E402
from quant_gru.module_params import moved_exponents  # noqa: E402
from tests.quant_gru.module_problems import drawn, expected, found, same  # noqa: E402

CPU = torch.device("cpu")


def calibrated(datapath="pot", bits=8, **options):
    """(module in quantized mode, its calibration data)."""
    torch.manual_seed(1)
    gru = QuantGRU(5, 7, **options)
    gru.datapath = datapath
    gru.set_all_bitwidth(bits, is_symmetric=False)
    x = torch.randn(6, 4, 5)
    gru.calibrate(x)
    gru.use_quantization = True
    return gru, x


@pytest.mark.parametrize("block", range(4))
def test_drawn_problems_equal_golden(block):
    for seed in range(block * 20, block * 20 + 20):
        p = drawn(seed)
        wanted = expected(p)
        with torch.no_grad():
            assert same(found(p, p.module(*p.inputs())), wanted), seed
        assert same(found(p, p.module(*p.inputs())), wanted), f"{seed} with gradients"


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_the_parameters_are_those_of_the_builder(datapath):
    gru, x = calibrated(datapath, bidirectional=True)
    seen = gru._quantization.observers[0]
    build = pot_params if datapath == "pot" else mshift_params
    for made, weights, own in zip(gru.quant_params()[0], gru.stack().layers[0], seen):
        assert same_params(made, build(weights.gru, own, widths=gru._quantization.config.operators))


@pytest.mark.parametrize("fmt", [INT8, INT16, UINT16, IntFormat(3, True)], ids=str)
@pytest.mark.parametrize("scale", [0.023529412224888802, 2.0**-7, 3.0e-39, 1e30])
@pytest.mark.parametrize("zero_point", [0, 3, -128, 2_000_000_011])
def test_the_float_boundary(fmt, scale, zero_point):
    rng = np.random.Generator(np.random.PCG64(5))
    scale = float(np.float32(scale))
    bits = rng.integers(0, 1 << 32, 4000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = ((rng.integers(-400, 400, 4000) + 0.5) * np.float64(scale)).astype(np.float32)
    v = np.concatenate([bits, near, np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38], np.float32)])
    for flag, wanted in ((False, quantize(v, scale, zero_point, fmt)),
                         (True, quantize_reciprocal(v, reciprocal(scale), zero_point, fmt))):  # fmt: skip
        point = Point(scale, zero_point, fmt, flag, CPU)
        reals = dequantize(wanted, scale, zero_point).tobytes()
        for codes in (point.quantize(torch.from_numpy(v)), point.quantize_by_torch(torch.from_numpy(v))):
            assert np.array_equal(codes.numpy().astype(np.int64), wanted)
            assert point.dequantize(codes).numpy().tobytes() == reals
            assert point.dequantize_by_torch(codes).numpy().tobytes() == reals


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_codes_in_and_out(datapath):
    gru, x = calibrated(datapath, bidirectional=True, batch_first=True)
    forward, reverse = gru.quant_params()[0]
    codes = torch.randint(-128, 128, (4, 6, 5))
    h0 = torch.randint(-128, 128, (2, 4, 7))
    output, h_n = gru.forward_codes(codes, h0)
    time_major = codes.numpy().swapaxes(0, 1)
    a, b = golden(forward, time_major, h0[0].numpy()), golden(reverse, time_major, h0[1].numpy(), reverse=True)
    assert np.array_equal(output.numpy(), np.concatenate([a.output, b.output], axis=-1).swapaxes(0, 1))
    assert np.array_equal(h_n.numpy(), np.stack([a.h_n, b.h_n]))
    assert output.dtype == h_n.dtype == torch.int32
    for bad, text in ((codes.float(), "float32"), (codes + 300, "expected codes of int8"), (codes[..., :3], "expected \\[any")):
        with pytest.raises(ValueError, match=text):
            gru.forward_codes(bad)
    with pytest.raises(ValueError, match="h0 is a tensor of shape"):
        gru.forward_codes(codes, h0[:1])


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_codes_of_64_unsigned_bits_do_not_wrap(datapath):
    gru, _ = calibrated(datapath)
    with pytest.raises(ValueError, match="^x has the code 18446744073709551615, expected codes of int8"):
        gru.forward_codes(torch.full((3, 2, 5), 2**64 - 1, dtype=torch.uint64))
    ones = [torch.ones((3, 2, 5), dtype=kind) for kind in (torch.uint64, torch.int8)]
    assert torch.equal(*(gru.forward_codes(x)[0] for x in ones))


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_codes_of_no_steps_are_the_initial_states(datapath):
    gru, _ = calibrated(datapath, num_layers=2, bidirectional=True)
    h0 = torch.randint(-128, 128, (4, 3, 7), dtype=torch.int32)
    output, h_n = gru.forward_codes(torch.zeros(0, 3, 5, dtype=torch.int8), h0)
    assert output.shape == (0, 3, 14) and torch.equal(h_n, h0)
    points = [params.zp_h if datapath == "mshift" else params.operators["input.h"].zero_point
              for layer in gru.quant_params() for params in layer]  # fmt: skip
    assert gru.forward_codes(torch.zeros(0, 3, 5, dtype=torch.int8))[1][:, 0, 0].tolist() == points


def test_stacked_codes_are_the_codes_of_forward():
    gru, x = calibrated(num_layers=3)
    h = gru._directions(CPU)[-1][0].h
    with torch.no_grad():
        output, h_n = gru(x)
    codes, last = gru.forward_codes(gru._directions(CPU)[0][0].x.quantize(x))
    assert torch.equal(h.dequantize(codes), output)
    assert torch.equal(h.dequantize(last[-1]), h_n[-1])


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_inside_autocast_and_inference_mode_and_on_views(datapath):
    gru, x = calibrated(datapath, num_layers=2)
    with torch.no_grad():
        wanted = gru(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = gru(x)
    with torch.inference_mode():
        inferred = gru(x)
        both = gru(x.clone())
    wide = torch.randn(6, 8, 10)
    wide[:, ::2, ::2] = x
    view = gru(wide[:, ::2, ::2])
    for got in (inside, inferred, both, view):
        assert all(torch.equal(a, b) and a.dtype == torch.float32 for a, b in zip(got, wanted))


def test_other_dtypes():
    gru, x = calibrated()
    with torch.no_grad():
        wanted, last = gru(x)
        for dtype in (torch.float64, torch.bfloat16):
            half = QuantGRU(5, 7).to(dtype)
            half.load_state_dict(gru.state_dict())
            output, h_n = half(x.to(dtype))
            assert output.dtype == h_n.dtype == dtype and output.shape == wanted.shape
        assert torch.equal(gru.double()(x.double())[0], wanted.double())


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_on_the_cpu_where_new_tensors_go_elsewhere_by_default(datapath):
    gru, x = calibrated(datapath, num_layers=2, bidirectional=True)
    rows = torch.nn.utils.rnn.pack_sequence([x[:, 0], x[:3, 1]])
    wanted, packed = gru(x)[0], gru(rows)[0]
    gradients = torch.autograd.grad(wanted.sum(), list(gru.parameters()))
    fresh = torch.nn.utils.rnn.PackedSequence(*rows)
    codes = gru.forward_codes(gru._directions(CPU)[0][0].x.quantize(x))
    with torch.device("meta"):  # as torch.set_default_device("cuda") does
        inside = gru(x)[0]
        got = torch.autograd.grad(inside.sum(), list(gru.parameters()))
        again = gru.forward_codes(gru._directions(CPU)[0][0].x.quantize(x))
        with torch.no_grad():
            assert torch.equal(gru(x)[0], wanted) and torch.equal(gru(fresh)[0].data, packed.data)
    assert torch.equal(inside, wanted) and all(torch.equal(a, b) for a, b in zip(got, gradients))
    assert all(torch.equal(a, b) for a, b in zip(again, codes))


def test_unbatched_input():
    gru, x = calibrated(bidirectional=True)
    with torch.no_grad():
        wanted, last = gru(x[:, :1], torch.full((2, 1, 7), 0.25))
        output, h_n = gru(x[:, 0], torch.full((2, 7), 0.25))
    assert torch.equal(output, wanted[:, 0]) and torch.equal(h_n, last[:, 0])


def test_a_batch_without_rows():
    gru, x = calibrated(bidirectional=True, batch_first=True)
    output, h_n = gru(torch.zeros(0, 3, 5))
    assert output.shape == (0, 3, 14) and h_n.shape == (2, 0, 7)


def test_several_threads_at_once():
    gru, x = calibrated(num_layers=2, bidirectional=True)
    inputs = [torch.randn(n + 1, 3, 5) for n in range(8)]
    assert not gru.is_calibrated()  # the threads race for the finalization too
    results = [None] * 8

    def work(i):
        with torch.no_grad():
            results[i] = [gru(inputs[i]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with torch.no_grad():
        for x, several in zip(inputs, results):
            output, h_n = gru(x)
            assert all(torch.equal(o, output) and torch.equal(h, h_n) for o, h in several)


def test_prepared_once_for_each_version_of_the_weights():
    gru, x = calibrated()
    with torch.no_grad():
        first = gru(x)[0]
        prepared = gru._directions(CPU)
        assert gru._directions(CPU) is prepared
        gru.weight_hh_l0.mul_(0.5)
        assert gru._directions(CPU) is not prepared
        assert not torch.equal(gru(x)[0], first)
        gru.weight_hh_l0.mul_(2.0)
        assert torch.equal(gru(x)[0], first)
        with torch.inference_mode():
            fresh = torch.nn.Parameter(gru.weight_hh_l0.clone(), requires_grad=False)
        gru.weight_hh_l0 = fresh
        assert torch.equal(gru(x)[0], first)
        with torch.inference_mode():
            fresh.mul_(0.5)
        assert not torch.equal(gru(x)[0], first)


def test_a_tensor_of_inference_mode_in_the_memory_of_a_weight():
    gru, x = calibrated()
    with torch.no_grad():
        first = gru(x)[0]
        with torch.inference_mode():  # it counts no changes
            same = torch.nn.Parameter(torch.from_numpy(gru.weight_hh_l0.numpy()), requires_grad=False)
        assert same.is_inference() and same.data_ptr() == gru.weight_hh_l0.data_ptr()
        gru.weight_hh_l0 = same
        assert torch.equal(gru(x)[0], first)
        with torch.inference_mode():
            same.mul_(0.5)
        assert not torch.equal(gru(x)[0], first)


def test_other_tensors_in_the_place_of_a_weight_are_seen():
    gru, x = calibrated()
    seen = []
    with torch.no_grad():
        for scale in (1.0, 0.5, 0.25, 0.125):
            gru.weight_hh_l0.data = gru.weight_hh_l0.data * scale
            seen.append(gru(x)[0])
            gru.weight_hh_l0 = torch.nn.Parameter(gru.weight_hh_l0 * 0.9)
            seen.append(gru(x)[0])
        fresh = QuantGRU.from_float(gru.to_float())
        fresh.set_extra_state(gru.get_extra_state())
        assert torch.equal(fresh(x)[0], seen[-1])
    assert not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_a_weight_that_is_computed():
    gru, x = calibrated()
    torch.nn.utils.parametrizations.weight_norm(gru, "weight_hh_l0")
    first = gru(x)[0]
    first.sum().backward()
    magnitude = gru.parametrizations.weight_hh_l0.original0
    assert magnitude.grad.abs().sum() > 0
    with torch.no_grad():
        magnitude.mul_(0.5)
        assert not torch.equal(gru(x)[0], first)
        magnitude.mul_(2.0)
        assert torch.equal(gru(x)[0], first)


def test_weights_of_a_functional_call_are_those_that_run(monkeypatch):
    gru, x = calibrated()
    halves = {name: weight.detach() * 0.5 for name, weight in gru.named_parameters()}
    with torch.no_grad():
        first = gru(x)[0]
        inside = torch.func.functional_call(gru, halves, (x,))[0]
        assert torch.equal(gru(x)[0], first)
        asked = []
        monkeypatch.setattr(gru, "_update_flat_weights", lambda: asked.append(1))
        gru(x)
        assert not asked  # nothing has changed since
        monkeypatch.undo()
        for name, half in halves.items():
            getattr(gru, name).copy_(half)
        assert torch.equal(gru(x)[0], inside) and not torch.equal(inside, first)


def test_codes_of_a_functional_call_are_those_of_its_weights():
    gru, x = calibrated()

    class Codes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = gru

        def forward(self, codes):
            return self.gru.forward_codes(codes)[0]

    module = Codes()
    codes = gru._directions(CPU)[0][0].x.quantize(x)
    first = module(codes)
    others = {name: torch.randn_like(weight) for name, weight in module.named_parameters()}
    inside = torch.func.functional_call(module, others, (codes,))
    assert torch.equal(module(codes), first) and not torch.equal(inside, first)
    for name, other in others.items():
        module.get_parameter(name).data = other
    assert torch.equal(module(codes), inside)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 2, "bidirectional": True}])
def test_the_last_states_have_memory_of_their_own(gradients, options):
    gru, x = calibrated(**options)
    with torch.set_grad_enabled(gradients):
        output, h_n = gru(x)
        before = output.clone()
        h_n.data.zero_()
    assert torch.equal(output, before) and output.untyped_storage().data_ptr() != h_n.untyped_storage().data_ptr()
    assert not h_n._is_view() or gradients


def test_weights_that_grew_keep_their_codes():
    gru, x = calibrated()
    before = gru.quant_params()[0][0]
    with torch.no_grad():
        gru.weight_ih_l0.mul_(4.0)
    after = gru.quant_params()[0][0]
    assert np.array_equal(after.operators["weight.W"].exponent, before.operators["weight.W"].exponent - 2)
    assert np.array_equal(after.W, before.W)


@pytest.mark.parametrize("calibrated_at", [0.0, 0.25])
def test_a_bias_that_is_too_large_now_is_refused_by_its_name(calibrated_at):
    gru = QuantGRU(5, 7, use_quantization=True)
    with torch.no_grad():
        gru.bias_hh_l0.fill_(calibrated_at)
    gru.calibrate(torch.ones(2, 2, 5))
    gru.finalize_calibration()
    with torch.no_grad():
        gru.bias_hh_l0[3] = 1e9
    with pytest.raises(ParameterError, match="^weight.br raw scale is 7874015.7"):
        gru(torch.ones(2, 2, 5))


def test_a_weight_that_the_least_exponent_just_holds_is_taken_though_its_binade_would_want_one_below():
    then, now = np.float32([1.99]), np.float32([2.0**21])
    assert moved_exponents(np.array([5]), then, now, 127).tolist() == [-15]  # 2^21 / 2^15 = 64, a code of int8
    with pytest.raises(ParameterError, match=r"^raw scale is 33026.0157\d*, expected a scale of at most 2\*\*15"):
        moved_exponents(np.array([5]), then, now * np.float32(2), 127)


def test_dropout_between_layers_only_while_training():
    gru, x = calibrated(num_layers=2, dropout=0.5)
    assert gru.training
    first, second = gru(x)[0], gru(x)[0]
    assert not torch.equal(first, second)
    gru.eval()
    assert torch.equal(gru(x)[0], gru(x)[0])
    single, x = calibrated(num_layers=1)
    assert torch.equal(single(x)[0], single(x)[0])


def test_what_is_refused():
    gru, x = calibrated()
    for bad, kind, text in (
        (x[None], ValueError, "Expected input to be 2D or 3D, got 4D"),
        (x[..., :3], RuntimeError, "Expected 5, got 3"),
        (x[:0], RuntimeError, "Expected sequence length to be larger than 0"),
        (x.double(), ValueError, "dtype"),
    ):
        with pytest.raises(kind, match=text):
            gru(bad)
    with pytest.raises(RuntimeError, match="Expected hidden size"):
        gru(x, torch.zeros(1, 3, 7))
    with pytest.raises(RuntimeError, match="not at the same device, found input tensor at cpu and hidden tensor at meta"):
        gru(x, torch.zeros(1, 4, 7, device="meta"))
    with pytest.raises(RuntimeError, match="^For batched 3-D input, hx should also be 3-D but got 2-D tensor$"):
        gru(x, torch.zeros(4, 7))
    with pytest.raises(RuntimeError, match="^For unbatched 2-D input, hx should also be 2-D but got 3-D tensor$"):
        gru(x[0], torch.zeros(1, 4, 7))
    with pytest.raises(RuntimeError, match="call calibrate"):
        QuantGRU(5, 7, use_quantization=True)(x)
    with pytest.raises(RuntimeError, match=r"call calibrate\(data\) first"):
        QuantGRU(5, 7).finalize_calibration()
