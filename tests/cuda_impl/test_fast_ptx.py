"""The GPU's fast kernels compiled for compute capability 9.0, no GPU needed: registers, spills and instructions."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import files

import pytest

pytestmark = [pytest.mark.ptx]

FLOATING = re.compile(r"\b(?:add|sub|mul|fma|div|cvt)(?:\.\w+)*\.f(?:16|32|64)\b")


BINARY32 = re.compile(r"\b(?:add|sub|mul|fma|mad|div|rcp|sqrt|min|max)\.\S*f32\b")


class _Device:
    compute_capability = (9, 0)


@pytest.fixture
def compiled(monkeypatch):
    """compiled(function, signature) -> PTX."""
    import numba.cuda.dispatcher
    from numba import cuda

    monkeypatch.setattr(numba.cuda.dispatcher, "get_current_device", _Device)
    return lambda function, signature: cuda.compile(function, signature, cc=(9, 0), device=False, abi="numba")[0]


def assembled(text: str, folder, threads: int) -> tuple[int, int]:
    """(registers, bytes spilled) by the assembler of the toolkit."""
    tool = next(f for f in files("nvidia-cuda-nvcc") or [] if f.name == "ptxas").locate()
    (folder / "kernel.ptx").write_text(text)
    limit = min(255, 65536 // threads // 8 * 8)
    arch = re.findall(r"^\.target (sm_\w+)", text, re.MULTILINE)[0]
    options = ["-v", f"-arch={arch}", f"--maxrregcount={limit}"]
    run = subprocess.run(
        [str(tool), *options, str(folder / "kernel.ptx"), "-o", str(folder / "kernel.cubin")],
        capture_output=True,
        text=True,
        check=True,
    )
    registers = int(re.findall(r"Used (\d+) registers", run.stderr)[0])
    return registers, sum(int(n) for n in re.findall(r"(\d+) bytes spill", run.stderr))


@pytest.mark.parametrize(("hidden", "batch"), [(64, 1), (256, 32), (1024, 64)])
@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_the_recurrence_stays_in_registers(hidden, batch, datapath, compiled, tmp_path):
    from cuda_impl.fast.gpu_cluster import recurrence, signature
    from cuda_impl.fast.gpu_layout import Kind
    from cuda_impl.fast.gpu_shape import shape_for

    kind = Kind(datapath, (False,) * 3, plain=True)
    shape = shape_for(hidden, batch, kind, batch * hidden * hidden * 3, grouped=False)
    text = compiled(recurrence(shape, kind), signature(kind, 30 if datapath == "mshift" else 73))
    assert text.count("mma.sync.aligned.m16n8k32") == 6 * shape.chunks * shape.groups
    assert FLOATING.findall(text) == []
    _registers, spilled = assembled(text, tmp_path, shape.threads)
    assert spilled <= 64


@pytest.mark.parametrize(("hidden", "batch", "grouped"), [(64, 1, 0), (256, 32, 0), (1024, 64, 1), (1000, 120, 1)])
@pytest.mark.parametrize("still", [0, 7])
def test_units_in_binary32_stay_in_registers_and_round_every_operation(hidden, batch, grouped, still, compiled, tmp_path):
    from cuda_impl.fast import gpu_cluster, gpu_group
    from cuda_impl.fast.gpu_driver import for_this_chip
    from cuda_impl.fast.gpu_layout import Kind
    from cuda_impl.fast.gpu_real import REAL_NUMBERS
    from cuda_impl.fast.gpu_shape import shape_for

    kind = Kind("pot", (False,) * 3, plain=True, left=False, still=still, real=True, packed=hidden % 16 == 0)
    shape = shape_for(hidden, batch, kind, batch * hidden * hidden * 3, grouped=bool(grouped))
    kernel = (gpu_group if grouped else gpu_cluster).recurrence(shape, kind)
    text = for_this_chip(compiled(kernel, gpu_cluster.signature(kind, len(REAL_NUMBERS))))
    assert set(BINARY32.findall(text)) == {f"{op}.f32" for op in ("fma.rn", "add.rn", "sub.rn", "add.rn.sat", "sub.rn.sat")}
    assert set(FLOATING.findall(text)) <= set(BINARY32.findall(text)) | {"cvt.rn.f32"}
    _registers, spilled = assembled(text, tmp_path, shape.threads)
    assert spilled <= 64


@pytest.mark.parametrize(("hidden", "batch"), [(1000, 3), (513, 16), (1024, 24), (1024, 32), (200, 48)])
@pytest.mark.parametrize(("datapath", "still"), [("mshift", 0), ("pot", 0), ("pot", 15)])
def test_four_warps_together_stay_in_registers(hidden, batch, datapath, still, compiled, tmp_path):
    from cuda_impl.fast.gpu_cluster import signature
    from cuda_impl.fast.gpu_driver import for_this_chip
    from cuda_impl.fast.gpu_group import recurrence
    from cuda_impl.fast.gpu_layout import Kind
    from cuda_impl.fast.gpu_shape import shape_for

    kind = Kind(datapath, (False,) * 3, plain=True, left=not still, still=still, packed=hidden % 16 == 0)
    shape = shape_for(hidden, batch, kind, units=64, clusters=1, grouped=True)
    text = for_this_chip(compiled(recurrence(shape, kind), signature(kind, 30 if datapath == "mshift" else 73)))
    assert text.count("wgmma.mma_async") == 6 * shape.chunks and f"m64n{8 * shape.groups}k32.s32.s8.s8" in text
    assert ".target sm_90a\n" in text and "mma.sync.aligned.m16n8k32" not in text and FLOATING.findall(text) == []
    _registers, spilled = assembled(text, tmp_path, shape.threads)
    assert spilled <= 64


@pytest.mark.parametrize("limbs", [1, 2])
def test_the_grid_kernel_stays_in_registers(limbs, compiled, tmp_path):
    from cuda_impl.fast.gpu_grid import THREADS, GridShape, recurrence, signature
    from cuda_impl.fast.gpu_layout import Kind

    kind = Kind("pot", (limbs == 2,) * 3, wide=limbs == 2, plain=True)
    text = compiled(recurrence(GridShape(64, 2, 1, limbs), kind), signature(kind, 73))
    assert text.count(".s8.s8.s32") == (6 * 2 if limbs == 1 else 12 * 2)
    assert text.count(".u8.s8.s32") == (0 if limbs == 1 else 12 * 2)
    assert FLOATING.findall(text) == []
    _registers, spilled = assembled(text, tmp_path, THREADS)
    assert spilled == 0


def test_the_input_products_stay_in_registers(compiled, tmp_path):
    from cuda_impl.fast import gpu_input, gpu_limbs

    for function, signature in (
        (gpu_input.input_kernel(True), gpu_input.input_signature()),
        (gpu_input.input_kernel(False), gpu_input.input_signature()),
        (gpu_limbs.product_kernel(), gpu_limbs.product_signature()),
    ):
        text = compiled(function, signature)
        assert FLOATING.findall(text) == []
        assert assembled(text, tmp_path, 256)[1] == 0


@pytest.mark.parametrize(("blocks", "chunks", "groups", "zoneout"), [(16, 1, 2, 0), (69, 3, 1, 1), (128, 4, 2, 2)])
def test_the_kernel_of_moving_ranges_rounds_every_operation(blocks, chunks, groups, zoneout, compiled, tmp_path):
    from cuda_impl.fast.gpu_grid import THREADS, GridShape
    from cuda_impl.fast.gpu_moving import recurrence, signature
    from tests.cuda_impl.test_ptx import BINARY32, FORBIDDEN

    text = compiled(recurrence(GridShape(blocks, chunks, groups, 1), zoneout), signature())
    assert text.count("mma.sync.aligned.m16n8k32") == 6 * chunks * groups
    assert FORBIDDEN.findall(text) == []
    rounded = BINARY32.findall(text)
    assert rounded and [op for op in rounded if ".rn." not in op] == []
    _registers, spilled = assembled(text, tmp_path, THREADS)
    assert spilled <= 64


@pytest.mark.parametrize(("hidden", "batch", "zoneout"), [(7, 1, 1), (1024, 128, 2)])
def test_the_clusters_of_moving_ranges_round_every_operation(hidden, batch, zoneout, compiled, tmp_path):
    from cuda_impl.fast.gpu_layout import Kind
    from cuda_impl.fast.gpu_moving_cluster import recurrence, signature
    from cuda_impl.fast.gpu_moving_cluster_network import moving_shape
    from tests.cuda_impl.test_ptx import BINARY32, FORBIDDEN

    kind = Kind("mshift", (False,) * 3, packed=hidden % 16 == 0, zoneout=zoneout, moving=True)
    shape, clusters = moving_shape(hidden, batch, kind)
    text = compiled(recurrence(shape, kind, clusters > 1), signature())
    assert text.count("mma.sync.aligned.m16n8k32") == 6 * shape.chunks * shape.groups * shape.passes
    assert FORBIDDEN.findall(text) == []
    rounded = BINARY32.findall(text)
    assert rounded and [op for op in rounded if ".rn." not in op] == []
    assert ("ld.relaxed.gpu" in text) == (clusters > 1) and ("st.async" in text) == (shape.blocks > 1)
    _registers, spilled = assembled(text, tmp_path, shape.threads)
    assert spilled <= 64


def test_what_x_decides_is_rounded_operation_by_operation(compiled, tmp_path):
    from cuda_impl.fast import gpu_moving_x as of_x
    from tests.cuda_impl.test_ptx import BINARY32, FORBIDDEN

    for function, signature, threads in (
        (of_x.ahead_kernel(), of_x.ahead_signature(), of_x.THREADS),
        (of_x.extremes_kernel(), of_x.extremes_signature(), of_x.LANES),
        (of_x.bias_kernel(), of_x.bias_signature(), of_x.LANES),
        *((of_x.quantize_kernel(by, fours), of_x.quantize_signature(), of_x.LANES) for by in (0, 1) for fours in (0, 1)),
    ):
        text = compiled(function, signature)
        assert FORBIDDEN.findall(text) == [] and [op for op in BINARY32.findall(text) if ".rn." not in op] == []
        assert assembled(text, tmp_path, threads)[1] == 0


@pytest.mark.parametrize("hidden", [1, 7, 16, 17, 64, 65, 100, 129, 256, 320, 513, 1000, 1024])
def test_every_shape_of_moving_ranges_fits_and_runs_at_once(hidden):
    from cuda_impl.fast.gpu_layout import SHARED_BYTES, Kind, shared_layout
    from cuda_impl.fast.gpu_moving_cluster import POSTS
    from cuda_impl.fast.gpu_moving_cluster_network import moving_shape
    from cuda_impl.fast.gpu_shape import CLUSTER_BLOCKS

    kind = Kind("mshift", (False,) * 3, packed=hidden % 16 == 0, moving=True)
    for batch in (1, 8, 9, 31, 64, 128, 512, 5000):
        found = moving_shape(hidden, batch, kind)
        assert found is not None or batch > 512
        if found is not None:
            shape, clusters = found
            assert clusters * shape.valid >= batch > (clusters - 1) * shape.valid and (clusters == 1 or batch > 8)
            assert clusters * shape.blocks <= CLUSTER_BLOCKS <= POSTS and shape.threads >= 2 * shape.units
            assert shared_layout(shape, kind)["total"] <= SHARED_BYTES
