"""Products of codes and weights: gpu_gemm's kernel run by Python, which kernel is taken, and both on a GPU.  [SPEC L-1]"""

from __future__ import annotations

import ctypes
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from cuda_impl.fast.network import prepare
from golden.sequence import forward
from tests.cuda_impl.test_fast_gpu import codes, network, on_host
from tests.cuda_impl.test_fast_ptx import FLOATING, assembled, compiled  # noqa: F401 (compiled is a fixture)

int32 = np.int32


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((*shape, seed)).integers(-128, 128, shape).astype(np.int8)


def exact(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    return x.astype(np.int64) @ W.astype(np.int64)


class Block:
    """A block's threads as this process' own, its shared memory as bytes that begin anywhere at 16, filled with rubbish.

    What four warps multiply is read from shared memory as PTX has it: rows of 128 bytes, at the address's bits 4 to 6
    exclusive-ored with its bits 7 to 9; sums are spread over a warp's lanes as wgmma's are.
    """

    def __init__(self, bytes_: int, threads: int, operands: tuple[np.ndarray, ...]) -> None:
        self.base, self.ends = 16, [(a.ctypes.data, a.ctypes.data + a.nbytes) for a in operands]
        self.shared = np.full(self.base + bytes_, 85, np.uint8)
        self.here, self.met = threading.local(), threading.Barrier(threads)

    def load_global(self, address: int, count: int) -> np.ndarray:
        return np.frombuffer((ctypes.c_uint8 * count).from_address(int(address)), np.uint8)

    def copy_part(self, place: int, address: int, count: int) -> None:
        assert place % 16 == 0 and address % 16 == 0
        assert any(begin <= address <= end - 16 for begin, end in self.ends)  # even where nothing is copied
        self.shared[place : place + 16] = 0
        if count:
            self.shared[place : place + 16] = self.load_global(address, 16)

    def rows(self, first: int, count: int) -> np.ndarray:
        """int8 [count, 128] from a 1024-byte aligned address on, counted from the aligned start of shared memory."""
        assert first % 1024 == 0
        at = first + np.arange(count)[:, None] * 128 + np.arange(128)
        return self.shared[at ^ ((at >> 7 & 7) << 4)].view(np.int8)

    def multiply(self, acc: tuple, rows: int, weights: int, width: int) -> tuple:
        lane, warp = self.here.thread & 31, self.here.thread >> 5 & 3
        sums = self.rows(rows, 64)[16 * warp : 16 * warp + 16].astype(int32) @ self.rows(weights, width).astype(int32).T
        g, t = lane >> 2, 2 * (lane & 3)
        parts = [sums[g + 8 * half, 8 * eight + t + i] for eight in range(width // 8) for half in range(2) for i in range(2)]
        return tuple(a + b for a, b in zip(acc, parts, strict=True))

    def lay_down(self, acc: tuple, place: int, lane: int, width: int) -> None:
        for n, value in enumerate(acc):
            eight, half, i = n // 4, n // 2 % 2, n % 2
            at = place + (lane >> 2) * 4 * width + 8 * (lane & 3) + 4 * i + half * 32 * width
            at += 32 * (eight ^ (lane >> 2))
            self.shared[at : at + 4].view(int32)[0] = value

    def load_shared4(self, at: int) -> tuple:
        return tuple(self.shared[at : at + 16].view(int32))

    def store_words4(self, address: int, *words: int) -> None:
        assert address % 16 == 0
        (ctypes.c_int32 * 4).from_address(int(address))[:] = [int(word) for word in words]


def run_by_python(monkeypatch, x: np.ndarray, rows_of_W: np.ndarray, width: int, blocks: int) -> np.ndarray:
    """What the kernel makes of x [N, C] and weights [K, C], int32 [N + 1, K], whose last row must stay as it is."""
    from numba import cuda

    from cuda_impl.fast import gpu_gemm, gpu_warpgroup

    block = Block(gpu_gemm.shared_bytes(width), gpu_gemm.THREADS, (x, rows_of_W))
    nothing = SimpleNamespace(copy_wait=lambda pending: lambda: None, copy_commit=lambda: None)
    monkeypatch.setattr(gpu_gemm, "gpu", SimpleNamespace(
        **vars(nothing), shared_base=lambda array: int32(block.base), load_shared4=block.load_shared4,
        store_words4=block.store_words4,
    ))  # fmt: skip
    assert gpu_gemm.warpgroup is gpu_warpgroup
    monkeypatch.setattr(gpu_gemm, "warpgroup", SimpleNamespace(
        uniform=lambda value: value, fence_state=lambda: None, copy_part=block.copy_part,
        multiply_block=lambda terms, columns: lambda acc, a, b: block.multiply(acc, a, b, columns),
        lay_down_sums=lambda columns: lambda acc, place, lane: block.lay_down(acc, int(place), int(lane), columns),
    ))  # fmt: skip
    monkeypatch.setattr(cuda, "jit", lambda **_: lambda function: function)

    class Thread:
        x = property(lambda self: int32(block.here.thread))

    number = SimpleNamespace(x=0)
    monkeypatch.setattr(cuda, "threadIdx", Thread())
    monkeypatch.setattr(cuda, "blockIdx", number)
    monkeypatch.setattr(cuda, "syncthreads", lambda: block.met.wait(60))
    monkeypatch.setattr(cuda, "syncwarp", lambda: block.met.wait(60))
    monkeypatch.setattr(cuda.shared, "array", lambda *_: None)
    kernel = gpu_gemm.product_kernel(width)
    (rows, length), columns = x.shape, rows_of_W.shape[0]
    room = np.full((rows + 1) * columns + 4, -7, int32)
    out = room[-room.ctypes.data % 16 // 4 :][: (rows + 1) * columns].reshape(rows + 1, columns)
    across, failed = -(-columns // width), []

    def thread(n: int) -> None:
        block.here.thread = n
        try:
            with np.errstate(over="ignore"):
                kernel(rows, length, columns, across, *(np.int64(a.ctypes.data) for a in (x, rows_of_W, out)))
        except BaseException as error:
            failed.append(error)
            block.met.abort()

    for number.x in range(blocks):
        threads = [threading.Thread(target=thread, args=(n,)) for n in range(gpu_gemm.THREADS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert not failed, failed[0]
    return out


def aligned(array: np.ndarray) -> np.ndarray:
    room = np.empty(array.size + 16, np.int8)
    found = room[-room.ctypes.data % 16 :][: array.size].reshape(array.shape)
    found[:] = array
    return found


@pytest.mark.ptx
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize(("rows", "length", "columns"), [(1, 16, 48), (130, 144, 192), (70, 528, 144), (129, 400, 64)])
def test_the_kernel_run_by_python(rows, length, columns, width, monkeypatch):
    pytest.importorskip("numba.cuda")
    x, W = aligned(drawn(rows, length)), aligned(drawn(columns, length, seed=1))
    blocks = -(-columns // width) * -(-rows // 128) + 1  # one more than there is work for
    found = run_by_python(monkeypatch, x, W, width, blocks)
    assert np.array_equal(found[:-1], exact(x, W.T)) and np.all(found[-1] == -7)


@pytest.mark.ptx
@pytest.mark.parametrize("width", [64, 128])
def test_the_kernel_stays_in_registers(width, compiled, tmp_path):  # noqa: F811
    from cuda_impl.fast import gpu_gemm
    from cuda_impl.fast.gpu_driver import for_this_chip

    text = for_this_chip(compiled(gpu_gemm.product_kernel(width), gpu_gemm.product_signature()))
    assert text.count(f"m64n{width}k32.s32.s8.s8") == 4 and ".target sm_90a\n" in text and FLOATING.findall(text) == []
    registers, spilled = assembled(text, tmp_path, gpu_gemm.THREADS)
    at_once = 2 if width == 128 else 3
    assert spilled == 0 and registers * gpu_gemm.THREADS * at_once <= 65536
    assert (gpu_gemm.shared_bytes(width) + 1024) * at_once <= 228 << 10


@pytest.mark.parametrize(
    ("length", "x_at", "flip", "rows", "wanted"),
    [
        (1024, 4096, 0, 4096, ("product", 128)), (1024, 4096, 0, 342, ("product", 64)), (1024, 4096, 0, 341, ("input", True)),
        (1024, 4104, 0, 999, ("input", False)), (1024, 4096, 1, 999, ("input", True)), (1020, 4096, 0, 999, ("input", False)),
    ],
)  # fmt: skip
def test_the_kernel_that_is_taken(length, x_at, flip, rows, wanted, monkeypatch):
    from cuda_impl.fast import gpu_driver, gpu_products

    launched, kernels = [], (gpu_products.input_kernel, gpu_products.block_kernel)

    def loaded(key, build, shared, cluster, threads):
        return SimpleNamespace(launch=lambda *given: launched.append((key, *given)) or SimpleNamespace(arguments=given[2]))

    for kernel in kernels:
        kernel.cache_clear()
    monkeypatch.setattr(gpu_driver, "loaded", loaded)
    monkeypatch.setattr(gpu_driver, "device_number", lambda: 0)
    placed = []
    monkeypatch.setattr(gpu_products, "put", lambda a: placed.append(a.shape) or SimpleNamespace(data_ptr=lambda: 64, array=a))
    product = gpu_products.Product(np.zeros((length, 3 * 1024), np.int8), 1024, flip=flip)
    for stream in (5, 6):
        assert product.launch(rows, x_at, 8192, stream).held.array.size > 0  # weights live as long as the launch
    for kernel in kernels:
        kernel.cache_clear()
    (key, blocks, stream, given), _again = launched
    width = wanted[1] if wanted[0] == "product" else 128
    assert key == wanted and stream == 5 and len(placed) == 1
    assert blocks == -(-3072 // width) * -(-rows // (128 if wanted[0] == "product" else 64))
    values = [cell.value for cell in given.cells]
    assert values[:7] == [rows, length, 3072, 3072 // width, x_at, 64, 8192]
    assert values[7:] == ([flip] if wanted[0] == "input" else [])
    assert values[gpu_products.ROWS] == rows and values[gpu_products.X] == x_at and values[gpu_products.OUT] == 8192


SIZES = [(1, 16, 16), (17, 48, 16), (64, 48, 64), (127, 112, 96), (128, 128, 128), (129, 144, 192), (300, 1040, 336),
         (5, 272, 32), (1000, 96, 1024), (257, 2048, 2048), (33, 7, 5), (200, 1000, 1000)]  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize("worth", [0, 1 << 62])
@pytest.mark.parametrize("few", [0, 1 << 62])
@pytest.mark.parametrize(("rows", "length", "hidden"), SIZES)
def test_products_on_the_gpu(rows, length, hidden, worth, few, monkeypatch):
    from cuda_impl.fast import gpu_products
    from cuda_impl.fast.gpu_arrays import address, put

    monkeypatch.setattr(gpu_products, "WORTH", worth)
    monkeypatch.setattr(gpu_products, "FEW", few)
    x, W = drawn(rows, length), drawn(length, 3 * hidden, seed=1)
    units = 64 if hidden % 64 == 0 else 0
    width = -(-hidden // 16) * 16
    order = gpu_products.gpu_pack.product_rows(W, width, length, units)
    wanted = exact(x, order.T)
    product = gpu_products.Product(W, width, units)
    for begin in (0, 16, 3):  # an address that is not aligned takes the other kernel
        room = np.zeros(rows * length + 32, np.int8)
        room[begin : begin + rows * length] = x.reshape(-1)
        there, out = put(room), put(np.full((rows + 1, 3 * width), -7, np.int32))
        for _ in range(3):
            product.launch(rows, address(there) + begin, address(out), 0).start()
        found = out.copy_to_host()
        assert np.array_equal(found[:-1], wanted) and np.all(found[-1] == -7)


@pytest.mark.gpu
@pytest.mark.parametrize("few", [0, 1 << 62])
@pytest.mark.parametrize(
    ("inputs", "hidden", "batch"), [(16, 60, 70), (64, 320, 17), (48, 1024, 30), (48, 1100, 9), (32, 2100, 5)]
)
@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_networks_whose_every_product_is_in_blocks(inputs, hidden, batch, datapath, few, monkeypatch):
    torch = pytest.importorskip("torch")
    from cuda_impl.fast import gpu_products

    monkeypatch.setattr(gpu_products, "WORTH", 0)
    monkeypatch.setattr(gpu_products, "FEW", few)
    p = network(inputs, hidden, datapath)
    made, x = prepare(p, "gpu"), codes(p.fmt_x, (3, batch, inputs))
    rows = sorted({0, batch // 2, batch - 1})
    wanted = forward(p, np.ascontiguousarray(x[:, rows])).h
    for given in (x, torch.from_numpy(x).cuda()) if hidden <= 2048 else (torch.from_numpy(x).cuda(),):
        for _ in range(3):
            assert np.array_equal(on_host(made.forward(given))[:, rows], wanted)
    made.check()
