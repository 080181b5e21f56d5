"""The PTX of the float boundary's kernels: separate rounded operations, nothing fused or approximate.  [SPEC Q-1 ... Q-3]"""

from __future__ import annotations

import re

import pytest

from quant_gru.module_cuda import ptx

pytestmark = pytest.mark.ptx
FLOAT_STEPS = {
    "divide": ["div.rn.f32", "add.rn.f32", "cvt.rni.f32.f32"],
    "multiply": ["mul.rn.f32", "add.rn.f32", "cvt.rni.f32.f32"],
    "dequantize": ["cvt.rn.f32.s64", "mul.rn.f32"],
}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
@pytest.mark.parametrize("kind", FLOAT_STEPS)
def test_every_float_step_is_one_instruction(kind, dtype):
    body = ptx(kind, dtype, (9, 0)).split(".entry")[1]
    steps = re.findall(r"^\s*((?:add|sub|mul|div|fma|mad|rcp|cvt)\.\S*f32\S*)\s", body, flags=re.M)
    assert [s for s in steps if s != "cvt.rzi.s32.f32"] == FLOAT_STEPS[kind]
    assert "ftz" not in body and "approx" not in body
    width = {"int8": "8", "uint8": "8", "int16": "16", "int32": "32"}[dtype]
    assert re.search(rf"(?:st|ld)\.global\.[usb]{width}\b", body)
