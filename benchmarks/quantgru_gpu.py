"""QuantGRU on a GPU: its quantized forward against golden, its float mode against nn.GRU, training, and what it costs.

    python benchmarks/quantgru_gpu.py
    python benchmarks/quantgru_gpu.py --device cpu --problems 20 --repeats 2

Prints JSON and exits with 1 when something differs. Codes are compared by equality; float mode and gradients, which are
floats of another implementation, by torch.allclose.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from golden.sequence import forward as golden  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402
from tests.quant_gru.module_problems import drawn, expected, found, same  # noqa: E402


def calibrated(datapath: str, device: str, c: int = 24, h: int = 40, **options: Any) -> tuple[QuantGRU, torch.Tensor]:
    """A module in quantized mode on the device, and an input."""
    torch.manual_seed(0)
    gru = QuantGRU(c, h, **options)
    gru.datapath = datapath
    x = torch.randn(9, 5, c)
    gru.calibrate(x)
    gru.use_quantization = True
    return gru.to(device), x.to(device)


def drawn_problems(device: str, count: int, budget: float = float("inf")) -> dict[str, Any]:
    """Drawn modules of every option, width and datapath; codes are exact when the reals are equal.

    budget  seconds after which no further problem is begun: kernels of a new kind are compiled first
    """
    numbers, done, wrong, start = 0, 0, [], time.perf_counter()
    for seed in range(10_000, 10_000 + count):
        if time.perf_counter() - start > budget:
            break
        done += 1
        p = drawn(seed, largest=9 if seed % 4 else 70)
        wanted = expected(p)
        p.module.to(device)
        for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
            with mode():
                got = found(p, p.module(*p.inputs(device)))
            numbers += sum(v.size for v in got)
            if not same(got, wanted):
                wrong.append(f"{seed} {mode.__name__}")
    return {"problems": done, "numbers": numbers, "wrong": wrong, "ok": not wrong}


def larger_codes(device: str) -> dict[str, Any]:
    """Codes in, codes out at sizes that fill the machine, row samples against golden."""
    numbers, wrong = 0, []
    for datapath, c, h, n in itertools.product(("pot", "mshift"), (64, 80), (128, 256), (1, 32)):
        gru, _ = calibrated(datapath, device, c, h)
        codes = torch.randint(-128, 128, (20, n, c), device=device)
        output, h_n = gru.forward_codes(codes)
        trace = golden(gru.quant_params()[0][0], codes.cpu().numpy())
        numbers += output.numel()
        if not (np.array_equal(output.cpu().numpy(), trace.output) and np.array_equal(h_n[0].cpu().numpy(), trace.h_n)):
            wrong.append(f"{datapath} C={c} H={h} N={n}")
    return {"numbers": numbers, "wrong": wrong, "ok": not wrong}


def contexts(device: str) -> dict[str, Any]:
    """Autocast, inference mode, views, and streams on which the input has only just been ordered."""
    wrong = []
    for datapath in ("pot", "mshift"):
        gru, x = calibrated(datapath, device, num_layers=2, bidirectional=True)
        with torch.no_grad():
            wanted = gru(x)
        cases: dict[str, Callable[[], Any]] = {"again": lambda g=gru, v=x: g(v)}

        def autocast(dtype: torch.dtype, g: QuantGRU = gru, v: torch.Tensor = x) -> Any:
            with torch.autocast(device, dtype=dtype):
                return g(v)

        def inference(g: QuantGRU = gru, v: torch.Tensor = x) -> Any:
            with torch.inference_mode():
                return g(v)

        def view(g: QuantGRU = gru, v: torch.Tensor = x) -> Any:
            wide = torch.zeros(*v.shape[:2], 2 * v.shape[2], device=device)
            wide[..., ::2] = v
            return g(wide[..., ::2])

        def stream(g: QuantGRU = gru, v: torch.Tensor = x) -> Any:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                late = v * 1.0
                for _ in range(20):
                    late = (late @ torch.eye(late.shape[-1], device=device)) * 1.0
                late = torch.where(late == v, late, v)
                result = g(late)
            torch.cuda.current_stream().wait_stream(side)
            return result

        cases |= {"bfloat16": lambda: autocast(torch.bfloat16), "inference": inference, "view": view}
        if device == "cuda":
            cases |= {"float16": lambda: autocast(torch.float16), "stream": stream}
        for name, case in cases.items():
            if not all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(case(), wanted)):
                wrong.append(f"{datapath} {name}")
    return {"wrong": wrong, "ok": not wrong}


def threads(device: str, own_stream: bool) -> dict[str, Any]:
    """Eight threads on one module at once."""
    wrong: list[str] = []
    for datapath in ("pot", "mshift"):
        gru, _ = calibrated(datapath, device, num_layers=2)
        inputs = [torch.randn(3 + i, 1 + i % 3, 24, device=device) for i in range(8)]
        results: list[Any] = [None] * 8

        def work(i: int, gru: QuantGRU = gru, inputs: Any = inputs, results: Any = results) -> None:
            with torch.no_grad():
                if own_stream and device == "cuda":
                    side = torch.cuda.Stream()
                    side.wait_stream(torch.cuda.default_stream())
                    with torch.cuda.stream(side):
                        results[i] = [gru(inputs[i]) for _ in range(20)]
                    side.synchronize()
                else:
                    results[i] = [gru(inputs[i]) for _ in range(20)]

        pool = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for t in pool:
            t.start()
        for t in pool:
            t.join()
        if device == "cuda":
            torch.cuda.synchronize()
        with torch.no_grad():
            for i, x in enumerate(inputs):
                wanted = gru(x)
                got = results[i] or []
                if len(got) != 20 or not all(torch.equal(a, b) for one in got for a, b in zip(one, wanted)):
                    wrong.append(f"{datapath} thread {i}")
    return {"wrong": wrong, "ok": not wrong}


def float_mode(device: str) -> dict[str, Any]:
    """Every option against nn.GRU."""
    wrong = []
    for layers, bias, first, both in itertools.product((1, 2), *[(False, True)] * 3):
        torch.manual_seed(0)
        gru = QuantGRU(12, 20, layers, bias, first, 0.0, both).to(device)
        x, hx = torch.randn(7, 7, 12, device=device), torch.randn(layers * (2 if both else 1), 7, 20, device=device)
        if not all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gru(x, hx), gru.to_float()(x, hx))):
            wrong.append(f"layers={layers} bias={bias} batch_first={first} bidirectional={both}")
    return {"wrong": wrong, "ok": not wrong}


def training(device: str) -> dict[str, Any]:
    """Gradients on the device against those on the CPU, and a short training run."""
    wrong, losses = [], {}
    for datapath in ("pot", "mshift"):
        gru, x = calibrated(datapath, device, num_layers=2, bidirectional=True)
        here, there = gru, QuantGRU(24, 40, num_layers=2, bidirectional=True)
        there.load_state_dict({k: v.cpu() if isinstance(v, torch.Tensor) else v for k, v in gru.state_dict().items()})
        weight = torch.randn(9, 5, 80)
        (here(x)[0] * weight.to(device)).sum().backward()
        (there(x.cpu())[0] * weight).sum().backward()
        for (name, a), b in zip(here.named_parameters(), there.parameters()):
            scale = float(b.grad.abs().max())
            if not torch.allclose(a.grad.cpu(), b.grad, rtol=1e-3, atol=1e-4 * scale):
                wrong.append(f"{datapath} {name}")
        optimizer, seen = torch.optim.Adam(here.parameters(), 5e-3), []
        target = torch.tanh(x[..., :1]).expand(-1, -1, 80) * 0.5
        for _ in range(25):
            optimizer.zero_grad()
            loss = (here(x)[0] - target).square().mean()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        losses[datapath] = [round(seen[0], 5), round(seen[-1], 5)]
        if not seen[-1] < 0.7 * seen[0]:
            wrong.append(f"{datapath} loss {seen[0]} to {seen[-1]}")
    return {"wrong": wrong, "losses": losses, "ok": not wrong}


def seconds(call: Callable[[], Any], device: str, calls: int, repeats: int) -> float:
    """Of one call: the median over repeats of a row of calls."""
    call()
    found_times = []
    for _ in range(repeats):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        if device == "cuda":
            torch.cuda.synchronize()
        found_times.append((time.perf_counter() - start) / calls)
    return median(found_times)


def overhead(device: str, repeats: int) -> dict[str, Any]:
    """A quantized forward through the module over the bare prepared network, at (T,N,C,H) = (100,32,256,256)."""
    out: dict[str, Any] = {}
    calls = 50 if device == "cuda" else 3
    for datapath in ("pot", "mshift"):
        gru, _ = calibrated(datapath, device, 256, 256)
        x = torch.randn(100, 32, 256, device=device)
        d = gru._directions(x.device)[0][0]
        codes = d.x.quantize(x)
        boundary = "one pass" if device == "cpu" or d.x.kernels is not None else "torch's operations"
        with torch.no_grad():
            cases = (lambda v=codes, d=d: d.run(v, None), lambda v=x, g=gru: g(v))
            pairs = [[seconds(case, device, calls, 3) for case in cases] for _ in range(repeats)]
        bare, module = (min(p[i] for p in pairs) for i in (0, 1))
        gru.use_quantization = False
        with torch.no_grad():
            plain = seconds(lambda v=x, g=gru: g(v), device, calls, 3)
        out[datapath] = {
            "bare_us": round(bare * 1e6, 1), "module_us": round(module * 1e6, 1), "ratio": round(module / bare, 3),
            "float_us": round(plain * 1e6, 1), "boundary": boundary,
        }  # fmt: skip
    return {"sizes": [100, 32, 256, 256], **out, "ok": all(out[k]["ratio"] <= 1.15 for k in out)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--budget", type=float, default=80.0, help="seconds for drawn problems")
    args = parser.parse_args()
    name = torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or "cpu"
    result: dict[str, Any] = {"device": name, "torch": torch.__version__, "numpy": np.__version__}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "contexts": lambda: contexts(args.device),
        "larger": lambda: larger_codes(args.device),
        "overhead": lambda: overhead(args.device, args.repeats),
        "training": lambda: training(args.device),
        "float_mode": lambda: float_mode(args.device),
        "threads": lambda: threads(args.device, False),
        "threads_own_streams": lambda: threads(args.device, True),
        "drawn": lambda: drawn_problems(args.device, args.problems, args.budget),
    }
    for part, run in parts.items():
        start = time.perf_counter()
        try:
            result[part] = run()
        except Exception as error:
            result[part] = {"ok": False, "error": "".join(traceback.format_exception(error)[-3:])}
        result[part]["seconds"] = round(time.perf_counter() - start, 1)
        print(part, json.dumps(result[part]), file=sys.stderr, flush=True)
    result["ok"] = all(result[part]["ok"] for part in parts)
    print(json.dumps(result, indent=1))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
