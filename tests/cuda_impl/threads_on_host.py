"""Whole kernels run by Python, every thread of every block: a source file becomes one whose functions stop where threads meet.

A kernel's barriers, and what the lanes of a warp do together, become `yield`s; threads are generators, and blocks, warps and
lanes go on in a drawn order, fairly or not. Shared memory is bytes of a block, a global access must lie within one placed
array, copies arrive at once or as late as they may.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
import random
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

int32, int64, float32 = np.int32, np.int64, np.float32

BLOCK_WIDE = {"syncthreads", "syncthreads_or"}
WARP_WIDE = {"syncwarp", "warp_max", "shuffle_xor", "together"}
LOOKS = {"barrier_done", "look4", "load_acquire"}
MEETINGS = BLOCK_WIDE | WARP_WIDE | LOOKS | {"cluster_barrier"}
PRODUCTS = {"multiply", "multiply_one", "multiply_two"}
STOPPING = {"looked", "there", "gathered", "gather", "numbers_of_step"}  # device functions in which threads meet
PATIENCE = 400  # rounds in which nothing happens but looks


class Places:
    """Where the arrays lie that a kernel may touch."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.spans: list[tuple[int, int]] = []

    def add(self, array: np.ndarray) -> None:
        self.kept.append(array)
        insort(self.spans, (array.ctypes.data, array.ctypes.data + array.nbytes))

    def clear(self) -> None:
        self.kept.clear()
        self.spans.clear()

    def check(self, at: int, count: int) -> int:
        at = int(at)
        i = bisect_right(self.spans, (at, 1 << 62)) - 1
        assert i >= 0 and at + count <= self.spans[i][1], f"{count} bytes at {at:#x} lie in no array"
        assert at % count == 0, f"{at:#x} is not a multiple of {count}"
        return at


PLACES = Places()


class Block:
    """A block: its shared memory, its static arrays, its threads."""

    def __init__(self, number: int, cluster: list[Block], shared: int, base: int) -> None:
        self.number, self.cluster, self.rank, self.base = number, cluster, len(cluster), base
        self.bytes = bytearray(b"\x55" * (base + -(-shared // 16) * 16))
        whole = memoryview(self.bytes)
        self.view = {1: whole.cast("b"), 2: whole.cast("h"), 4: whole.cast("i"), 8: whole.cast("q")}
        self.arrays: list[np.ndarray] = []
        self.barriers: dict[int, list[int]] = {}  # count, arrivals that are missing, bytes, phase
        cluster.append(self)

    def arrive(self, at: int, arrivals: int, expected: int) -> None:
        barrier = self.barriers[int(at)]
        barrier[1] -= arrivals
        barrier[2] += expected
        assert barrier[1] >= 0
        if barrier[1] == 0 and barrier[2] == 0:
            barrier[1], barrier[3] = barrier[0], barrier[3] ^ 1


class Thread:
    def __init__(self, block: Block, number: int) -> None:
        self.block, self.number, self.named = block, number, 0
        self.waits: Any = None
        self.gives: Any = None
        self.ended = False
        self.groups: list[list[Callable[[], None]]] = [[]]  # of copies under way
        self.run: Any = None


NOW = SimpleNamespace(thread=None, block=None, eager=True)
THREAD, BLOCK, GRID = SimpleNamespace(x=0), SimpleNamespace(x=0), SimpleNamespace(x=1)


def load(count: int, kind: Any = int32) -> Any:
    return lambda at: kind(NOW.block.view[count][aligned(at, count)])


def store(count: int) -> Any:
    mask, half = (1 << 8 * count) - 1, 1 << 8 * count - 1

    def stored(at: Any, value: Any) -> None:
        NOW.block.view[count][aligned(at, count)] = ((int(value) + half) & mask) - half

    return stored


def aligned(at: Any, count: int) -> int:
    at = int(at)
    assert at >= NOW.block.base and at % count == 0, f"{count} bytes at {at} of shared memory"
    return at // count


def words(at: Any, count: int) -> Any:
    assert int(at) % (4 * count) == 0
    return tuple(LOAD(int(at) + 4 * i) for i in range(count))


def strided(count: int, one: Any) -> Any:
    return lambda at, step: tuple(one(int(at) + i * int(step)) for i in range(count))


def of_global(number: Any, kind: Any = int32) -> Any:
    size = ctypes.sizeof(number)
    return lambda at: kind(number.from_address(PLACES.check(at, size)).value)


def to_global(number: Any) -> Any:
    size, kind = ctypes.sizeof(number), float if number is ctypes.c_float else int

    def stored(at: Any, value: Any) -> None:
        number.from_address(PLACES.check(at, size)).value = kind(value)

    return stored


def many(number: Any, count: int, kind: Any = int32) -> Any:
    size = ctypes.sizeof(number)
    return lambda at: tuple(kind(v) for v in (number * count).from_address(PLACES.check(at, count * size)))


def store_words(at: Any, *given: Any) -> None:
    (ctypes.c_int32 * len(given)).from_address(PLACES.check(at, 4 * len(given)))[:] = [int(v) for v in given]


def copy(shared: Any, address: Any) -> None:
    thread, block = NOW.thread, NOW.block
    PLACES.check(address, 16)
    assert int(shared) % 16 == 0 and block.base <= int(shared) <= len(block.bytes) - 16

    def arrive() -> None:
        block.bytes[int(shared) : int(shared) + 16] = ctypes.string_at(int(address), 16)

    if NOW.eager:
        arrive()
    else:
        thread.groups[-1].append(arrive)


def copy_wait(pending: int) -> Any:
    def wait() -> None:
        groups = NOW.thread.groups  # the last one is open
        while len(groups) - 1 > pending:
            for arrive in groups.pop(0):
                arrive()

    return wait


def send(address: Any, barrier: Any, *given: Any) -> None:
    to, at = divmod(int(address), 1 << 20)
    told, bar = divmod(int(barrier), 1 << 20)
    block = NOW.block.cluster[to - 1]
    assert told == to and at % (4 * len(given)) == 0
    for i, value in enumerate(given):
        block.view[4][at // 4 + i] = int(value)
    block.arrive(bar, 0, -4 * len(given))


def maximum(at: Any, value: Any) -> None:
    word = ctypes.c_int32.from_address(PLACES.check(at, 4))
    word.value = max(word.value, int(value))


def add(at: Any, value: Any) -> None:
    ctypes.c_int32.from_address(PLACES.check(at, 4)).value += int(value)


def store_real(at: Any, value: Any) -> None:
    assert isinstance(value, float32)
    to_global(ctypes.c_int32)(at, value.view(int32))


def multiply_add(a: Any, b: Any, c: Any) -> Any:
    return int64(int64(int32(a)) * int64(int32(b)) + int64(c))


LOAD, STORE = load(4), store(4)
ONCE = of_global(ctypes.c_int32)
OPERATIONS = SimpleNamespace(
    shared_base=lambda array: int32(NOW.block.base),
    load_shared=LOAD, load_shared_byte=load(1), load_shared_short=load(2), load_shared_long=load(8, int64),
    load_shared2=lambda at: words(at, 2), load_shared4=lambda at: words(at, 4),
    load_shared_words=lambda count: strided(count, LOAD), load_shared_longs=lambda count: strided(count, load(8, int64)),
    store_shared=STORE, store_shared_byte=store(1), store_shared_long=store(8),
    store_shared_real=lambda at, value: STORE(at, float32(value).view(int32)),
    store_shared4=lambda at, *given: [STORE(int(at) + 4 * i, v) for i, v in enumerate(given)],
    load_once=ONCE, load_far=ONCE, load_once2=many(ctypes.c_int32, 2), load_once4=many(ctypes.c_int32, 4),
    load_once_byte=of_global(ctypes.c_int8), load_once_short=of_global(ctypes.c_int16),
    load_once_long=of_global(ctypes.c_int64, int64), load_real=lambda at: ONCE(at).view(float32),
    load_real4=lambda at: tuple(v.view(float32) for v in many(ctypes.c_int32, 4)(at)),
    store_byte=to_global(ctypes.c_int8), store_short=to_global(ctypes.c_int16), store_word=to_global(ctypes.c_int32),
    store_long=to_global(ctypes.c_int64), store_real=store_real, store_words4=store_words, store_words2=store_words,
    post=to_global(ctypes.c_int32), maximum_far=maximum, add_release=add,
    copy_async=copy, copy_commit=lambda: NOW.thread.groups.append([]), copy_wait=copy_wait,
    cluster_rank=lambda: int32(NOW.block.rank), map_shared=lambda at, rank: int32(int(at) + (int(rank) + 1 << 20)),
    barrier_init=lambda at, count: NOW.block.barriers.__setitem__(int(at), [int(count), int(count), 0, 0]),
    barrier_expect=lambda at, count: NOW.block.arrive(at, 1, int(count)),
    send1=send, send4=send, nanoseconds=lambda: int64(0),
    half_of=lambda shift: int32((1 << int(shift)) >> 1), multiply_add=multiply_add,
    shift_down=lambda value, shift: int64(int64(value) >> int64(shift)).astype(int32),
)  # fmt: skip


class _Stops(ast.NodeTransformer):
    """Calls by which threads meet become yields."""

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        f = node.func
        if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) and f.value.id in ("gpu", "cuda"):
            if f.attr in MEETINGS:
                return ast.Yield(ast.Tuple([ast.Constant(f.attr), *node.args], ast.Load()))
        if isinstance(f, ast.Name) and f.id in PRODUCTS:
            return ast.Yield(ast.Tuple([ast.Constant("together"), f, *node.args], ast.Load()))
        return ast.YieldFrom(node) if isinstance(f, ast.Name) and f.id in STOPPING else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if node.module == "numba" and [n.name for n in node.names] == ["cuda"]:
            return ast.Assign([ast.Name("cuda", ast.Store())], ast.Name("_cuda", ast.Load()))
        return node


def by_threads(module: ModuleType, **replaced: Any) -> SimpleNamespace:
    """A module's own copy whose kernels run here; replaced: names of it that mean something else there."""
    tree = ast.fix_missing_locations(_Stops().visit(ast.parse(inspect.getsource(module))))
    cuda = SimpleNamespace(
        jit=lambda **_: lambda function: function, threadIdx=THREAD, blockIdx=BLOCK, gridDim=GRID,
        shared=SimpleNamespace(array=_shared_array),
    )  # fmt: skip
    names: dict[str, Any] = {"__name__": module.__name__, "_cuda": cuda}
    exec(compile(tree, str(module.__file__), "exec"), names)
    names.update(replaced)
    return SimpleNamespace(**names)


def _shared_array(shape: Any, kind: Any) -> Any:
    if shape == 0:
        return None
    thread, block = NOW.thread, NOW.block
    if thread.named == len(block.arrays):
        block.arrays.append(np.full(shape, 85, kind))
    thread.named += 1
    return block.arrays[thread.named - 1]


def run(kernel: Any, blocks: int, threads: int, cluster: int, shared: int, values: Iterable[Any], seed: int = 0) -> None:
    """All threads of all blocks, until all have ended."""
    order, values = random.Random(seed), list(values)
    NOW.eager, GRID.x = order.random() < 0.5, int32(blocks)
    every: list[list[list[Thread]]] = []
    group, base = [], 1024 + 16 * order.randrange(8)  # where shared memory begins, alike in all blocks
    for number in range(blocks):
        group = group if cluster and number % cluster else []
        block = Block(number, group, shared, base)
        every.append([[Thread(block, 32 * w + k) for k in range(min(32, threads - 32 * w))] for w in range(-(-threads // 32))])
    waited, greedy = 0, order.random() < 0.5  # whether a block goes on for as long as it can
    while any(not t.ended for block in every for warp in block for t in warp):
        moved = False
        for warps in order.sample(every, blocks):
            looks = 0
            while _advance(warps, order, kernel, values):
                moved = True
                looks += any(t.waits is not None and t.waits[0] in LOOKS for warp in warps for t in warp)
                if not greedy or looks > 6:
                    break
        for members in {id(w[0][0].block.cluster): w[0][0].block.cluster for w in every}.values():
            numbers = [b.number for b in members]
            moved = _all_wait([t for n in numbers for warp in every[n] for t in warp], {"cluster_barrier"}) or moved
        waited = 0 if moved else waited + 1
        assert waited < PATIENCE, {t.waits[0] for block in every for warp in block for t in warp if t.waits}
    NOW.thread = NOW.block = None


def _advance(warps: list[list[Thread]], order: random.Random, kernel: Any, values: list[Any]) -> bool:
    """Every thread of a block up to where it meets others; whether that was more than looks."""
    NOW.block, moved = warps[0][0].block, False
    BLOCK.x = int32(NOW.block.number)
    for warp in order.sample(warps, len(warps)):
        while True:  # a warp that has met may go on before the others do
            for thread in warp if order.random() < 0.5 else reversed(warp):
                if not thread.ended and (thread.waits is None or thread.waits[0] in LOOKS):
                    moved = _go_on(thread, kernel, values) or moved
            if not all(t.waits is not None and t.waits[0] in WARP_WIDE for t in warp) or len({t.waits[0] for t in warp}) > 1:
                break
            _meet_in_warp(warp)
            moved = True
            if order.random() < 0.5:
                break
    return _all_wait([t for warp in warps for t in warp], BLOCK_WIDE) or moved


def _go_on(thread: Thread, kernel: Any, values: list[Any]) -> bool:
    """Run a thread up to where it meets others; whether that was more than a look."""
    NOW.thread, THREAD.x = thread, int32(thread.number)
    looked = thread.waits is not None
    gives, thread.waits, thread.gives = _look(*thread.waits) if looked else thread.gives, None, None
    try:
        if thread.run is None:
            thread.run = kernel(*values)
            if thread.run is None:  # a kernel in which nobody meets
                raise StopIteration
            thread.waits = next(thread.run)
        else:
            thread.waits = thread.run.send(gives)
    except StopIteration:
        thread.ended = True
        return True
    return not (looked and thread.waits[0] in LOOKS)


def _look(kind: str, at: Any, *more: Any) -> Any:
    if kind == "barrier_done":
        return int32(NOW.block.barriers[int(at)][3] != int(more[0]))
    return many(ctypes.c_int32, 4)(at) if kind == "look4" else ONCE(at)


def _meet_in_warp(warp: list[Thread]) -> None:
    kind = warp[0].waits[0]
    assert len(warp) == 32
    if kind == "warp_max":
        most = max(int32(t.waits[1]) for t in warp)
        results: list[Any] = [most] * 32
    elif kind == "shuffle_xor":
        results = [int32(warp[k ^ int(t.waits[2])].waits[1]) for k, t in enumerate(warp)]
    else:
        results = [None] * 32
        if kind == "together":
            warp[0].waits[1]([t.waits[2:] for t in warp])
    for thread, result in zip(warp, results):
        thread.waits, thread.gives = None, result


def _all_wait(threads: list[Thread], kinds: set[str]) -> bool:
    """Whether all of them had come to a barrier of one kind, and go on."""
    if any(t.ended or t.waits is None or t.waits[0] not in kinds for t in threads):
        return False
    (kind,) = {t.waits[0] for t in threads}
    result = int32(any(t.waits[1] != 0 for t in threads)) if kind == "syncthreads_or" else None
    for thread in threads:
        thread.waits, thread.gives = None, result
    return True
