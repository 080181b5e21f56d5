"""What a repeated run on a GPU does on the host, without a GPU: which plan it takes, and what it writes into a launch."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cuda_impl.fast import gpu_arrays, gpu_cluster, gpu_driver, gpu_network, gpu_options, gpu_pack, gpu_products  # noqa: E402
from cuda_impl.fast.gpu_arrays import codes_on_device, torch_dtype, torch_stream  # noqa: E402
from cuda_impl.fast.gpu_layout import Kind  # noqa: E402
from golden.spec.errors import ParameterError  # noqa: E402
from golden.spec.formats import INT8, UINT8, IntFormat  # noqa: E402
from tests.verification.small import mshift_set  # noqa: E402

I8 = np.dtype(np.int8)


@pytest.fixture(autouse=True)
def _tensors_pass_as_cuda_ones(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda self: True), raising=False)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)


def test_codes_that_are_ready_are_read_where_they_lie():
    x = torch.zeros(3, 2, 5, dtype=torch.int8)
    assert codes_on_device("x", x, (-1, -1, 5), INT8, I8) is x
    assert codes_on_device("x", x[0], (2, 5), INT8, I8).data_ptr() == x.data_ptr()
    empty = torch.zeros(0, 2, 5, dtype=torch.int8)
    assert codes_on_device("x", empty, (-1, -1, 5), INT8, I8) is empty


def test_codes_that_are_not_ready_are_checked_and_copied():
    x = torch.arange(-15, 15, dtype=torch.int8).view(3, 2, 5)
    for given in (x.to(torch.int64), x.transpose(0, 1).contiguous().transpose(0, 1), x.repeat(1, 1, 2)[..., :5]):
        made = codes_on_device("x", given, (-1, -1, 5), INT8, I8)
        assert made is not given and made.is_contiguous() and made.dtype == torch.int8 and torch.equal(made, x)


@pytest.mark.parametrize(
    ("given", "fmt", "message"),
    [
        (torch.zeros(3, 2, 6, dtype=torch.int8), INT8, r"x is an array of shape \[3, 2, 6\], expected shape \['\?', '\?', 5\]"),
        (torch.zeros(3, 5, dtype=torch.int8), INT8, r"x is an array of shape \[3, 5\]"),
        (torch.zeros(3, 2, 5), INT8, "x is a tensor of torch.float32, expected integer codes"),
        (torch.zeros(3, 2, 5, dtype=torch.complex64), INT8, "x is a tensor of torch.complex64, expected integer codes"),
        (torch.zeros(3, 2, 5, dtype=torch.bool), INT8, "x is a tensor of torch.bool, expected integer codes"),
        (torch.full((3, 2, 5), 128), INT8, r"x is 128, expected a code in \[-128, 127\]"),
        (torch.full((3, 2, 5), -1, dtype=torch.int8), UINT8, r"x is -1, expected a code in \[0, 255\]"),
        (torch.full((3, 2, 5), 8, dtype=torch.int8), IntFormat(4, True), r"x is 8, expected a code in \[-8, 7\]"),
    ],
)
def test_what_is_no_code_is_refused(given, fmt, message):
    with pytest.raises(ParameterError, match=message):
        codes_on_device("x", given, (-1, -1, 5), fmt, np.dtype(np.int8 if fmt.signed else np.uint8))


@pytest.mark.parametrize("bits", [4, 8, 9, 12, 16])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("given", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_any_type_of_integers_has_codes(given, signed, bits):
    fmt, own = IntFormat(bits, signed), np.iinfo(given)
    dtype = np.dtype(f"{'' if signed else 'u'}int{8 if bits <= 8 else 16}")
    inside = sorted({max(fmt.qmin, int(own.min)), 0, 1, min(fmt.qmax, int(own.max))})
    found = codes_on_device("x", torch.from_numpy(np.array([inside], given)), (1, -1), fmt, dtype)
    assert found.numpy().dtype == dtype and found.tolist() == [inside]
    for code in (fmt.qmin - 1, fmt.qmax + 1, int(own.min), int(own.max)):
        if own.min <= code <= own.max and not fmt.qmin <= code <= fmt.qmax:
            with pytest.raises(ParameterError, match=r"x is -?\d+, expected a code in"):
                codes_on_device("x", torch.from_numpy(np.array([[0, code]], given)), (1, -1), fmt, dtype)


def test_types_by_name():
    assert torch_dtype(torch, np.int16) is torch.int16 and torch_dtype(torch, np.dtype(np.uint8)) is torch.uint8


@pytest.mark.parametrize(("raw", "used"), [(lambda device: 70 + device, True), (lambda device: 5, False), (None, False)])
def test_the_short_way_to_a_stream_is_taken_where_it_agrees(monkeypatch, raw, used):
    asked = []
    monkeypatch.setattr(
        torch.cuda, "current_stream", lambda device: asked.append(device) or SimpleNamespace(cuda_stream=70 + device)
    )
    if raw is not None:
        monkeypatch.setattr(torch._C, "_cuda_getCurrentRawStream", raw, raising=False)
    gpu_arrays._raw_stream.cache_clear()
    assert [torch_stream(torch, device) for device in (0, 1, 1)] == [70, 71, 71]
    assert (len(asked) == 1) == used
    gpu_arrays._raw_stream.cache_clear()


def test_a_short_way_that_takes_something_else_is_not_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=9))
    monkeypatch.setattr(torch._C, "_cuda_getCurrentRawStream", lambda: 9, raising=False)
    gpu_arrays._raw_stream.cache_clear()
    assert torch_stream(torch, 0) == 9
    gpu_arrays._raw_stream.cache_clear()


class Placed:
    """A host array that passes as one on the device."""

    def __init__(self, array):
        self.array = np.ascontiguousarray(array)
        self.__cuda_array_interface__ = {"data": (self.array.ctypes.data, False), "shape": self.array.shape}


@pytest.fixture
def network(monkeypatch):
    """A network whose launches note their arguments: (kernel, stream, the values of its cells)."""
    started, placed, brought, kinds = [], [], [], []

    def loaded(key, build, shared, cluster, threads):
        kinds.extend(part for part in key if isinstance(part, Kind))

        def launch(blocks, stream, arguments):
            cells = arguments.cells
            return SimpleNamespace(
                arguments=arguments, start=lambda: started.append((key[0], stream, [cell.value for cell in cells]))
            )

        return SimpleNamespace(launch=launch)

    for module in (gpu_network, gpu_options, gpu_products):
        monkeypatch.setattr(module, "put", lambda array: placed.append(array.shape) or Placed(array))
    for module in (gpu_network, gpu_arrays):
        monkeypatch.setattr(module, "empty", lambda _, shape, dtype: torch.empty(shape, dtype=torch_dtype(torch, dtype)))
    monkeypatch.setattr(gpu_driver, "Failure", lambda: SimpleNamespace(check=lambda: None, address=4096))
    monkeypatch.setattr(gpu_driver, "Maps", lambda: SimpleNamespace(bring=lambda *what: brought.append(what)))
    monkeypatch.setattr(gpu_driver, "tensor_map", lambda *sizes: sizes)
    monkeypatch.setattr(gpu_driver, "device_number", lambda: 0)
    monkeypatch.setattr(gpu_driver, "loaded", loaded)
    monkeypatch.setattr(gpu_network, "stream_of", lambda torch, x: network.stream)
    for cached in (gpu_network.recurrence_kernel, gpu_products.input_kernel, gpu_products.block_kernel):
        cached.cache_clear()
    network = gpu_network.ClusterNetwork(mshift_set())
    network.stream, network.started, network.placed, network.brought, network.kinds = 0, started, placed, brought, kinds
    yield network
    for cached in (gpu_network.recurrence_kernel, gpu_products.input_kernel, gpu_products.block_kernel):
        cached.cache_clear()


def codes(steps, batch, size):
    return torch.zeros(steps, batch, size, dtype=torch.int8)


def test_a_tensor_map_is_made_with_the_plan_and_copied_in_its_stream(network):
    rng, hidden, batch, steps = np.random.default_rng(0), 600, 130, 5
    W, R = (rng.integers(-20, 21, (length, 3 * hidden)).astype(np.int8) for length in (16, hidden))
    zeros = np.zeros(3 * hidden, np.int32)
    large = gpu_network.ClusterNetwork(mshift_set(W=W, R=R, bx=zeros, br=zeros))
    network.stream = 5
    for _ in range(2):
        large.forward(codes(steps, batch, 16))
    (plan,) = large._plans.values()
    assert plan.shape.grouped and plan.tiles.shape == (16,)
    ((sizes, address, stream, kept),) = network.brought  # once
    width = plan.shape.width
    assert sizes == (plan.wx.data_ptr(), steps * batch, 3 * width, plan.shape.pass_rows, 192)
    assert (address, stream, kept) == (plan.tiles.data_ptr(), 5, False)
    assert plan.recurrence.arguments.cells[4].value == address  # in the place of the input products
    ordered = large._product(plan.shape)._fragments.array
    assert np.array_equal(ordered, gpu_pack.input_fragments(W, width, 64))
    large.forward(codes(steps, 2, 16))
    assert len(network.brought) == 1 and not list(large._plans.values())[1].shape.grouped


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("share", "before"), [(0.0, 0), (0.3, 1), (0.5, 2), (0.7, 2)])
def test_a_product_beside_the_recurrence_is_made_in_the_order_of_need(share, before, reverse, network, monkeypatch):
    done, steps, batch, size = network.started, 10, 3, network.params.input_size
    side = SimpleNamespace(cuda_stream=9, wait_stream=lambda other: done.append("side waits"))
    main = SimpleNamespace(
        cuda_stream=0, wait_stream=lambda _: done.append("main waits"), wait_event=lambda _: None, record_event=lambda: None
    )
    monkeypatch.setattr(torch.cuda, "Stream", lambda: side)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: main)
    monkeypatch.setattr(gpu_network, "share_before", lambda *_: share)
    monkeypatch.setattr(gpu_network, "piece_steps", lambda *_: 4)
    monkeypatch.setattr(gpu_network, "_LAST_OVERLAP", {})
    monkeypatch.setattr(gpu_driver, "set_words", lambda at, value, stream, count=1: done.append(("ready", value, stream)))
    network.failure.bring = lambda stream: done.append("failure")
    x = codes(steps, batch, size)
    for _ in range(2):
        del done[:]
        network.forward(x, reverse=reverse)
    (plan,) = network._plans.values()
    pieces = [(6, 10), (2, 6), (0, 2)] if reverse else [(0, 4), (4, 8), (8, 10)]
    wanted = [("ready", 0, 0), "side waits", *(["recurrence"] if before == 0 else [])]
    for piece, (first, last) in enumerate(pieces):
        row, wx = first * batch * size, first * batch * 3 * plan.shape.width * 4
        wanted += [(9, (last - first) * batch, x.data_ptr() + row, plan.wx.data_ptr() + wx), ("ready", piece + 1, 9)]
        wanted += ["main waits", "recurrence"] if piece + 1 == before else []
    wanted += ["main waits", "failure"]
    found = []
    for each in done:
        if isinstance(each, tuple) and each[0] == "input":
            cells = each[2]
            found.append((each[1], cells[gpu_products.ROWS], cells[gpu_products.X], cells[gpu_products.OUT]))
        else:
            found.append("recurrence" if each[0] == "recurrence" else each)
    assert found == wanted


def test_an_output_that_begins_anywhere_is_not_written_sixteen_bytes_at_a_time(network):
    rng, hidden = np.random.default_rng(0), 32
    W, R = (rng.integers(-20, 21, (length, 3 * hidden)).astype(np.int8) for length in (16, hidden))
    zeros = np.zeros(3 * hidden, np.int32)
    made = gpu_network.ClusterNetwork(mshift_set(W=W, R=R, bx=zeros, br=zeros))
    room = torch.zeros(5 * 3 * hidden + 32, dtype=torch.int8)
    room = room[-room.data_ptr() % 16 :]
    for first, kinds in ((0, [True]), (1, [True, False]), (8, [True, False]), (16, [True, False])):
        out = room[first:][: 5 * 3 * hidden].view(5, 3, hidden)
        assert made.forward(codes(4, 3, 16), out=out) is out
        assert [kind.packed for kind in network.kinds] == kinds and len(made._plans) == len(kinds)
        assert network.started[-1][2][6] == out.data_ptr()


def test_a_wait_at_a_barrier_ends_when_its_time_is_over(monkeypatch):
    from numba import cuda

    state = SimpleNamespace(looks=0, after=None, read=0)

    def done(barrier, parity):
        state.looks += 1
        return int(state.after is not None and state.looks > state.after)

    def nanoseconds():
        state.read += 1
        return 7 * 10**15 + state.read * 10**8

    monkeypatch.setattr(cuda, "jit", lambda **_: lambda function: function)
    monkeypatch.setattr(gpu_cluster, "gpu", SimpleNamespace(barrier_done=done, nanoseconds=nanoseconds))
    wait = gpu_cluster.barrier_wait()
    assert wait(0, 1) is False and state.read == 42  # the first read, and the one more than four seconds later
    for after, read in ((0, 0), (63, 0), (64, 1), (1000, 15)):
        state.looks = state.read = 0
        state.after = after
        assert wait(0, 0) is True and (state.looks, state.read) == (after + 1, read)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_maps_are_copied_from_places_of_their_own(count, monkeypatch):
    copies, success = [], object()
    driver = SimpleNamespace(
        CUresult=SimpleNamespace(CUDA_SUCCESS=success), cuMemcpyHtoDAsync=lambda *what: copies.append(what) or (success,)
    )
    bindings = SimpleNamespace(driver=driver)
    for name, module in (("cuda", SimpleNamespace(bindings=bindings)), ("cuda.bindings", bindings)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(gpu_driver.Maps, "_room", staticmethod(lambda: np.zeros((3, 16), np.int64)))
    maps = gpu_driver.Maps()
    for i in range(count):
        maps.bring(np.full(16, i), 4096 + i, 7, True)
    rooms = np.concatenate(maps.rooms)
    assert len(maps.rooms) == -(-count // 3) and rooms[:count, 3].tolist() == list(range(count))
    assert [(at, size, stream) for at, _, size, stream in copies] == [(4096 + i, 128, 7) for i in range(count)]
    assert len({source for _, source, _, _ in copies}) == count
    given, rooms = np.full(16, 77), len(maps.rooms)
    maps.bring(given, 9000, 7, False)
    assert copies[-1] == (9000, given.ctypes.data, 128, 7) and (len(maps.rooms), maps.used) == (rooms, 1 + (count - 1) % 3)


def test_a_second_run_takes_the_plan_of_the_first(network):
    p = network.params
    first, second = codes(4, 3, p.input_size), codes(4, 3, p.input_size)
    for x in (first, second):
        del network.started[:]
        h = network.forward(x)
        (product, _, of_product), (recurrence, stream, of_recurrence) = network.started
        assert (product, recurrence, stream) == ("input", "recurrence", 0)
        assert of_product[gpu_network.X] == x.data_ptr() and of_recurrence[gpu_network.OUT] == h.data_ptr()
        assert of_recurrence[:4] == [4, 3, p.hidden_size, 0] and h.shape == (5, 3, p.hidden_size)
    placed = len(network.placed)
    network.forward(first)
    assert len(network._plans) == 1 and len(network.placed) == placed


def test_a_plan_stands_for_its_sizes_its_stream_its_direction_and_its_options(network):
    x = codes(4, 4, network.params.input_size)
    network.forward(x)
    mask = np.zeros((4, 4, network.params.hidden_size), bool)
    runs = [
        lambda: network.forward(x[:3]),
        lambda: network.forward(x[:, :2].contiguous()),
        lambda: network.forward(x, reverse=True),
        lambda: network.forward(x, mask=mask, training=True),
        lambda: network.forward(x, zoneout=0.25),
    ]
    for count, run in enumerate(runs, 2):
        run()
        run()
        assert len(network._plans) == count
    network.stream = 640
    del network.started[:]
    network.forward(x)
    assert len(network._plans) == count + 1 and [stream for _, stream, _ in network.started] == [640, 640]
    kinds = {key[1] for key in network._plans}
    assert kinds == {0, 1, 2}


def test_plans_that_a_callers_graph_goes_on_using_are_kept(network, monkeypatch):
    size = network.params.input_size
    network.forward(codes(1, 1, size))
    with monkeypatch.context() as during:
        during.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
        network.forward(codes(2, 1, size))
    captured = [plan for plan in network._plans.values() if plan.captured]
    assert len(captured) == 1
    for steps in range(3, 30):
        network.forward(codes(steps, 1, size))
        assert len(network._plans) <= 8 and captured[0] in network._plans.values()
    assert network._plans[next(key for key in network._plans if key[2] == 2)] is captured[0]


def test_the_state_and_the_mask_of_one_run_are_not_those_of_the_next(network):
    x, h0 = codes(2, 3, network.params.input_size), torch.zeros(3, network.params.hidden_size, dtype=torch.int8)

    def of_the_run(**options):
        del network.started[:]
        network.forward(x, **options)
        cells = network.started[-1][2]
        return cells[gpu_network.H0], cells[gpu_network.MASK], cells[gpu_network.ZONEOUT_K]

    given = of_the_run(h0=h0)
    missing = of_the_run()
    assert given[0] == h0.data_ptr() and missing[0] == network._first[3][1] != h0.data_ptr()
    assert np.all(network._first[3][0].array == network.params.zp_h)
    none = gpu_arrays.address(network.none)
    assert given[1:] == missing[1:] == (none, 0)
    assert of_the_run(zoneout=0.5)[2] == 1 << 14 and of_the_run()[2] == 0
    masked = of_the_run(mask=np.zeros((2, 3, network.params.hidden_size), bool), training=True)
    assert masked[1] != none and of_the_run()[1] == none


def test_a_given_state_places_nothing_new_on_the_device(network):
    x, h0 = codes(2, 3, network.params.input_size), torch.zeros(3, network.params.hidden_size, dtype=torch.int8)
    network.forward(x, h0)
    network.stream, placed = 64, len(network.placed)
    network.forward(x, h0)  # as in a capture, whose stream is another one
    assert len(network.placed) == placed and not network._first


def test_a_thread_is_given_its_context_once(monkeypatch):
    asked, failure = [], gpu_driver.Failure.__new__(gpu_driver.Failure)
    failure.seen = np.zeros(1, np.int32)
    monkeypatch.setattr(gpu_driver, "device_number", lambda: asked.append(threading.get_ident()) or 0)
    monkeypatch.setattr(gpu_driver, "_HERE", threading.local())

    def work():
        for _ in range(3):
            failure.check()

    work()
    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(asked) == 3 and asked[0] == threading.get_ident()
    failure.seen[0], failure.word = 1, SimpleNamespace(copy_to_device=lambda array: asked.append(array.tolist()))
    with pytest.raises(gpu_driver.DeviceError, match="a block waited in vain"):
        failure.check()
    failure.check()
    assert asked[3:] == [[0]]
