"""The accuracy page: the grapheme-to-phoneme network by datapath, width and calibration method, and its mixed widths.

    python benchmarks/accuracy.py > docs/accuracy.md
    python benchmarks/accuracy.py --search

The first computes every row anew and takes the mixed widths from quant_gru/data/g2p; the second searches them and writes them
there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cuda_impl import sequence as twin  # noqa: E402
from golden.spec.formats import IntFormat  # noqa: E402
from golden.spec.layout import OPERATORS, WEIGHT_OPERATORS  # noqa: E402
from golden.spec.params import MShiftDynamicParams, Params  # noqa: E402
from qgru.progress import progress  # noqa: E402
from quant_gru.accuracy import agreement, halves, sqnr_db  # noqa: E402
from quant_gru.build import dynamic_params, mshift_params, pot_params  # noqa: E402
from quant_gru.calibrate_choice import Calibration, Choice, minmax_exponents  # noqa: E402
from quant_gru.config import BitwidthConfig, to_plain  # noqa: E402
from quant_gru.files import atomic_text  # noqa: E402
from quant_gru.float_gru import FloatGru  # noqa: E402
from quant_gru.g2p import G2p, decoder_batches, encoder_batches, load_g2p  # noqa: E402
from quant_gru.g2p_widths import (  # noqa: E402
    FOLDER,
    NETWORKS,
    Measured,
    fast_network,
    keys_of,
    kibibytes,
    mixed_configs,
    search_widths,
    split,
    uniform,
)
from quant_gru.mixed_widths import Assignment, best  # noqa: E402
from quant_gru.observers import Observers  # noqa: E402
from quant_gru.transcribe import Calibrated, Network, calibrate_g2p, encode_words, float_network, integer_network, transcribe  # noqa: E402

WANTED = 0.995
METHODS = ("minmax", "histogram", "percentile")
WIDTHS = (4, 6, 8, 10, 12, 16)
Build = Callable[[FloatGru, Observers], Params]


@dataclass(frozen=True)
class Row:
    """A line of the page.  build makes the parameter set of one network from its statistics."""

    datapath: str
    width: str
    method: str
    build: Build


class Snapped:
    """Method "histogram" with its two steps exchanged: search any scale first, then take the nearest power of two."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers

    def choose(self, operator: str, fmt: IntFormat, is_symmetric: bool, *, power_of_two: bool = True) -> Choice:
        """The raw scale of least cost, to be snapped by E-4."""
        return self._observers.choose(operator, fmt, is_symmetric, power_of_two=False)

    def channel_exponents(self, operator: str, values: np.ndarray, fmt: IntFormat) -> np.ndarray:
        """Weights by MinMax, which serves this row better."""
        return minmax_exponents(operator, values, fmt)


def rows() -> Iterator[Row]:
    """The lines of the table, in order."""
    for bits in WIDTHS:
        for method in METHODS:
            yield Row(
                "pot", f"{bits}", method, lambda gru, seen, b=bits, m=method: pot_params(gru, seen.using(m, ema=False), b)
            )  # fmt: skip
    for bits in (8, 16):
        yield Row("pot", f"{bits}", "snapped", lambda gru, seen, b=bits: pot_params(gru, snapped(seen), b))
    quadratic = "piecewise_quadratic"
    for method in ("minmax", "histogram"):
        yield Row(
            "pot", "16, A-4", method,
            lambda gru, seen, m=method: pot_params(gru, seen.using(m, ema=False), 16, activation=quadratic),
        )  # fmt: skip
    for gate in (8, 16):
        for method in METHODS:
            yield Row(
                "mshift", f"8, gates {gate}", method,
                lambda gru, seen, g=gate, m=method: mshift_params(gru, seen.using(m, ema=False), gate_bits=g),
            )  # fmt: skip
        yield Row(
            "mshift", f"8, gates {gate}", "minmax, E-1",
            lambda gru, seen, g=gate: mshift_params(gru, seen.using("minmax"), gate_bits=g),
        )  # fmt: skip
    for gate in (8, 16):
        yield Row("mshift-dynamic", f"8, gates {gate}", "none", lambda gru, seen, g=gate: dynamic_params(gru, gate_bits=g))


def snapped(seen: Observers) -> Calibration:
    """The statistics under the exchanged order."""
    return Snapped(seen.using("histogram"))


@cache
def model() -> G2p:
    """The network."""
    return load_g2p()


class Half:
    """Calibrated on one half of the words, measured on the other.

    exchanged  whether it is the second half that calibrates
    """

    def __init__(self, exchanged: bool) -> None:
        first, second = halves(model().words)
        self.calibration, self.words = (second, first) if exchanged else (first, second)
        real = float_network(model().encoder), float_network(model().decoder)
        self.reference = transcribe(model(), self.words, *real)
        last = encode_words(model(), self.words, real[0])
        self.runs = (
            [(x, None, real[0].run(x, None)[0]) for _, x in encoder_batches(model(), self.words)],
            [(x, last[r], real[1].run(x, last[r])[0]) for r, x in decoder_batches(model(), self.reference)],
        )

    @property
    def seen(self) -> Calibrated:
        """The statistics of the calibration words."""
        return calibrated(self.calibration)

    def phonemes(self, networks: tuple[Network, Network]) -> float:
        """1 - PER on the measured words."""
        return agreement(self.reference, transcribe(model(), self.words, *networks))

    def decibels(self, networks: tuple[Network, Network]) -> list[float]:
        """SQNR of the states of encoder and decoder on the float network's own inputs."""
        return [
            sqnr_db([real for *_, real in runs], [net.run(x, net.start(h))[0] for x, h, _ in runs])
            for net, runs in zip(networks, self.runs)
        ]


@cache
def calibrated(words: tuple[str, ...]) -> Calibrated:
    """Statistics with everything that any row needs."""
    return calibrate_g2p(model(), words, "histogram", ema=True)


@cache
def half(exchanged: bool) -> Half:
    """Each half once."""
    return Half(exchanged)


def network(params: Params) -> Network:
    """A parameter set behind its float boundary: the fast host build, or the twin where ranges move."""
    if isinstance(params, MShiftDynamicParams):
        return integer_network(params, lambda p, x, h0: twin.forward(p, x, h0, device="host"))
    return fast_network(params)


def line(row: Row) -> str:
    """A row of the table as Markdown."""
    found, db = [], []
    for exchanged in (False, True):
        side = half(exchanged)
        pair = [network(row.build(getattr(model(), name), getattr(side.seen, name))) for name in NETWORKS]
        networks = pair[0], pair[1]
        found.append(side.phonemes(networks))
        if not exchanged:
            db = side.decibels(networks)
    cells = (row.datapath, row.width, row.method, *(f"{100 * p:.2f}" for p in found), *(f"{d:.1f}" for d in db))
    return "| " + " | ".join(cells) + " |"


def mixed_line(assignment: Assignment) -> str:
    """The measured figures of a set of widths as Markdown: KiB, phonemes, phonemes with the halves exchanged."""
    figures = [Measured(model(), half(e).seen, half(e).words).phonemes(assignment) for e in (False, True)]
    return " | ".join([f"{kibibytes(model(), assignment):.1f}", *(f"{100 * p:.2f}" for p in figures)])


def search_and_write() -> None:
    """Search the mixed widths on the calibration half, and write them to quant_gru/data/g2p."""
    side = half(False)
    measured = Measured(model(), side.seen, side.calibration)
    with progress("search", 2200) as advance:
        candidates = search_widths(measured, WANTED, advance)
    chosen = best(candidates)
    if chosen is None:
        raise SystemExit(f"no candidate keeps {WANTED} of the phonemes")
    FOLDER.mkdir(exist_ok=True)
    for name, widths in zip(NETWORKS, split(chosen.assignment)):
        config = BitwidthConfig({op: (bits, op in WEIGHT_OPERATORS) for op, bits in zip(OPERATORS, widths)})
        atomic_text(FOLDER / f"{name}_widths.json", json.dumps(to_plain(config), indent=2) + "\n")
    listed = [
        {"budget": c.budget, "bits": c.bits, "noise": c.noise, "accepted": c.accepted,
         "calibration": measured.phonemes(c.assignment), "encoder": list(split(c.assignment)[0]),
         "decoder": list(split(c.assignment)[1])}
        for c in candidates
    ]  # fmt: skip
    record: dict[str, Any] = {"wanted": WANTED, "operators": list(OPERATORS), "bits": chosen.bits, "candidates": listed}
    atomic_text(FOLDER / "mixed_widths.json", json.dumps(record, indent=1) + "\n")


def assignment_of(encoder: Any, decoder: Any) -> Assignment:
    """The widths of both networks, in the order of OPERATORS, under the keys of the search."""
    return {f"{name} {op}": bits for name, widths in zip(NETWORKS, (encoder, decoder)) for op, bits in zip(OPERATORS, widths)}


def chosen_widths() -> Assignment:
    """The mixed widths of quant_gru/data/g2p."""
    return assignment_of(*([config.operators[op][0] for op in OPERATORS] for config in mixed_configs()))


HEAD = """# Accuracy

Made by `benchmarks/accuracy.py`; a test computes some of the lines again and compares them.

The network is the grapheme-to-phoneme network of g2p-en: a GRU encoder and a GRU decoder with C = H = 256, and the {words}
words of its list of homographs. The first {first} words calibrate, the other {second} with {phonemes} phonemes are
measured; the column "exchanged" is the other way round. **phonemes** is 1 - PER against the float network in closed loop,
in percent: one phoneme is {one:.2f} %. **SQNR** is that of the states, each network on the float network's own inputs. How
a method makes a scale of what was seen is told in [calibration.md](calibration.md). These are figures of a quantization,
not a verdict: every implementation gives the same codes.

| datapath | width | method | phonemes | exchanged | encoder dB | decoder dB |
|---|---|---|---|---|---|---|
"""
AFTER = """
- `percentile` leaves 0.01 % of the values outside at each end.
- `snapped` searches any scale for the least cost first and takes the nearest power of two then. The nearest may be smaller
  by up to a factor of 1.41 and then clips what the search had kept: more bits do not help it. So `histogram` tries only
  scales that are powers of two.
- `minmax, E-1` takes x and h from the moving average of E-1 over the steps, in the order of the batches.
- `A-4` has piecewise quadratic tables, all other lines of `pot` piecewise linear ones, whose error decides at 16 bits.
- A few near-ties of the float network decide the rest: a difference of two or three phonemes between two lines says
  nothing.
"""
MIXED = """
## Mixed widths

The fewest bits that keep {wanted:.1f} % of the phonemes, found by `benchmarks/accuracy.py --search` in {minutes} on one
core, on the calibration words alone. What is counted are the bits that hold the weights and biases of both networks and one
row's step of every activation: what a device must store. The weights are 99 % of it; a narrower activation saves little,
and the search leaves it wide where that lets a weight be narrower.

How (`quant_gru/mixed_widths.py`): the noise of a set of widths is the mean squared error of the logits at the float
network's phonemes. First every operator alone is narrowed from 16 bits down, the others kept at 16. Then, for each noise
budget, a price per bit is found by bisection at which every operator takes the width of least noise + price * bits and the
measured noise of the whole keeps the budget; after that operators lose a bit one by one, the largest first, as long as the
budget is kept. Of the sets that keep {wanted:.1f} % in closed loop on the calibration words, the one of fewest bits is
taken. The measured words have no part in it. Under "exchanged" the other half makes the scales and the words are those that
the search has seen.

| budget | noise | KiB | phonemes, calibration words | kept | phonemes | exchanged |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    listed = list(rows())
    record = json.loads((FOLDER / "mixed_widths.json").read_text(encoding="utf-8"))
    uniform_bits = (8, 9)
    with progress("accuracy", len(listed) + len(record["candidates"]) + len(uniform_bits)) as advance:

        def step(text: str) -> str:
            advance(1)
            return text

        side = half(False)
        phonemes = sum(map(len, side.reference))
        text = HEAD.format(
            words=len(model().words), first=len(side.calibration), second=len(side.words), phonemes=phonemes, one=100 / phonemes
        )
        text += "".join(step(line(row)) + "\n" for row in listed) + AFTER
        text += MIXED.format(wanted=100 * record["wanted"], minutes="two minutes")
        for c in record["candidates"]:
            figures = mixed_line(assignment_of(c["encoder"], c["decoder"])).split(" | ")
            shown = "**chosen**" if c["bits"] == record["bits"] else "yes" if c["accepted"] else "no"
            noise, kept = f"{c['noise']:.4f}", f"{100 * c['calibration']:.2f}"
            cells = (f"{c['budget']:.4f}", noise, figures[0], kept, shown, *figures[1:])
            text += step("| " + " | ".join(cells) + " |") + "\n"
        calibration = Measured(model(), side.seen, side.calibration)
        for bits in uniform_bits:
            everything = even(bits)
            kib, *figures = mixed_line(everything).split(" | ")
            own = f"{100 * calibration.phonemes(everything):.2f}"
            cells = (f"all {bits} bits", f"{calibration.noise(everything):.4f}", kib, own, "", *figures)
            text += step("| " + " | ".join(cells) + " |") + "\n"
    return text + widths_table()


def even(bits: int) -> Assignment:
    """Everything at one width, biases at the next that they have."""
    return {key: (8 if bits <= 8 else 16) if key.endswith(("weight.bx", "weight.br")) else bits for key in uniform(bits)}


def widths_table() -> str:
    """The chosen widths by operator."""
    values, chosen = keys_of(model()), chosen_widths()
    text = "\nThe chosen widths, in `quant_gru/data/g2p/encoder_widths.json` and `decoder_widths.json`:\n\n"
    text += "| operator | values | encoder | decoder |\n|---|---|---|---|\n"
    for op in OPERATORS:
        text += f"| `{op}` | {values['encoder ' + op]} | {chosen['encoder ' + op]} | {chosen['decoder ' + op]} |\n"
    return text


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--search", action="store_true", help="search the mixed widths and write quant_gru/data/g2p")
    if parser.parse_args().search:
        search_and_write()
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main()
