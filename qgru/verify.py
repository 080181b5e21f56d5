"""qgru verify: quantize a network, run golden and the twin, compare every stage, write the golden run as vectors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgru import __version__
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, complain, print_json
from qgru.show import decibel, grouped, percent, print_table, rounded

if TYPE_CHECKING:
    from qgru.jobs import Outcome, Setting

DRAWN_STEPS, DRAWN_ROWS = 16, 16


@click.command()
@click.option(
    "--model", "model_file", type=click.Path(path_type=Path), help="A float GRU: .npz, .safetensors or a torch state dict."
)
@click.option(
    "--data", "data_file", type=click.Path(path_type=Path), help="Its input, x [T,N,C] in .npz or .npy; drawn when left out."
)
@click.option("--g2p", "g2p_folder", type=click.Path(path_type=Path), help="Folder with checkpoint20.npz and homographs.en.")
@click.option("--datapath", type=click.Choice(["pot", "mshift", "mshift-dynamic", "all"]), default="all", show_default=True)
@click.option("--device", type=click.Choice(["auto", "gpu", "host", "simulator"]), default="auto", show_default=True)
@click.option("--bits", type=int, help="Width of datapath P, and of M's gate inputs; 8, and for P 16 too, when left out.")
@click.option(
    "--seed", type=click.IntRange(0, 2**53 - 1), default=0, show_default=True, help="Which half calibrates; drawn input."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the vector set.  [default: qgru-out/vectors]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of the table.")
def command(
    model_file: Path | None,
    data_file: Path | None,
    g2p_folder: Path | None,
    datapath: str,
    device: str,
    bits: int | None,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Quantize a GRU, run golden and its fast twin, and compare every stage bit for bit.

    Without --model it takes the trained grapheme-to-phoneme network of the package g2p-en, encoder and decoder, and its
    list of homographs. SQNR and phonemes are measured against the float network and reported; the verdict is equality.
    """
    from cuda_impl.launch import target as resolve
    from golden.spec.errors import ParameterError
    from qgru.jobs import settings
    from vectors.writer import check_target

    if model_file is None and data_file is not None:
        raise ParameterError("--data", repr(str(data_file)), "a --model that reads it")
    if model_file is not None and g2p_folder is not None:
        raise ParameterError("--g2p", repr(str(g2p_folder)), "either --g2p or --model")
    choices = settings(datapath, bits)
    device = resolve(device).kind
    target = Path("qgru-out") / "vectors" if out is None else out
    check_target(target)
    start = time.monotonic()
    job = (
        _g2p(g2p_folder, choices, seed, device) if model_file is None else _model(model_file, data_file, choices, seed, device)
    )
    with progress("verify", len(choices)) as advance:
        for outcome in job:  # noqa: B007
            advance(1)
    digest = _write(target, outcome, seed)
    if as_json:
        print_json(_plain(outcome, device, seed, digest))
    else:
        _print(outcome, device, time.monotonic() - start, target, digest)
    if outcome.equal:
        return EXACT
    show_mismatch(outcome, target, device, seed)
    return MISMATCH


def _g2p(folder: Path | None, choices: list[Setting], seed: int, device: str) -> Iterator[Outcome]:
    from qgru.job_g2p import g2p_job
    from quant_gru.g2p import load_g2p

    return g2p_job(load_g2p(folder), choices, seed, device)


def _model(model_file: Path, data_file: Path | None, choices: list[Setting], seed: int, device: str) -> Iterator[Outcome]:
    import numpy as np

    from qgru.job_model import model_job
    from quant_gru.load import Data, load_data, load_model

    grus = load_model(model_file).grus
    if data_file is not None:
        data = load_data(data_file)
    else:
        rng = np.random.Generator(np.random.PCG64(seed))
        data = Data(rng.standard_normal((DRAWN_STEPS, DRAWN_ROWS, grus[0].gru.input_size)).astype(np.float32), None)
    return model_job(grus, data.x, data.h0, choices, seed, device)


def _write(target: Path, outcome: Outcome, seed: int) -> str:
    from vectors.writer import write_set

    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    return write_set(target, outcome.cases, seed=seed, version=__version__)


def _print(outcome: Outcome, device: str, seconds: float, target: Path, digest: str) -> None:
    header = ("setting", "network", "codes compared", "mismatches", "SQNR", "phonemes")
    rows = [
        (x.setting, x.network, grouped(x.compared), grouped(x.mismatches), decibel(x.sqnr_db), percent(x.phonemes))
        for x in outcome.lines
    ]
    print_table(header, rows, left=2)
    if any(x.phonemes is not None for x in outcome.lines):
        click.echo("phonemes: 1 - PER against the float network, on the half of the words that did not calibrate")
    compared, wrong = (sum(getattr(x, name) for x in outcome.lines) for name in ("compared", "mismatches"))
    click.echo(f"{grouped(compared)} codes compared, {wrong} mismatches, golden against the twin on {device}, {seconds:.0f} s")
    click.echo(f"golden run: {len(outcome.cases)} cases in {target}, sha256 {digest}")


def _plain(outcome: Outcome, device: str, seed: int, digest: str) -> dict[str, Any]:
    return {
        "command": "verify",
        "device": device,
        "seed": seed,
        "equal": outcome.equal,
        "compared": sum(x.compared for x in outcome.lines),
        "mismatches": sum(x.mismatches for x in outcome.lines),
        "vectors": {"sha256": digest, "cases": [case.id for case in outcome.cases]},
        "lines": [
            {
                "setting": x.setting,
                "network": x.network,
                "compared": x.compared,
                "mismatches": x.mismatches,
                "sqnr_db": rounded(x.sqnr_db, 3),
                "phonemes": rounded(x.phonemes, 6),
            }
            for x in outcome.lines
        ],
    }


def show_mismatch(outcome: Outcome, target: Path, device: str, seed: int) -> None:
    """Report the first run that is not equal, and write it as a vector set that replays it.

    Rows are independent in the static datapaths (S-3), so there only the row that differs is written.
    """
    import numpy as np

    from golden.sequence import forward
    from golden.spec.errors import QgruError
    from vectors.case import case_from_trace
    from vectors.writer import write_set
    from verification.diagnosis import report_lines
    from verification.report import report

    assert outcome.failed is not None
    result, x, h0 = outcome.failed
    folder = target.with_name(target.name + "-mismatch")
    replay = f"qgru check {folder} --device {device}"
    reverse = {"reverse": result.trace.reverse}
    found = report_lines(result.params, x, h0, reverse, expected=result.trace, got=result.twin)
    names = ("twin", "golden")
    click.echo(report(result.comparison, result.params, result.trace, names=names, replay=replay, diagnosis=found), err=True)
    trace, d = result.trace, result.comparison.first
    if result.datapath != "mshift-dynamic" and d is not None and d.n is not None:
        x = np.ascontiguousarray(x[:, d.n : d.n + 1])
        h0 = None if h0 is None else h0[d.n : d.n + 1]
        trace = forward(result.params, x, h0, reverse=trace.reverse)
    case = case_from_trace("mismatch", result.params, x, h0, trace, group="mismatch", comment=result.name)
    try:
        write_set(folder, [case], seed=seed, version=__version__)
    except (QgruError, OSError) as error:
        complain(f"the mismatch could not be written: {error}")
