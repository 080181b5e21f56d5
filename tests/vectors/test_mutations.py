"""Whatever is done to a set at random, reading it ends in success or in a QgruError.

QGRU_MUTATIONS   how many mutations are tried (1000)
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from golden.spec.errors import QgruError
from tests.vectors.damage import members, zipped
from tests.vectors.examples import FLAGS
from tests.vectors.kinds import every_kind
from vectors.manifest import FORMATS, seal
from vectors.reader import open_set
from vectors.writer import export_set, write_set

COUNT = int(os.environ.get("QGRU_MUTATIONS", "1000"))
PARTS = 10
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, -(2**63), 10**19, 0.0, -0.0, 0.5, 1e308, 5e-324),
    *("", "x", "int8", "uint99", "../x", "\ud800", "a" * 1000, "trace.z", "W", "pot", "mshift-dynamic", "ties_up"),
    *([], [0], [[]], [1, 2, 3, 4, 5], [None], {}, {"kind": "direct"}, {"kind": []}, {"": {}}, {"multiplier": 1}),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Format -> folder of a set with a case of every kind."""
    base = tmp_path_factory.mktemp("sets")
    kept = ("mshift-training", "dynamic-continued", "requantize", "direct-sigmoid", "piecewise", "error-pot", "chain-small")
    small = [case for case in every_kind() if case.id.startswith(kept)]
    write_set(base / "npz", small, seed=7, version="1.0", flags=FLAGS)
    for form in FORMATS[1:]:
        export_set(open_set(base / "npz"), base / form, form)
    return {form: base / form for form in FORMATS}


OPENED: list[str] = []
WATCHING = [False]


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Keep the name of everything that is opened while a set is read."""
    if WATCHING[0] and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(watch)


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every (container, key) inside value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places(value[key], found)
    return found


def mutate_value(rng: random.Random, manifest: dict[str, Any]) -> None:
    """Replace, remove, add, rename, double or swap something in the manifest; parameter sets most often."""
    root = manifest
    if rng.random() < 0.6:
        root = rng.choice(manifest["cases"])
        inner = [key for key in ("params", "arrays", "options", "profile", "constants", "table", "error") if key in root]
        root = root[rng.choice([*inner, *(["params"] * 2 if "params" in root else [])])] or manifest
    known = places(root, [])
    container, key = rng.choice(known)
    kind = rng.randrange(6)
    if kind == 0:
        container[key] = rng.choice(VALUES)
    elif kind == 1:
        del container[key]
    elif kind == 2 and isinstance(container, dict):
        container[rng.choice(["x", "", "..", "sha256", "zp_w", "h0"])] = copy.deepcopy(container[key])
    elif kind == 3 and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif kind == 4 and type(container[key]) in (int, float):
        container[key] = container[key] * rng.choice([-1, 2, 0, 1.5]) + rng.choice([0, 1, -1, 2**32])
    else:
        other, name = rng.choice(known)
        container[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(container[key])


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flip, overwrite, remove, double or insert some bytes."""
    spoiled = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(spoiled) + 1)
        length = rng.choice([1, 2, 4, 64])
        kind = rng.randrange(5)
        if kind == 0 and at < len(spoiled):
            spoiled[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            spoiled[at : at + length] = rng.choice([b"\0", b"\xff", b"9", b"[", b'"', bytes([rng.randrange(256)])]) * length
        elif kind == 2:
            del spoiled[at : at + length]
        elif kind == 3:
            spoiled[at:at] = spoiled[at : at + length]
        else:
            spoiled[at:at] = rng.randbytes(length)
    return bytes(spoiled)


def mutate(rng: random.Random, folder: Path) -> bool:
    """Spoil one file, three times in four with hashes that fit again; whether bytes changed under an old hash."""
    text = (folder / "manifest.json").read_bytes()
    manifest = json.loads(text)
    file = rng.choice(sorted(manifest["files"]))
    data = (folder / file).read_bytes()
    kind = rng.randrange(8)
    if kind < 3:
        mutate_value(rng, manifest)
        try:
            text = seal(manifest)
        except (KeyError, TypeError, ValueError):
            text = mutate_bytes(rng, text)
    elif kind == 3:
        text = mutate_bytes(rng, text)
    else:
        if kind == 7 and file.endswith(".npz"):
            entries = members(data)
            at = rng.randrange(len(entries))
            entries[at] = (entries[at][0], mutate_bytes(rng, entries[at][1]))
            data = zipped(entries)
        else:
            data = mutate_bytes(rng, data)
        if kind > 4 and file in manifest["files"]:
            manifest["files"][file] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            text = seal(manifest)
    before = (folder / "manifest.json").read_bytes(), (folder / file).read_bytes()
    (folder / "manifest.json").write_bytes(text)
    (folder / file).write_bytes(data)
    return kind in (3, 4) and before != (text, data)


def known(name: str) -> bool:
    """Whether a file belongs to the program itself: its modules and its own data."""
    return name.endswith((".py", ".pyc", ".so", "notes.json", "manifest.schema.json"))


@pytest.mark.parametrize("part", range(PARTS))
def test_a_mutation_is_refused_or_changes_nothing_that_matters(whole, tmp_path, part):
    rng = random.Random(f"mutations {part}")
    folder = tmp_path / "set"
    form = FORMATS[part % len(FORMATS)]
    refused = 0
    for number in range(max(1, COUNT // PARTS)):
        shutil.copytree(whole[form], folder)
        unsealed = mutate(rng, folder)
        try:
            OPENED.clear()
            WATCHING[0] = True
            for case in open_set(folder, form).values():
                assert case.id
            assert not unsealed, (part, number)
        except QgruError as error:
            refused += 1
            text = str(error)
            assert "\n" not in text and text.isascii() and len(text) < 1500, (part, number, text)
        except (
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            ArithmeticError,
            MemoryError,
            RecursionError,
            OSError,
        ) as error:
            raise AssertionError(f"part {part}, mutation {number}: {type(error).__name__}: {error}") from error
        finally:
            WATCHING[0] = False
        outside = [name for name in OPENED if name.startswith("/") and not name.startswith(str(folder)) and not known(name)]
        assert outside == [], (part, number)
        shutil.rmtree(folder)
    assert refused > 0
