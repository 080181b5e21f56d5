"""docs/accuracy.md: some of its lines computed again, and what they must show."""

import json
from importlib.util import find_spec

import pytest

from benchmarks import accuracy
from golden.spec.layout import OPERATORS
from golden.spec.params import MShiftParams
from quant_gru.g2p_widths import FOLDER, fast_network, keys_of
from quant_gru.mixed_widths import best, descend, search, stored_bits, trade, values_of, widest
from quant_gru.transcribe import encode_words, integer_network, transcribe
from tests.meta.house import ROOT

real = pytest.mark.skipif(find_spec("g2p_en") is None, reason='g2p-en is not installed: pip install "qgru[examples]"')
PAGE = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
RECORD = json.loads((FOLDER / "mixed_widths.json").read_text(encoding="utf-8"))
AGAIN = [("pot", "8", "minmax"), ("pot", "8", "histogram"), ("pot", "16", "histogram"), ("mshift", "8, gates 8", "histogram")]


def cells(*start: str) -> list[str]:
    """The cells of the one line of the page that starts with these."""
    (found,) = (line for line in PAGE.splitlines() if line.startswith("| " + " | ".join(start) + " |"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_what_the_page_must_show():
    lines = (("8", "minmax"), ("8", "histogram"), ("16", "histogram"))
    minmax, searched, wide = (float(cells("pot", *key)[3]) for key in lines)
    assert searched >= minmax and searched >= 98.5
    assert wide >= 99.9 and float(cells("pot", "16", "minmax")[3]) >= 99.9
    (chosen,) = (line for line in PAGE.splitlines() if "**chosen**" in line)
    figures = [cell.strip() for cell in chosen.strip("|").split("|")]
    assert float(figures[5]) >= 99.5
    assert float(figures[2]) < float(cells("all 8 bits")[2])


def test_every_line_is_there():
    for row in accuracy.rows():
        assert len(cells(row.datapath, row.width, row.method)) == 7
    assert accuracy.widths_table.__doc__ and PAGE.startswith(accuracy.HEAD.split("\n\n")[0])


@real
@pytest.mark.slow
@pytest.mark.parametrize("key", AGAIN)
def test_lines_computed_again(key):
    (row,) = (row for row in accuracy.rows() if (row.datapath, row.width, row.method) == key)
    assert accuracy.line(row) in PAGE.splitlines()


@real
@pytest.mark.slow
def test_the_mixed_widths_computed_again():
    kib, phonemes, exchanged = accuracy.mixed_line(accuracy.chosen_widths()).split(" | ")
    (chosen,) = (line for line in PAGE.splitlines() if "**chosen**" in line)
    assert f"| {kib} |" in chosen and chosen.endswith(f"| **chosen** | {phonemes} | {exchanged} |")
    assert stored_bits(keys_of(accuracy.model()), accuracy.chosen_widths()) == RECORD["bits"]
    assert PAGE.endswith(accuracy.widths_table())


@real
def test_the_fast_network_says_what_golden_says():
    from golden.sequence import forward

    side = accuracy.half(False)
    for row in accuracy.rows():
        if (row.width, row.method) in (("8", "histogram"), ("8, gates 8", "histogram")):
            encoder, decoder = (row.build(getattr(accuracy.model(), n), getattr(side.seen, n)) for n in ("encoder", "decoder"))
            assert isinstance(encoder, MShiftParams) == (row.datapath == "mshift")
            fast = fast_network(encoder), fast_network(decoder)
            slow = integer_network(encoder, forward), integer_network(decoder, forward)
            words = side.words[:6]
            assert (encode_words(accuracy.model(), words, fast[0]) == encode_words(accuracy.model(), words, slow[0])).all()
            assert transcribe(accuracy.model(), words, *fast) == transcribe(accuracy.model(), words, *slow)


def test_the_candidates_of_the_record():
    fewest = min(c["bits"] for c in RECORD["candidates"] if c["accepted"])
    assert RECORD["bits"] == fewest
    assert all(c["accepted"] == (c["calibration"] >= RECORD["wanted"]) for c in RECORD["candidates"])
    assert all(c["noise"] <= c["budget"] for c in RECORD["candidates"])
    chosen = accuracy.chosen_widths()
    (record,) = (c for c in RECORD["candidates"] if c["bits"] == fewest)
    assert accuracy.assignment_of(record["encoder"], record["decoder"]) == chosen
    assert RECORD["operators"] == list(OPERATORS)


# The search, on noises that are known


VALUES = {"weight.W": 1000, "input.x": 10, "weight.bx": 3}


def noise(assignment):
    parts = {"weight.W": 3.0, "input.x": 5.0, "weight.bx": 1.0}
    return sum(parts[key] * 4.0 ** -bits for key, bits in assignment.items())


def test_the_search_finds_the_least_bits_of_known_noises():
    budget = 0.01
    (candidate,) = search(VALUES, noise, lambda a: True, [budget])
    everything = [
        stored_bits(VALUES, a)
        for w in range(2, 17)
        for x in range(2, 17)
        for b in (8, 16)
        if noise(a := {"weight.W": w, "input.x": x, "weight.bx": b}) <= budget
    ]
    assert candidate.bits == min(everything)
    assert candidate.noise == noise(candidate.assignment) <= budget
    assert candidate.assignment == {"weight.W": 5, "input.x": 5, "weight.bx": 8}


def test_only_accepted_sets_are_chosen():
    calls: list[int] = []
    found = search(VALUES, noise, lambda a: a["weight.W"] >= 6, [0.01, 0.001, 0.0001], advance=calls.append)
    assert [c.accepted for c in found] == [False, True, True]
    assert best(found) == found[1] and len(calls) > 20
    assert best(found[:1]) is None


def test_a_budget_that_nothing_keeps_leaves_everything_wide():
    found = trade(VALUES, {key: {16: 0.0} for key in VALUES}, lambda a: 1.0, 0.5)
    assert found == widest(VALUES) == descend(VALUES, found, lambda a: 1.0, 0.5)


def test_values_of_a_network():
    import numpy as np

    from quant_gru.float_gru import from_pytorch

    gru = from_pytorch(np.ones((6, 3), np.float32), np.ones((6, 2), np.float32))
    found = values_of(gru)
    assert set(found) == set(OPERATORS)
    assert (found["weight.W"], found["weight.R"], found["weight.bx"]) == (18, 12, 6)
    assert (found["input.x"], found["input.h"], found["matmul.Rh"], found["op.rRh"]) == (3, 2, 6, 2)
