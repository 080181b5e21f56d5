"""Journals: torn they lose one line at most; put together in any order they say the same; contradictions are refused."""

from __future__ import annotations

import itertools
import json
import random

import pytest

from golden.spec.errors import ParameterError
from qgru.fuzz_folder import summary
from verification.fuzz.campaign import Campaign
from verification.fuzz.findings import shrunk_problem
from verification.fuzz.group import chosen, groups
from verification.fuzz.journal import FILE, Journal, header, read_journal
from verification.fuzz.ledger import Ledger, ledgers, union
from verification.fuzz.subject import Subject

NAME, OTHER = Campaign().name, Campaign(1, "pot").name


def finding(index, stage="h", explanations=(), outcome="differs", datapath="pot"):
    return {"index": index, "datapath": datapath, "outcome": outcome, "stage": stage, "detail": "",
            "explanations": list(explanations)}  # fmt: skip


def shard(start, stop, *findings, compared=100):
    outcomes = {"differs": len(findings), "equal": stop - start - len(findings)}
    return {"kind": "shard", "start": start, "stop": stop, "compared": compared, "outcomes": outcomes, "not_run": {},
            "findings": list(findings)}  # fmt: skip


def shrunk(index, problem="{}", explanations=("ties-up",)):
    return {"kind": "shrunk", "index": index, "problem": problem, "report": "r", "outcome": "differs", "stage": "h",
            "explanations": list(explanations), "sizes": {}, "tried": 3}  # fmt: skip


LINES = [header(NAME, Subject()), shard(0, 8, finding(3)), shard(8, 16), shrunk(3), shard(16, 20, finding(17), finding(19))]


def text_of(found):
    return "\n".join(json.dumps(e, sort_keys=True) for ledger in found.values() for e in ledger.entries())


def test_a_journal_torn_at_any_byte_loses_the_last_line_at_most(tmp_path):
    with Journal(tmp_path) as journal:
        for line in LINES:
            journal.add(line)
    whole = (tmp_path / FILE).read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in (*range(last, len(whole), 7), len(whole) - 1):
        (tmp_path / FILE).write_bytes(whole[:length])
        assert read_journal(tmp_path) == LINES[:-1]
        with Journal(tmp_path) as journal:
            assert journal.entries == LINES[:-1]
            journal.add(LINES[-1])
        assert (tmp_path / FILE).read_bytes() == whole
    (tmp_path / FILE).write_bytes(whole + b"\0\xff{\n")
    assert read_journal(tmp_path) == LINES


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"kind":"shard"}', b'{"kind":"other"}', b"\xff", b'{"kind":"shrunk","index":-1}']
)
def test_a_damaged_line_inside_is_refused_with_its_number(tmp_path, line):
    with Journal(tmp_path) as journal:
        journal.add(LINES[0])
        journal.add(LINES[1])
    first, second = (tmp_path / FILE).read_bytes().splitlines()
    (tmp_path / FILE).write_bytes(b"\n".join([first, line, second]) + b"\n")
    with pytest.raises(ParameterError, match="line 2 is not an entry"):
        read_journal(tmp_path)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (header(NAME, Subject()) | {"version": 2}, "version 2, not 'qgru fuzz journal' version 1"),
        (header(NAME, Subject()) | {"version": True}, "version True, not 'qgru fuzz journal' version 1"),
        (header("fuzz2-0-all-8", Subject()), "draws of version 1"),
        (header("fuzz1-\u0660-all-8", Subject()), "campaign is"),
        (header(NAME, Subject(timeout=10**400)), "timeout"),
        (header(NAME, Subject()) | {"more": []}, "an unknown field 'more'"),
        (shard(0, 8, finding(3, "z\nimport os")), "stage 'z"),
        (shard(0, 8, finding(3, outcome="\x1b[2J")), "outcome"),
        (shard(0, 8, finding(3) | {"more": []}), "an unknown field 'more'"),
        (shard(0, 8) | {"outcomes": {"equal": 10**400}}, "where a whole number belongs"),
        (shard(0, 2**62 + 1), "where a whole number belongs"),
        (shard(0, 8) | {"findings": {}}, "findings {}"),
        (shard(0, 8, finding(3)) | {"findings": []}, "outcomes {'differs': 1, 'equal': 7} with 0 findings"),
        (shard(0, 8, finding(3), finding(3)), "outcomes {'differs': 2, 'equal': 6} with 1 findings"),
        (shard(0, 8, finding(3)) | {"findings": [finding(3, outcome="hang")]}, "with 1 findings"),
        (shard(0, 8) | {"outcomes": {"equal": 9}}, "outcomes {'equal': 9} and not_run {} of 8 problems"),
        (shard(0, 8) | {"outcomes": {"equal": 7, "not run": 1}}, "'not run': 1} and not_run {} of 8 problems"),
        (shrunk(3) | {"problem": {}}, "problem {}"),
        (shrunk(3) | {"tried": float("nan")}, "nan where a whole number belongs"),
        (shrunk(3) | {"sizes": []}, "sizes []"),
        (shrunk(3) | {"sizes": {"T": float("inf")}}, "inf where a whole number belongs"),
        ([1, 2], "a list"),
    ],
)
def test_a_whole_line_that_is_no_entry_is_refused_also_as_the_last(tmp_path, entry, sentence):
    before = b"" if isinstance(entry, dict) and entry["kind"] == "campaign" else json.dumps(LINES[0]).encode() + b"\n"
    whole = before + json.dumps(entry).encode() + b"\n"
    (tmp_path / FILE).write_bytes(whole)
    for reader in (read_journal, Journal):
        with pytest.raises(ParameterError) as caught:
            reader(tmp_path)
        assert sentence in str(caught.value) and len(str(caught.value)) < 600
    assert (tmp_path / FILE).read_bytes() == whole


def test_a_shrunk_problem_is_checked_before_it_is_used():
    problem = Campaign(0, "pot", 2).problem(0)
    ledger = Ledger(Campaign(0, "pot", 2), Subject())
    assert shrunk_problem(ledger, shrunk(3, problem.to_json())).to_json() == problem.to_json()
    larger = Campaign(0, "pot", 8).problem(0)
    with pytest.raises(ParameterError, match="sizes of at most 2"):
        shrunk_problem(ledger, shrunk(3, larger.to_json()))
    for text in ("", "[]", "{}", "[" * 5000, problem.to_json().replace('"int32"', '"object"')):
        with pytest.raises(ParameterError, match="shrunk problem of fuzz1-0-pot-2:3 is damaged"):
            shrunk_problem(ledger, shrunk(3, text))


def test_ranges_put_together_one_by_one():
    rng = random.Random(5)
    for _ in range(200):
        ranges = [(a := rng.randrange(40), a + rng.randrange(1, 6)) for _ in range(rng.randrange(12))]
        inside = sorted({i for a, b in ranges for i in range(a, b)})
        want = []
        for i in inside:
            if want and want[-1][1] == i:
                want[-1] = want[-1][0], i + 1
            else:
                want.append((i, i + 1))
        assert union(ranges) == want


def test_many_shards_with_gaps_and_failures_are_put_together():
    ledger = Ledger(Campaign(), Subject())
    for i in range(4000):
        ledger.add_shard(shard(16 * i, 16 * i + 8, *(finding(16 * i + k, explanations=["ties-up"]) for k in range(8))))
    assert len(ledger.covered) == 4000 and len(groups(ledger)[0].indices) == 32000
    with pytest.raises(ParameterError, match="both differs at h and equal"):
        ledger.add_shard(shard(15, 17))
    ledger.add_shard(shard(8, 16))
    assert ledger.covered[0] == (0, 24)


def test_a_journal_has_one_writer(tmp_path):
    with Journal(tmp_path):
        with pytest.raises(ParameterError, match="expected a folder that no other qgru fuzz writes to"):
            Journal(tmp_path)
    Journal(tmp_path).close()


def test_ranges():
    assert union([(4, 6), (0, 2), (2, 3), (5, 9)]) == [(0, 3), (4, 9)]
    ledger = Ledger(Campaign(), Subject())
    for entry in (shard(4, 6), shard(8, 9), shard(5, 8)):
        ledger.add_shard(entry)
    assert ledger.covered == [(4, 9)] and ledger.problems == 5
    assert list(ledger.missing(20)) == [(0, 4), (9, 20)] and list(ledger.missing(3)) == [(0, 3)]
    assert list(ledger.missing(None)) == [(0, 4), (9, 2**62)]
    assert list(Ledger(Campaign(), Subject()).missing(None)) == [(0, 2**62)]
    assert ledger.totals()[0] == 200  # the shard that overlaps is not counted twice


def test_a_summary_says_of_how_many_problems_its_counts_are():
    ledger = Ledger(Campaign(0, "pot", 3), Subject())
    ledger.add_shard(shard(0, 8, finding(3)))
    assert summary([ledger]) == [
        "fuzz1-0-pot-3, twin against golden: 8 problems (0 to 7), 100 codes compared, 1 failures; 1 differs, 7 equal"
    ]
    ledger.add_shard(shard(4, 12, finding(9)))
    assert summary([ledger]) == [
        "fuzz1-0-pot-3, twin against golden: 12 problems (0 to 11), 100 codes compared, 2 failures; "
        "of 8 of them, in shards that do not overlap: 1 differs, 7 equal"
    ]


def test_merging_is_associative_and_commutative():
    rng = random.Random(3)
    failing = {i: finding(i, rng.choice(["h", "Wx"]), rng.choice([(), ("ties-up",)])) for i in rng.sample(range(60), 20)}

    def journal():
        out = []
        for name in (NAME, OTHER):
            out.append(header(name, Subject()))
            for _ in range(6):
                start = rng.randrange(55)
                stop = rng.randrange(start + 1, 61)
                inside = [failing[i] for i in range(start, stop) if i in failing]
                out.append(shard(start, stop, *inside, compared=stop - start))
                out += [shrunk(f["index"], "x" * rng.randrange(1, 4)) for f in inside[:1]]
        return out

    a, b, c = journal(), journal(), journal()
    merged = set()
    for order in itertools.permutations((a, b, c)):
        known = {}
        for part in order:
            ledgers(part, known)
        merged.add(text_of(dict(sorted(known.items()))))
    left = list(itertools.chain(*(ledger.entries() for ledger in ledgers([*a, *b]).values())))
    right = list(itertools.chain(*(ledger.entries() for ledger in ledgers([*b, *c]).values())))
    merged.add(text_of(ledgers([*left, *c])))
    merged.add(text_of(ledgers([*a, *right])))
    assert len(merged) == 1


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (shard(0, 8), "both differs at h and equal"),
        (shard(3, 4, finding(3, "Wx")), "both differs at h and differs at Wx"),
        (shard(2, 6, finding(3), finding(5)), "both equal and differs at h"),
        (shard(0, 8, finding(3, "", outcome="crash")), "both differs at h and crash"),
    ],
)
def test_journals_that_contradict_each_other_are_refused(other, sentence):
    with pytest.raises(ParameterError) as caught:
        ledgers([*LINES, header(NAME, Subject()), other])
    assert sentence in str(caught.value) and f"{NAME}:" in str(caught.value)
    assert len(ledgers([*LINES, header(NAME, Subject("so:./other.so")), other])) == 2
    assert len(ledgers([*LINES, header(OTHER, Subject()), other])) == 2


def test_failures_are_grouped_by_what_explains_the_most_of_them():
    ledger = Ledger(Campaign(), Subject())
    found = [
        finding(0, "P_acc", ["ties-up@requantize-reset", "ties-up"]),
        finding(1, "O_acc", ["ties-up"]),
        finding(2, "z_pre", ["wraps", "ties-up"]),
        finding(3, "z_pre", ["wraps"]),
        finding(4, "x", []),
        finding(5, "", [], "crash"),
        finding(6, "z_pre", ["no deviation of this name"], datapath="mshift"),
        finding(7, "x", []),
    ]
    ledger.add_shard(shard(0, 8, *found))
    named = [(g.datapath, g.cause, g.indices, g.known) for g in groups(ledger)]
    assert named == [
        ("pot", "ties-up", (0, 1, 2), True),
        ("pot", "unexplained at x", (4, 7), False),
        ("mshift", "unexplained at z_pre", (6,), False),
        ("pot", "crash", (5,), False),
        ("pot", "wraps", (3,), True),
    ]
    assert chosen(ledger, 1) == [0, 3, 4, 5, 6]
