"""qgru quantize: a float GRU and data in; parameters, ONNX models and vectors out, after golden and the twin agree."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgru import __version__
from qgru.options import refuse_unused
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, complain, need, print_json
from qgru.show import decibel, grouped, print_table, rounded

if TYPE_CHECKING:
    import numpy as np

    from qgru.quantize_job import Choices, Verified
    from quant_gru.stack import Stack

FORMATS = ("hex", "c", "bin", "wycheproof")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--network", help="Of a file with several networks: the prefix of its weights' names.")
@click.option("--datapath", type=click.Choice(["pot", "mshift"]), default="pot", show_default=True)
@click.option(
    "--method", type=click.Choice(["histogram", "sqnr", "minmax", "percentile"]), default="histogram", show_default=True
)
@click.option("--percentile", type=float, default=99.99, show_default=True, help="With --method percentile.")
@click.option(
    "--ema", is_flag=True, help="With --method minmax: x and h by the moving average of E-1 over the steps of DATA."
)
@click.option("--bits", type=int, help="Width of every operator of pot, or of mshift's gate inputs.  [default: 8]")
@click.option("--config", type=click.Path(path_type=Path), help="Widths of the eighteen operators, JSON; instead of --bits.")
@click.option(
    "--activation", type=click.Choice(["linear", "quadratic", "direct"]), default="linear", show_default=True,
    help="Tables of pot's gates.",
)  # fmt: skip
@click.option("--batch-first", is_flag=True, help="DATA is [N,T,C], and the ONNX models take and give it so.")
@click.option("--onnx/--no-onnx", "with_onnx", default=True, show_default=True, help="Write the three ONNX models.")
@click.option(
    "--format", "--formats", "formats", type=click.Choice(FORMATS), multiple=True,
    help="Also write the vectors in this format, into OUT/vectors-FORMAT; may be repeated.",
)  # fmt: skip
@click.option("--device", type=click.Choice(["auto", "gpu", "host", "simulator"]), default="auto", show_default=True)
@click.option("--replace", is_flag=True, help="Replace OUT where it exists.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of the table.")
def command(
    model: Path,
    data: Path,
    out: Path,
    network: str | None,
    datapath: str,
    method: str,
    percentile: float,
    ema: bool,
    bits: int | None,
    config: Path | None,
    activation: str,
    batch_first: bool,
    with_onnx: bool,
    formats: tuple[str, ...],
    device: str,
    replace: bool,
    as_json: bool,
) -> int:
    """Quantize the GRU of the file MODEL, calibrated on DATA, and write everything that is known of it to the new folder OUT.

    MODEL holds weights by the names of torch.nn.GRU (.pt, .safetensors, .npz); DATA holds real inputs x [T,N,C] (.npy, or
    .npz with x and, if wanted, h0 [N,H]). All of DATA calibrates and is run: golden against the twin at every stage, a
    sample against the judge, the integer ONNX model against golden's codes. OUT appears only when all of them agree.
    """
    from cuda_impl.launch import target as resolve
    from golden.spec.errors import ParameterError
    from qgru.files import atomic_folder
    from quant_gru.load import load_data, load_model

    if with_onnx:
        need("onnx")
        need("onnxruntime")
    _check_target(out, replace, (model, data, *(() if config is None else (config,))))
    choices = _choices(datapath, method, percentile, ema, bits, config, activation)
    device = resolve(device).kind
    stack = _stack(load_model(model).grus, network, batch_first)
    x, h0 = load_data(data, batch_first=batch_first)
    if 0 in x.shape:
        raise ParameterError("x", f"an array of shape {list(x.shape)}", "at least one step and one row to calibrate on")
    start = time.monotonic()
    stack, observed, verified = _quantize(stack, x, h0, choices, device, with_onnx)
    if not verified.equal:
        return _mismatch(verified, out, device, as_json)
    report = _report(stack, observed, choices, verified, {"model": model, "data": data}, x.shape, network, config)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, replace=replace) as folder:
        _write(folder, stack, choices, verified, report, with_onnx, h0 is not None, formats)
    if as_json:
        print_json({"command": "quantize", "device": device, "equal": True, "out": str(out), **report})
    else:
        _print(verified, report, out, device, time.monotonic() - start)
    return EXACT


def _check_target(out: Path, replace: bool, read: tuple[Path, ...]) -> None:
    """Refuse an OUT that may not be replaced: no folder that qgru quantize wrote, or one with what is read now in it."""
    from golden.spec.errors import ParameterError
    from vectors.writer import check_parent

    if not out.name or out.name == "..":
        raise ParameterError("OUT", repr(str(out)), "the name of a new folder")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise NotADirectoryError(20, "exists and is not a folder", str(out))
    check_parent(out)
    if not out.exists():
        return
    if not replace:
        raise FileExistsError(17, "exists already, --replace replaces it", str(out))
    for path in read:
        if out.resolve() in path.resolve().parents:
            raise ParameterError("OUT", f"{str(out)!r}, which holds {str(path)!r}", "a folder without what is read")
    if any(out.iterdir()) and not _wrote(out):
        raise ParameterError("OUT", f"{str(out)!r}, which holds other files", "a folder that qgru quantize wrote")


def _wrote(out: Path) -> bool:
    """Whether a folder holds just what this command writes."""
    from qgru.quantize_files import MODULE_PARAMETERS, PARAMETERS, REPORT

    names = {path.name for path in out.iterdir()}
    wanted = {PARAMETERS, REPORT, "vectors"}
    return wanted <= names <= wanted | {MODULE_PARAMETERS, "onnx", *(f"vectors-{form}" for form in FORMATS)}


def _choices(
    datapath: str, method: str, percentile: float, ema: bool, bits: int | None, config: Path | None, activation: str
) -> Choices:
    from golden.spec.errors import ParameterError
    from qgru.quantize_job import Choices
    from quant_gru.config import load_config
    from quant_gru.observers import Observers

    if bits is not None and config is not None:
        raise ParameterError("--bits", bits, "either --bits or --config")
    if activation != "linear" and datapath != "pot":
        raise ParameterError("--activation", repr(activation), "linear, other tables are of --datapath pot")
    if method != "percentile":
        refuse_unused({"percentile": "--percentile"}, f"with --method {method}", "--method percentile")
    if ema and method != "minmax":
        raise ParameterError("--ema", f"given with --method {method}", "--method minmax")
    Observers(method, percentile)  # refuses a bad percentile before anything is read
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        widths = None if config is None else load_config(config).operators
    for warning in said:
        complain(f"{config}: {warning.message}")
    return Choices(datapath, method, percentile, ema, widths, 8 if bits is None else bits, activation)


def _stack(grus: Any, network: str | None, batch_first: bool) -> Stack:
    from dataclasses import replace

    from golden.spec.errors import ParameterError
    from quant_gru.stack import stack_of

    groups = {g.group.rstrip("._/"): g.group for g in grus}
    wanted = network if network is not None else next(iter(groups))
    if wanted not in groups or (network is None and len(groups) > 1):
        found = repr(network) if network is not None else f"missing for {len(groups)} networks"
        raise ParameterError("--network", found, f"one of {', '.join(g or repr('') for g in groups)}")
    return replace(stack_of([g for g in grus if g.group == groups[wanted]]), batch_first=batch_first)


def _quantize(
    stack: Stack, x: np.ndarray, h0: np.ndarray | None, choices: Choices, device: str, with_onnx: bool
) -> tuple[Stack, Any, Verified]:
    from dataclasses import replace

    from qgru.quantize_job import calibrate, parameter_sets, verify_stack

    rows = x.shape[1]
    with progress("calibrate and verify", rows * (len(stack.layers) + 1)) as advance:
        observed = calibrate(stack, x, h0, choices, advance)
        made = parameter_sets(stack, observed, choices)
        time_first = replace(made, batch_first=False)
        models = _models(time_first, h0 is not None) if with_onnx else {}
        label = f"{choices.datapath}, {'widths of a file' if choices.widths is not None else f'{choices.bits} bit'}"
        return made, observed, verify_stack(time_first, x, h0, device, models, advance, label)


def _models(stack: Stack, initial_state: bool) -> dict[str, Any]:
    from quant_gru.onnx import build

    return {form: build(stack, form, initial_state=initial_state) for form in ("integer", "qdq")}


def _report(
    stack: Stack, observed: Any, choices: Choices, verified: Verified, sources: dict[str, Path],
    shape: tuple[int, ...], network: str | None, config: Path | None,
) -> dict[str, Any]:  # fmt: skip
    from qgru.quantize_files import NAMES, operator_rows, sha256
    from qgru.quantize_job import name
    from quant_gru.observers import checked_method

    method = checked_method(choices.method)
    calibration: dict[str, Any] = {"method": method, "steps": shape[0], "rows": shape[1], "layers": []}
    if method == "percentile":
        calibration["percentile"] = choices.percentile
    if method == "minmax":
        calibration["ema"] = choices.ema
    for i, (layer, both) in enumerate(zip(stack.layers, observed)):
        for d, seen in zip(layer, both):
            place = {"name": name(i, d.reverse), "layer": i, "direction": NAMES[d.reverse]}
            calibration["layers"].append({**place, "operators": operator_rows(d, seen)})
    lines = verified.outcome.lines
    models = {
        form: {"codes": d.codes, "differing": d.differing, "mean_lsb": rounded(d.mean, 6), "worst_lsb": d.worst}
        for form, d in verified.models.items()
    }
    return {
        "sources": {what: {"file": path.name, "sha256": sha256(path)} for what, path in sources.items()},
        "network": network,
        "datapath": choices.datapath,
        "widths": {"bits": choices.bits} if config is None else {"config": config.name, "sha256": sha256(config)},
        "activation": choices.activation if choices.datapath == "pot" else "direct",
        "calibration": calibration,
        "verification": {
            "compared": sum(line.compared for line in lines),
            "mismatches": sum(line.mismatches for line in lines),
            "judge": {"compared": verified.judge[0], "mismatches": verified.judge[1]},
            "onnx": models,
            "sqnr_db": rounded(verified.sqnr_db, 3),
            "lines": [{"network": x.network, "compared": x.compared, "mismatches": x.mismatches} for x in lines],
        },
    }


def _write(
    folder: Path, stack: Stack, choices: Choices, verified: Verified, report: dict[str, Any], with_onnx: bool,
    initial_state: bool, formats: tuple[str, ...],
) -> None:  # fmt: skip
    from qgru.quantize_files import (
        MODULE_PARAMETERS,
        PARAMETERS,
        REPORT,
        pack_parameters,
        write_json,
        write_models,
        write_module_parameters,
    )
    from vectors.reader import open_set
    from vectors.writer import export_set, write_set

    write_json(folder / PARAMETERS, pack_parameters(stack))
    write_module_parameters(folder / MODULE_PARAMETERS, stack, choices.config(), choices.datapath)
    written: dict[str, Any] = {"qgru": __version__}
    if with_onnx:
        written["onnx"] = write_models(folder / "onnx", stack, initial_state)
    written["vectors"] = write_set(folder / "vectors", verified.outcome.cases, seed=0, version=__version__)
    opened = open_set(folder / "vectors")
    for form in dict.fromkeys(formats):
        export_set(opened, folder / f"vectors-{form}", form)
    report["written"] = written
    write_json(folder / REPORT, {"format": "qgru calibration report", "version": 1, **report})


def _print(verified: Verified, report: dict[str, Any], out: Path, device: str, seconds: float) -> None:
    rows = []
    for layer, line in zip(report["calibration"]["layers"], verified.outcome.lines):
        x, h = (layer["operators"][f"input.{k}"] for k in "xh")
        cells = (f"{op['seen'][0]:.4g} ... {op['seen'][1]:.4g}" for op in (x, h))
        rows.append((layer["name"], *cells, grouped(line.compared), grouped(line.mismatches)))
    print_table(("network", "x seen", "h seen", "codes compared", "mismatches"), rows, left=1)
    judged, wrong = verified.judge
    click.echo(f"golden against the twin on {device}: {grouped(report['verification']['compared'])} codes, 0 mismatches")
    click.echo(f"golden against the judge, a sample: {grouped(judged)} codes, {wrong} mismatches")
    for form, d in verified.models.items():
        share = f"{100 * d.equal:.2f} % equal, mean {d.mean:.4f} LSB, worst {d.worst} LSB"
        click.echo(f"ONNX {form} against golden: {grouped(d.codes)} codes, {d.differing} differ, {share}")
    click.echo(f"SQNR on the calibration data: {decibel(verified.sqnr_db)}")
    click.echo(f"{out}: parameters.json, report.json, {'onnx, ' * bool(verified.models)}vectors, {seconds:.0f} s")


def _mismatch(verified: Verified, out: Path, device: str, as_json: bool) -> int:
    """Report what differs; OUT is not written."""
    from qgru.verify import show_mismatch

    if as_json:
        print_json({"command": "quantize", "device": device, "equal": False, "out": None})
    if verified.outcome.failed is not None:
        show_mismatch(verified.outcome, out, device, 0)
    if verified.judge[1]:
        complain(f"{verified.judge[1]} of {verified.judge[0]} codes of the judge's sample differ from golden's, expected none")
    model = verified.models.get("integer")
    if model is not None and model.differing:
        complain(f"{model.differing} of {model.codes} codes of the integer ONNX model differ from golden's, expected none")
    complain(f"{out} was not written: the implementations disagree")
    return MISMATCH
