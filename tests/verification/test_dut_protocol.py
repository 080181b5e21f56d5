"""The protocol: frames, capabilities, requests, guards, foreign arrays, and the comparison of what a device gives."""

from __future__ import annotations

import io
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from golden.spec.formats import INT8
from golden.spec.serial import to_plain
from tests.verification.dut_cases import requantize, run_case
from tests.verification.small import mshift_set
from vectors.error_case import ErrorCase
from verification.dut import frames
from verification.dut.bit_exact import difference
from verification.dut.capabilities import Capabilities, read_capabilities
from verification.dut.device import Answer
from verification.dut.examine import examine
from verification.dut.failure import DeviceError, Failure
from verification.dut.foreign import to_numpy
from verification.dut.guarded import GUARD_BYTE, UNWRITTEN_BYTE, Guarded
from verification.dut.request import numbers, request_of
from verification.dut.serve import reply, serve

EVERYTHING = read_capabilities({"steps": ["*"], "datapaths": ["*"], "options": ["*"]}, "test")


def test_a_frame_byte_by_byte():
    array = np.array([[1, -1]], np.int32)
    text = b'{"kind":"step","arrays":[{"name":"q","dtype":"int32","shape":[1,2],"offset":0}]}'
    data = b"\x01\0\0\0\xff\xff\xff\xff"
    assert frames.pack({"kind": "step"}, {"q": array}) == b"QGRU" + struct.pack("<IQ", len(text), 8) + text + data


def test_the_frame_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "dut.md").read_text(encoding="utf-8")
    text, size = re.search(r"the header `([^`]+)` \((\d+) bytes\)", page).groups()
    start, end = re.search(r"^(51 47 .+) \.\.\. (.+)$", page, re.M).groups()
    frame = frames.pack({"status": "ok"}, {"q": np.array([5, -1], np.int32)})
    assert len(text) == int(size) and text.encode() in frame
    assert frame.startswith(bytes.fromhex(start)) and frame.endswith(bytes.fromhex(end))


def test_frames_come_back_as_they_went():
    arrays = {
        "a": np.array([2**40]),
        "b": np.float32(0.1).reshape(()),
        "c": np.zeros((0, 3), np.int32),
        "d": np.arange(3, dtype=np.int32),
    }
    stream = io.BytesIO(frames.pack({"x": 1}, arrays) * 2)
    for _ in range(2):
        message = frames.read(stream.read)
        assert message.header == {"x": 1}
        for name, array in arrays.items():
            assert message.arrays[name].dtype == array.dtype and message.arrays[name].shape == array.shape
            assert message.arrays[name].tobytes() == array.tobytes()
    assert frames.read(stream.read) is None


@pytest.mark.parametrize(("cut", "kind"), [(7, "short"), (20, "short"), (-1, "short")])
def test_a_frame_that_is_cut_off(cut, kind):
    with pytest.raises(Failure) as failure:
        frames.read(io.BytesIO(frames.pack({}, {"a": np.arange(3)})[:cut]).read)
    assert failure.value.kind == kind


def test_an_array_without_numbers_may_begin_behind_the_data():
    """Of a run of no steps, by a device that puts every array at the next multiple of 8 and writes no padding at the end."""
    arrays = [
        {"name": "h", "dtype": "int32", "shape": [1, 1, 1], "offset": 0},
        {"name": "output", "dtype": "int32", "shape": [0, 1, 1], "offset": 8},
    ]
    message = frames.unpack(json.dumps({"status": "ok", "arrays": arrays}).encode(), b"\7\0\0\0")
    assert message.arrays["h"].tolist() == [[[7]]] and message.arrays["output"].shape == (0, 1, 1)


def test_a_server_answers_until_its_input_ends():
    source = io.BytesIO(
        frames.pack({"kind": "step"}, {}) + frames.pack({"kind": "hello"}, {}) + frames.pack({"kind": "step"}, {})
    )
    sink = io.BytesIO()
    serve(lambda: ({"steps": []}, lambda request: ({"status": "ok"}, {"y": np.array([7])})), source, sink)
    sink.seek(0)
    answers = [frames.read(sink.read) for _ in range(4)]
    assert [a and a.header["status"] for a in answers] == ["bad input", "ok", "ok", None]
    assert answers[1].header["capabilities"] == {"steps": []} and answers[2].arrays["y"].tolist() == [7]


def test_what_is_not_declared_is_not_asked():
    few = read_capabilities(
        {"steps": {"requantize": ["q"]}, "datapaths": {"pot": ["h"]}, "options": ["h0"], "limits": {"T": 2, "rows": 4}}, "t"
    )
    assert request_of(requantize("a"), few) == "rows = 5, declared at most 4"
    assert request_of(run_case(), few) == "the datapath mshift is not declared"
    assert request_of(run_case(kind="pot"), few) == "T = 3, declared at most 2"
    more = Capabilities(datapaths={"pot": None}, options=frozenset({"h0"}))
    assert request_of(run_case(kind="pot", reverse=True), more) == "reverse is not declared"
    assert request_of(run_case(kind="pot", zoneout=0.5), more) == "zoneout is not declared"
    mask = np.zeros((3, 2, 2), np.int32)
    assert request_of(run_case(kind="pot", training=True, mask=mask), more) == "mask is not declared"
    assert (
        request_of(run_case(kind="pot", h0=np.zeros((2, 2), np.int32)), Capabilities(datapaths={"pot": None}))
        == "h0 is not declared"
    )


def test_limits_hold_for_what_must_be_refused_too():
    refused = ErrorCase("e", *to_plain(mshift_set()), "ParameterError", "x", x=np.full((1, 1, 2), 300, np.int32))
    hidden = mshift_set().hidden_size
    few = Capabilities(datapaths={"mshift": None}, options=frozenset({"refusals"}), limits={"H": hidden - 1})
    assert request_of(refused, few) == f"H = {hidden}, declared at most {hidden - 1}"
    enough = Capabilities(datapaths={"mshift": None}, options=frozenset({"refusals"}), limits={"H": hidden})
    assert request_of(refused, enough).kind == "sequence"


def test_a_case_without_a_promised_output_is_not_run():
    for promised in ({"requantize": []}, {"*": ["y"]}):
        nothing = read_capabilities({"steps": promised}, "t")
        assert request_of(requantize("a"), nothing) == "no output of the step requantize that the case has is promised"
    v = read_capabilities({"datapaths": {"pot": ["v"]}, "options": ["*"]}, "t")
    assert request_of(run_case(kind="pot"), v) == "no output of the datapath pot that the case has is promised"
    mask = np.zeros((3, 2, 2), np.int32)
    assert [w.name for w in request_of(run_case(kind="pot", training=True, mask=mask), v).outputs] == ["v"]
    refused = ErrorCase("e", *to_plain(mshift_set()), "ParameterError", "x", x=np.full((1, 1, 2), 300, np.int32))
    assert request_of(refused, read_capabilities({"datapaths": {"mshift": ["z"]}, "options": ["*"]}, "t")).outputs == ()


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (None, "object is None"),
        ({"step": []}, "step is 'an unknown field'"),
        ({"options": ["fast"]}, "options is ['fast']"),
        ({"options": "*"}, 'h0, state, refusals, or of "*" for all'),
        ({"steps": [["requantize"]]}, "steps is \"['requantize']: None\""),
        ({"steps": {"*": ["Q"]}}, "steps is '*: Q'"),
        ({"datapaths": {"*": [["h"]]}}, "datapaths is \"*: ['h']\""),
        ({"steps": "*"}, "steps is '*', expected a list of names, or an object"),
        ({"limits": {"T": 1.5}}, "limits is"),
        ({"limits": {"T": -1}}, "limits is"),
        ({"datapaths": {"pot": ["nothing"]}}, "datapaths is 'pot: nothing'"),
    ],
)
def test_capabilities_that_are_refused(plain, words):
    with pytest.raises(DeviceError) as error:
        read_capabilities(plain, "cmd:x")
    assert str(error.value).startswith("cmd:x: capabilities ") and words in str(error.value)


def test_a_request_says_everything_in_numbers():
    request = request_of(run_case(kind="pot", zoneout=0.5), EVERYTHING)
    constants = request.header["constants"]
    assert constants["operators.input.x.exponent"] == 4 and constants["operators.input.x.fmt.bits"] == 8
    assert constants["operators.gate.z_out.fmt.signed"] == 0 and constants["act_z.kind"] == 0 and constants["rounding"] == 0
    assert (constants["zoneout"], constants["reverse"], constants["training"]) == (0.5, 0, 0)
    assert {"params.W", "params.weight.W.exponent", "params.act_z.entries", "x"} <= set(request.arrays)
    wanted = {w.name: w for w in request.outputs}
    assert wanted["h_zoneout_acc"].dtype == "int64" and wanted["h"].shape == (4, 2, 2) and wanted["output"].shape == (3, 2, 2)
    assert json.loads(json.dumps(request.plain()))["name"] == "pot"
    assert dict(numbers({"a": {"kind": "piecewise_quadratic", "fmt_in": str(INT8), "on": True, "meta": {"b": 1}}})) == {
        "a.kind": 2, "a.fmt_in.bits": 8, "a.fmt_in.signed": 1, "a.on": 1
    }  # fmt: skip


def test_guards_see_a_single_byte():
    buffer = Guarded("q", "int32", (3,))
    assert buffer.unwritten == 3 and buffer.array.tobytes() == bytes([UNWRITTEN_BYTE] * 12)
    buffer.array[:2] = 5
    assert buffer.unwritten == 1
    buffer.check()
    buffer._whole[-1] ^= 1
    with pytest.raises(Failure) as failure:
        buffer.check()
    assert failure.value.kind == "overrun" and "1 bytes written after" in failure.value.sentence
    assert buffer._whole[0] == GUARD_BYTE


class Cuda:
    """An array on a device as Numba has it: an interface and a method that copies."""

    __cuda_array_interface__ = {"shape": (2,), "typestr": "<i4", "data": (0, True), "version": 3}

    def copy_to_host(self):
        return np.array([4, 5], np.int32)


class Packed:
    """An array with DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_arrays_of_other_libraries():
    torch = pytest.importorskip("torch")
    for value in (torch.tensor([4, 5], dtype=torch.int32), Packed(np.array([4, 5], np.int32)), Cuda()):
        array = to_numpy("q", value)
        assert array.dtype == np.int32 and array.tolist() == [4, 5]
    assert to_numpy("q", torch.tensor([1.0], requires_grad=True)).dtype == np.float32
    assert to_numpy("q", [1, 2]).dtype == np.int64
    for value in ("words", [[1], [2, 3]], torch.ones(2, dtype=torch.bfloat16)):
        with pytest.raises(Failure) as failure:
            to_numpy("q", value)
        assert failure.value.kind == "dtype" and failure.value.sentence.startswith("q is a")


def answered(case, **arrays):
    return examine(case, request_of(case, EVERYTHING), Answer({k: np.asarray(v) for k, v in arrays.items()}))


def test_states_alone_are_enough():
    case = run_case()
    whole = answered(case, h=case.trace["h"])
    assert (whole.outcome, whole.compared, whole.fields) == ("equal", 16, ("h",))
    outputs = answered(case, output=case.trace.output)
    assert (outputs.outcome, outputs.compared, outputs.fields) == ("equal", 12, ("output",))
    with pytest.raises(Failure) as failure:
        answered(case, z=case.trace["z"])
    assert (failure.value.kind, failure.value.sentence) == ("short", "neither h nor output is there, expected one of them")


def test_the_first_divergence_of_what_was_given():
    case = run_case(reverse=True)
    h = case.trace["h"].copy()
    h[2, 1, 0] -= 100
    found = answered(case, h=h)
    first = found.comparison.first
    assert (found.outcome, found.mismatches, first.stage, first.t, first.n, first.unit) == ("differs", 1, "h", 1, 1, 0)
    assert first.difference == -100
    assert "compared: h\n  replay: again" in found.report("device", "again")


@pytest.mark.parametrize(("kind", "roots"), [("mshift", 2), ("pot", 2), ("mshift-dynamic", 1)])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_state_after_a_wrong_state_is_a_consequence(kind, roots, reverse):
    """Of states alone: rows are by themselves where the ranges stand still."""
    case = run_case(kind=kind, reverse=reverse)
    states = case.trace["h"].copy()
    order = states[1:][::-1] if reverse else states[1:]
    order[0, 0, 0] ^= 1
    order[1, 0] ^= 1
    order[1, 1, 0] ^= 1
    order[2, 0, 1] ^= 1
    found = answered(case, h=states)
    assert (found.mismatches, found.comparison.roots, found.comparison.consequences) == (5, roots, 5 - roots)
    outputs = answered(case, output=states[1:])
    assert (outputs.mismatches, outputs.comparison.roots) == (5, roots)


def test_outputs_that_contradict_the_states():
    case = run_case()
    found = answered(case, h=case.trace["h"], output=case.trace.output + 1)
    assert (found.outcome, found.detail) == ("differs", "output is not what h says")
    assert (found.compared, found.mismatches, found.comparison.roots) == (28, 12, 12)
    both = answered(case, h=case.trace["h"] ^ 1, output=case.trace.output ^ 1)
    assert (both.compared, both.mismatches, both.comparison.stages["output"]) == (28, 28, (12, 12))


def test_an_order_that_is_not_put_back_goes_wrong_in_no_stage():
    case = run_case(reverse=True)
    report = answered(case, output=case.trace.output[::-1]).report("device", "again")
    assert "diagnosis: reverse-not-put-back" in report and "inferred" not in report


def test_the_final_state_of_moving_ranges():
    case = run_case(kind="mshift-dynamic")
    wrong = np.nextafter(np.float32(case.trace.state.h_max), np.float32(9))
    found = answered(case, h=case.trace["h"], **{"state.h_max": wrong})
    assert found.outcome == "differs" and found.detail.startswith("the final state's h_max is ")
    assert (found.compared, found.mismatches) == (17, 1)


def test_an_early_column_is_the_root():
    from vectors.step_case import StepCase
    from vectors.steps import run_step

    constants = {"M_gh": 1, "s_gh": 1, "M_one": 1, "s_one": 7, "zp": 0}
    inputs = {"z": np.array([100, 100]), "g": np.array([5, 6]), "h": np.array([50, 60])}
    case = StepCase("s", "mshift_hidden", constants, inputs, run_step("mshift_hidden", constants, inputs))
    arrays = {w.name: case.outputs[w.name].astype(w.dtype) for w in request_of(case, EVERYTHING).outputs}
    arrays["n"][1] += 1
    arrays["S"][1] += 1
    found = answered(case, **arrays)
    assert (found.mismatches, found.comparison.roots, found.comparison.consequences) == (2, 1, 1)
    assert (found.comparison.first.column, found.comparison.first.row) == ("n", 1)
    assert found.comparison.first.operands == {"z": 100, "g": 6, "h": 60, "n_acc (expected)": 162}
    said = "2 of 8 numbers differ: 1 first in their row, 1 after another one in it"  # columns need not follow from one another
    assert said in found.report("device", "again")


def test_differences_are_not_wrapped():
    a, b = np.array([1, -128], np.int8), np.array([1, 127], np.int8)
    assert difference(a, b, "q") == "q[1] is -128 (0x80), expected 127 (0x7f), difference -255; 1 of 2 differ"
    assert difference(a, a.astype(np.int64)) is None
    assert difference(np.array([2**64 - 1], np.uint64), np.array([-1])) is not None
    assert difference(np.float32([0.0]), np.float32([-0.0])).startswith(
        "array[0] is 0 (0x00000000), expected 2147483648 (0x80000000)"
    )
    assert difference(np.float32([np.nan]), np.float32([np.nan])) is None
    assert difference(np.float64([1]), np.float32([1])) == "array is float64, expected float32"
    assert difference(np.array([1.5], ">f4"), np.array([1.5], "<f4")) is None
    assert difference(np.array([1.5], ">f4"), np.array([-1.5], ">f4")).startswith("array[0] is 1069547520 (0x3fc00000)")
    assert difference([1], [1, 2]) == "array has the shape [1], expected [2]"
    assert difference({"h": a}, {"h": a, "z": a}) == "z is missing"


def test_only_integers_and_reals_are_compared():
    whole, wide = np.array([1, 2]), np.array([2**70], dtype=object)
    assert difference(whole.astype(object), whole) is None and difference(wide, wide.copy()) is None
    assert difference(wide + 1, wide).endswith("difference 1; 1 of 1 differ")
    for other in (np.array([1.0, 2], dtype=object), whole.astype(complex), np.array(["1", "2"]), whole.astype("M8[s]")):
        found = f"is an array of {other.dtype.name}, expected integers, or reals of at most 64 bits"
        assert difference(other, whole, "q") == f"q {found}"
        assert difference(whole, other, "q") == f"the expected q {found}"
    assert "expected integers, or reals" in difference(np.ones(2, np.longdouble), np.ones(2, np.longdouble))


def test_an_exception_is_reported_with_its_place():
    def broken(request):
        raise RuntimeError("no\nluck")

    header, arrays = reply(broken, frames.Message({}))
    assert arrays == {} and header["status"] == "internal"
    assert re.fullmatch(r"RuntimeError: no luck, in broken \(.*test_dut_protocol\.py, line \d+\)", header["message"])
