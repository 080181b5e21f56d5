"""Who stands beside us: torch.nn.GRU, torch.ao's dynamic quantized GRU, onnxruntime's GRU; the missing are listed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from qgru.bench_modes import Drawn

Peers = tuple[dict[str, Callable[[], Any]], dict[str, str]]


def float_gru(network: Drawn) -> Any:
    """The network as torch.nn.GRU."""
    import torch

    _, _, inputs, hidden = network.size
    module = torch.nn.GRU(inputs, hidden).eval()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    module.load_state_dict({n: torch.from_numpy(w) for n, w in zip(names, network.weights)})
    return module


def cpu_peers(network: Drawn, threads: int) -> Peers:
    """(name -> call, name -> why it is missing)."""
    calls: dict[str, Callable[[], Any]] = {}
    missing: dict[str, str] = {}
    try:
        import torch

        torch.set_num_threads(threads)
        module, x = float_gru(network), torch.from_numpy(network.x)
        calls["torch.nn.GRU fp32"] = _no_grad(module, x)
        for name, kind in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
            half = float_gru(network).to(kind)
            calls[f"torch.nn.GRU {name}"] = _no_grad(half, x.to(kind))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantized = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(module), {torch.nn.GRU}, dtype=torch.qint8)
        calls["torch.ao dynamic qint8"] = _no_grad(quantized, x)
    except (ImportError, AttributeError, RuntimeError) as error:
        missing["torch"] = _sentence(error)
    try:
        calls["onnxruntime GRU fp32"] = onnxruntime_call(network, threads)
    except ImportError as error:
        missing["onnxruntime"] = _sentence(error)
    return _usable(calls, missing), missing


def _usable(calls: dict[str, Callable[[], Any]], missing: dict[str, str]) -> dict[str, Callable[[], Any]]:
    """The calls that run; the others become missing."""
    good = {}
    for name, call in calls.items():
        try:
            call()
            good[name] = call
        except (RuntimeError, ValueError) as error:
            missing[name] = _sentence(error)
    return good


def _no_grad(module: Any, x: Any) -> Callable[[], Any]:
    import torch

    def call() -> Any:
        with torch.inference_mode():
            return module(x)

    return call


def onnxruntime_call(network: Drawn, threads: int) -> Callable[[], Any]:
    """onnxruntime's GRU operator on the same float weights (linear_before_reset = 1, as PyTorch has it)."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    _, _, inputs, hidden = network.size

    def gates(weights: np.ndarray) -> np.ndarray:
        """PyTorch's r, z, n in the operator's order z, r, h."""
        r, z, n = np.split(weights, 3)
        return np.concatenate([z, r, n])

    w_ih, w_hh, b_ih, b_hh = (gates(w) for w in network.weights)
    arrays = {"W": w_ih[None], "R": w_hh[None], "B": np.concatenate([b_ih, b_hh])[None]}
    graph = helper.make_graph(
        [helper.make_node("GRU", ["x", "W", "R", "B"], ["y"], hidden_size=hidden, linear_before_reset=1)],
        "gru",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", "N", inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, name) for name, a in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["y"], {"x": network.x})


def gpu_peers(network: Drawn) -> Peers:
    """torch.nn.GRU of cuDNN: fp32 without and with TF32, fp16, bf16."""
    import torch

    calls: dict[str, Callable[[], Any]] = {}
    missing: dict[str, str] = {}
    x = torch.from_numpy(network.x).cuda()
    for name, kind, tf32 in (
        ("fp32, TF32 off", torch.float32, False),
        ("fp32, TF32 on", torch.float32, True),
        ("fp16", torch.float16, False),
        ("bf16", torch.bfloat16, False),
    ):
        module = float_gru(network).to(device="cuda", dtype=kind)
        module.flatten_parameters()
        calls[f"torch.nn.GRU {name} (cuDNN)"] = _with_tf32(_no_grad(module, x.to(kind)), tf32)
    return _usable(calls, missing), missing


def _with_tf32(call: Callable[[], Any], allowed: bool) -> Callable[[], Any]:
    import torch

    def run() -> Any:
        torch.backends.cudnn.allow_tf32 = allowed
        return call()

    return run


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
