"""One C library with every fault of `PLANTS` in it, each behind a number that comes with the id of a case.

The sources of examples/c and examples/dut are copied and edited: in an edit, `@{name}` is the condition that the deviation of
that name is the one to be done. The id of a case ends in `-plant-<number>`; 0 is none.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.examples.c_port import LIBRARY, SOURCE, gcc
from tests.verification.planted_c_cells import MSHIFT_EDITS, PORT_EDITS, POT_EDITS
from tests.verification.planted_c_steps import HELPERS, STEP_EDITS
from verification.dut.library import HEADER

PORT = Path(__file__).parents[2] / "examples" / "dut" / "c_port.c"
EDITS = [*STEP_EDITS, *MSHIFT_EDITS, *POT_EDITS, *PORT_EDITS]
TOKEN = re.compile(r"@\{([^}]+)\}")
PLANTS: tuple[str, ...] = tuple(dict.fromkeys(name for *_, new in EDITS for name in TOKEN.findall(new)))
"""Names of the catalogue that the library can do, in the order of their numbers from 1."""


def number_of(name: str) -> int:
    """The number of a deviation."""
    return PLANTS.index(name) + 1


def edited(file: str, text: str) -> str:
    """The source of a file with all edits; every old text must be there exactly once."""
    for name, old, new in EDITS:
        if name == file:
            assert text.count(old) == 1, (file, old, text.count(old))
            text = text.replace(old, TOKEN.sub(lambda m: f"(qgru_plant == {number_of(m[1])})", new))
    return HELPERS + text


def build(folder: Path) -> Path:
    """Compile the library in an empty folder."""
    sources = [SOURCE / name for name in LIBRARY] + [PORT]
    for source in sources:
        (folder / source.name).write_text(edited(source.name, source.read_text()))
    target = folder / "libplanted.so"
    files = [str(folder / source.name) for source in sources]
    flags = ["-std=gnu99", "-O0", "-fwrapv", "-fPIC", "-shared", "-I", str(HEADER.parent), "-I", str(SOURCE)]
    done = subprocess.run([gcc(), *flags, "-o", str(target), *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target
