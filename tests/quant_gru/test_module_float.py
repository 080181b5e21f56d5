"""In float mode QuantGRU is torch.nn.GRU: values, gradients, names, shapes, conversion both ways."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

from quant_gru import QuantGRU  # noqa: E402

FLAGS = [dict(zip(("bias", "batch_first", "bidirectional"), v)) for v in itertools.product((False, True), repeat=3)]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("flags", FLAGS, ids=lambda f: "-".join(k for k, v in f.items() if v) or "plain")
def test_equals_nn_gru(device, layers, flags):
    torch.manual_seed(0)
    plain = torch.nn.GRU(4, 6, layers, **flags, device=device)
    torch.manual_seed(0)
    gru = QuantGRU(4, 6, layers, **flags, device=device)
    assert list(gru.state_dict()) == list(plain.state_dict())
    assert all(torch.equal(gru.state_dict()[k], v) for k, v in plain.state_dict().items())
    x = torch.randn(5, 3, 4, device=device)
    hx = torch.randn(layers * (2 if flags["bidirectional"] else 1), 5 if flags["batch_first"] else 3, 6, device=device)
    packed = pack_padded_sequence(x, torch.tensor([2, 3, 1, 3, 2] if flags["batch_first"] else [5, 1, 4]),
                                  flags["batch_first"], enforce_sorted=False)  # fmt: skip
    for data in (x, packed):
        for state in (None, hx):
            (a, h), (b, k) = gru(data, state), plain(data, state)
            a, b = (v.data if data is packed else v for v in (a, b))
            assert torch.allclose(a, b) and torch.allclose(h, k)
    single, states = x[0], hx[:, 0].contiguous()  # cuDNN refuses any other in nn.GRU too
    assert all(torch.allclose(a, b) for a, b in zip(gru(single, states), plain(single, states)))


def test_gradcheck_of_the_float_mode():
    torch.manual_seed(0)
    gru = QuantGRU(2, 3, bidirectional=True).double()
    x, hx = torch.randn(3, 2, 2, dtype=torch.float64), torch.randn(2, 2, 3, dtype=torch.float64)
    x.requires_grad_()
    hx.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: gru(a, b), (x, hx))


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_equal_nn_gru(device):
    gru = QuantGRU(3, 5, 2, device=device)
    plain = gru.to_float()
    x = torch.randn(4, 2, 3, device=device)
    gru(x)[0].square().sum().backward()
    plain(x)[0].square().sum().backward()
    assert all(torch.allclose(a.grad, b.grad) for a, b in zip(gru.parameters(), plain.parameters()))


def test_from_and_to_float():
    plain = torch.nn.GRU(3, 5, 2, bias=False, batch_first=True, dropout=0.25, bidirectional=True, dtype=torch.float64).eval()
    gru = QuantGRU.from_float(plain)
    back = gru.to_float()
    assert type(back) is torch.nn.GRU and repr(back) == repr(plain) and not gru.training and not back.training
    for name, value in plain.state_dict().items():
        assert torch.equal(gru.state_dict()[name], value) and torch.equal(back.state_dict()[name], value)
        assert gru.state_dict()[name].data_ptr() != value.data_ptr() != back.state_dict()[name].data_ptr()
    with pytest.raises(TypeError, match="gru is a Linear, expected a torch.nn.GRU"):
        QuantGRU.from_float(torch.nn.Linear(1, 1))


def test_positional_arguments():
    gru = QuantGRU(3, 5, 2, False, True, 0.5, True, True)
    assert (gru.num_layers, gru.bias, gru.batch_first, gru.dropout, gru.bidirectional) == (2, False, True, 0.5, True)
    assert gru.use_quantization and "use_quantization=True, datapath=pot, calibrated=False" in repr(gru)


def test_the_package_does_not_import_torch():
    code = "import sys, quant_gru; assert 'torch' not in sys.modules; from quant_gru import QuantGRU; QuantGRU(1, 1)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=".").returncode == 0
    with pytest.raises(ImportError):
        exec("from quant_gru import nothing")


def test_without_torch_one_sentence_names_the_extra():
    code = "import sys; sys.modules['torch'] = None\nfrom quant_gru import QuantGRU"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=".")
    assert done.stderr.splitlines()[-1].endswith(
        'MissingPart: torch is not installed, expected it here: pip install "qgru[torch]"'
    )
