"""What is timed of ours: a drawn network of a size, its parameter sets, and the runs of every mode, with their bits checked."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl.fast.network import narrowest_dtype, prepare
from cuda_impl.sequence import forward as twin_forward
from golden.sequence import forward as golden_forward
from golden.spec.errors import QgruError
from golden.spec.params import MShiftDynamicParams
from qgru.bench_measure import gru_macs
from quant_gru.boundary import quantize_input
from quant_gru.build import dynamic_params, mshift_params, pot_params
from quant_gru.calibrate import calibrate
from quant_gru.float_gru import FloatGru, from_pytorch
from verification.worker import workers

Size = tuple[int, int, int, int]
MODES = ("mshift", "pot", "dynamic", "pot16", "trace", "module")
REPEATS = 20  # runs that must give the same bytes
GOLDEN_MACS = 8_000_000_000  # above this golden runs a drawn part of the rows
AHEAD_MACS = 1_000_000_000  # from which golden's runs of all modes go into processes
TRACE_UNITS = 600_000  # T * N * H above which the whole trace is not timed: it is hundreds of bytes for each


@dataclass(frozen=True, eq=False)
class Drawn:
    """A float network and its input, drawn from a seed.

    weights  weight_ih, weight_hh, bias_ih, bias_hh as PyTorch has them
    x        float32 [T,N,C]
    """

    size: Size
    weights: tuple[np.ndarray, ...]
    gru: FloatGru
    x: np.ndarray


def drawn(size: Size, seed: int = 0) -> Drawn:
    """The network and input of a size: uniform weights as torch.nn.GRU draws them, normal input."""
    steps, batch, inputs, hidden = size
    rng = np.random.Generator(np.random.PCG64(seed))
    bound = 1 / np.sqrt(hidden)
    shapes = ((3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,))
    weights = tuple(rng.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes)
    x = rng.standard_normal((steps, batch, inputs)).astype(np.float32)
    return Drawn(size, weights, from_pytorch(*weights), x)


@dataclass(frozen=True, eq=False)
class Mode:
    """One of ours, ready: call() runs it, states() gives the h codes of a run on the host.

    params  the parameter set; x its input on the host
    """

    name: str
    params: Any
    x: np.ndarray
    call: Callable[[], Any]
    states: Callable[[Any], np.ndarray]


def modes(network: Drawn, names: tuple[str, ...], device: str) -> tuple[list[Mode], dict[str, str]]:
    """(what can be timed, name -> why not)."""
    small = network.x[: min(16, len(network.x)), : min(4, network.x.shape[1])]
    ranges = calibrate(network.gru, [small])
    build: dict[str, Callable[[], Any]] = {
        "mshift": lambda: mshift_params(network.gru, ranges),
        "pot": lambda: pot_params(network.gru, ranges, 8),
        "dynamic": lambda: dynamic_params(network.gru),
        "pot16": lambda: pot_params(network.gru, ranges, 16),
        "trace": lambda: pot_params(network.gru, ranges, 8),
    }
    found, absent = [], {}
    for name in names:
        steps, batch, _, hidden = network.size
        if name == "trace" and steps * batch * hidden > TRACE_UNITS:
            absent[name] = f"T * N * H is {steps * batch * hidden}, expected at most {TRACE_UNITS} for a whole trace"
            continue
        try:
            found.append(_module(network, small, device) if name == "module" else _mode(name, build[name](), network.x, device))
        except (QgruError, ImportError) as error:
            absent[name] = str(error)
    return found, absent


def _mode(name: str, params: Any, x: np.ndarray, device: str) -> Mode:
    codes = x
    if not isinstance(params, MShiftDynamicParams):
        codes = quantize_input(params, x).astype(narrowest_dtype(params.fmt_x))
    placed = codes
    if device == "gpu":
        import torch

        placed = torch.from_numpy(codes).cuda()
    if name == "trace":
        return Mode(name, params, codes, lambda: twin_forward(params, placed, device=device), lambda run: run.h)
    network = prepare(params, device)
    if name == "dynamic":
        return Mode(name, params, codes, lambda: network.forward(placed), lambda run: _host(run.h))
    return Mode(name, params, codes, lambda: network.forward(placed), _host)


def _host(array: Any) -> np.ndarray:
    if isinstance(array, np.ndarray):
        return array
    return array.cpu().numpy() if hasattr(array, "cpu") else array.copy_to_host()


def _module(network: Drawn, small: np.ndarray, device: str) -> Mode:
    """The torch module, reals in and out; its codes are what is compared."""
    import torch

    from quant_gru.module import QuantGRU

    _, _, inputs, hidden = network.size
    module = QuantGRU(inputs, hidden).eval()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    module.load_state_dict({n: torch.from_numpy(w) for n, w in zip(names, network.weights)}, strict=False)
    module.calibration_method = "minmax"
    with torch.no_grad():
        module.calibrate(torch.from_numpy(small))
    module.finalize_calibration()
    module.use_quantization = True
    params = module.quant_params()[0][0]
    codes = quantize_input(params, network.x)
    x = torch.from_numpy(network.x)
    if device == "gpu":
        module, x = module.cuda(), x.cuda()

    def call() -> Any:
        with torch.no_grad():
            return module(x)

    def states(_run: Any) -> np.ndarray:
        output, _ = module.forward_codes(torch.from_numpy(codes).to(x.device))
        start = golden_forward(params, codes[:0]).h
        return np.concatenate([start, _host(output)])

    return Mode("module", params, codes, call, states)


Reference = Callable[[Any, np.ndarray], np.ndarray]
Expected = tuple[np.ndarray, float]  # h codes of the rows that are compared, and the seconds they took


def compared(mode: Mode, device: str = "host", seed: int = 0) -> tuple[Reference, str, np.ndarray]:
    """(what a run is compared with, its name, the rows).

    Rows of a static set do not know of each other (S-3): of a large run golden does a drawn part of the rows, all steps.
    Rows of moving ranges do: a large run is compared with the whole twin, or with the host build where the run is a GPU's.
    """
    steps, batch, inputs = mode.x.shape
    whole = gru_macs(steps, batch, inputs, mode.params.hidden_size)
    rows = np.arange(batch)
    if whole <= GOLDEN_MACS:
        return _golden, "golden", rows
    if isinstance(mode.params, MShiftDynamicParams):
        return (_host_build, "the host build", rows) if device == "gpu" else (_twin, "the twin on the host", rows)
    count = max(1, int(GOLDEN_MACS * batch // (4 * whole)))
    return _golden, "golden", np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(batch)[:count])


def check_bits(mode: Mode, device: str = "host", expected: Future[Expected] | None = None) -> dict[str, Any]:
    """Compare a run with golden, bit for bit, and repeat it; what was compared is said.

    expected  what golden_ahead has begun for this mode
    """
    states = mode.states(mode.call())
    reference, name, rows = compared(mode, device)
    codes, seconds = _timed(reference, mode.params, _rows(mode, rows)) if expected is None else expected.result()
    got = states[:, rows].astype(np.int64)
    wrong = int((got != codes).sum())
    first = hashlib.sha256(states.tobytes()).hexdigest()
    same = all(hashlib.sha256(mode.states(mode.call()).tobytes()).hexdigest() == first for _ in range(REPEATS))
    return {
        "mode": mode.name,
        "reference": name,
        "rows": "all" if len(rows) == states.shape[1] else rows.tolist(),
        "codes_compared": int(codes.size),
        "mismatches": wrong,
        "repeats": REPEATS,
        "repeats_equal": same,
        "sha256_of_h": first,
        "reference_seconds": round(seconds, 3),
        "equal": wrong == 0 and same,
    }


@contextmanager
def golden_ahead(found: list[Mode], device: str, processes: int) -> Iterator[dict[str, Future[Expected]]]:
    """Mode -> golden's run of it, all begun at once in processes of their own; none where they are short together.

    The processes have ended when the block is left, so that nothing runs beside what is timed.
    """
    jobs, work = {}, 0
    for mode in found:
        reference, _, rows = compared(mode, device)
        if reference is _golden:
            jobs[mode.name] = reference, mode.params, _rows(mode, rows)
            work += gru_macs(mode.x.shape[0], len(rows), mode.x.shape[2], mode.params.hidden_size)
    if work < AHEAD_MACS or min(len(jobs), processes) < 2:
        yield {}
        return
    with workers(min(len(jobs), processes)) as pool:
        yield {name: pool.submit(_timed, *job) for name, job in jobs.items()}


def _rows(mode: Mode, rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(mode.x[:, rows])


def _timed(reference: Reference, params: Any, x: np.ndarray) -> Expected:
    start = time.perf_counter()
    return reference(params, x), time.perf_counter() - start


def _golden(params: Any, x: np.ndarray) -> np.ndarray:
    return golden_forward(params, x).h


def _twin(params: Any, x: np.ndarray) -> np.ndarray:
    return twin_forward(params, x, device="host").h


def _host_build(params: Any, x: np.ndarray) -> np.ndarray:
    return prepare(params, "host").forward(x).h


def calls_of(found: list[Mode]) -> Mapping[str, Callable[[], Any]]:
    """Name -> what is timed."""
    return {f"qgru {mode.name}": mode.call for mode in found}
