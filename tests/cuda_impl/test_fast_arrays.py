"""Where a network on a GPU is to put its codes: what is refused before a kernel could write past its end."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cuda_impl.fast.gpu_arrays import fill, output_codes
from golden.spec.errors import ParameterError

SHAPE = (3, 2, 4)
SAID = {"typestr": "|i1", "shape": SHAPE, "strides": None, "data": (4096, False), "version": 3}


def device_array(**changes):
    """Something with __cuda_array_interface__; nothing lies at its address."""
    return SimpleNamespace(__cuda_array_interface__=SAID | changes)


def test_an_array_on_the_device_that_fits_is_taken():
    for dtype, typestr in ((np.int8, "|i1"), (np.uint8, "|u1"), (np.int16, "<i2"), (np.uint16, "<u2")):
        out = device_array(typestr=typestr)
        assert output_codes(None, out, None, SHAPE, dtype) is out
        for other in {np.int8, np.uint8, np.int16, np.uint16} - {dtype}:
            with pytest.raises(ParameterError, match="out is "):
                output_codes(None, out, None, SHAPE, other)


@pytest.mark.parametrize(
    "changes", [{"shape": (3, 2, 3)}, {"shape": (2, 2, 4)}, {"shape": (24,)}, {"strides": (4, 12, 1)}, {"data": (4096, True)}]
)
def test_an_array_on_the_device_that_does_not_fit_is_refused(changes):
    with pytest.raises(ParameterError, match=r"expected writable, contiguous int8 codes of shape \[3, 2, 4\] on the GPU"):
        output_codes(None, device_array(**changes), None, SHAPE, np.int8)


@pytest.mark.parametrize("out", [np.zeros(SHAPE, np.int8), [0], 7, SimpleNamespace(__cuda_array_interface__=None)])
def test_what_lies_elsewhere_is_refused(out):
    with pytest.raises(ParameterError, match="out is .*on the GPU"):
        output_codes(None, out, None, SHAPE, np.int8)


def test_tensors_are_of_one_kind_with_x_and_lie_on_its_device():
    torch = pytest.importorskip("torch")
    x = torch.zeros((2, 2, 1), dtype=torch.int8)
    out = torch.zeros(SHAPE, dtype=torch.int8)
    assert output_codes(torch, out, x, SHAPE, np.int8) is out
    wrong = [
        out[:2], out.to(torch.uint8), out.float(), out.permute(1, 0, 2), torch.zeros((3, 2, 8), dtype=torch.int8)[..., :4],
        torch.zeros(SHAPE, dtype=torch.int8, device="meta"), np.zeros(SHAPE, np.int8), device_array(), "out",
    ]  # fmt: skip
    for one in wrong:
        with pytest.raises(ParameterError, match=r"out is .*codes of shape \[3, 2, 4\] in a tensor on the device of x"):
            output_codes(torch, one, x, SHAPE, np.int8)


def test_a_tensor_is_filled_with_codes():
    torch = pytest.importorskip("torch")
    codes, out = torch.arange(24, dtype=torch.int8).view(SHAPE), torch.zeros(SHAPE, dtype=torch.int8)
    assert fill(out, codes) is out and torch.equal(out, codes)
    assert torch.equal(fill(torch.zeros(SHAPE, dtype=torch.int8), codes.numpy() + 1), codes + 1)
