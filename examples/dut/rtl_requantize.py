"""An RTL cell behind a simulator:  qgru check --dut "cmd:python3 examples/dut/rtl_requantize.py"

The requantize cell of examples/rtl under Icarus Verilog. The design is elaborated once for each set of constants and
simulated once for each request; the frames are those of pipe.py.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from pipe import Columns, serve

HERE = Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"
SOURCES = [HERE / "rtl_requantize.sv", RTL / "dut_requantize.sv", RTL / "qgru_requantize.sv"]


def simulate(constants: dict[str, int], values: list[int]) -> list[int]:
    """The words that the cell gives for these operands."""
    words = {"M": f"32'd{constants['M']}", "S": f"5'd{constants['s']}", "BITS": f"6'd{constants['bits']}"}
    words["ZP"] = f"32'sh{constants['zp'] & 0xFFFFFFFF:08x}"
    words["SIGNED"] = f"1'b{constants['signed']}"
    parameters = [f"-Prtl_requantize.{name}={word}" for name, word in words.items()]
    with tempfile.TemporaryDirectory() as folder:
        compile_ = [
            "iverilog",
            "-g2012",
            "-I",
            str(RTL),
            "-o",
            "design",
            "-s",
            "rtl_requantize",
            *parameters,
            *map(str, SOURCES),
        ]
        Path(folder, "in.txt").write_text("".join(f"{v}\n" for v in values), encoding="ascii")
        for command in (compile_, ["vvp", "-n", "design"]):
            subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)
        return [int(line) for line in Path(folder, "out.txt").read_text(encoding="ascii").split()]


def step(name: str, constants: dict[str, int], columns: Columns) -> Columns:
    """requantize; the words of the cell are read as two's complement where the format is signed."""
    bits = constants["bits"]
    top = 1 << (bits - 1) if constants["signed"] else 1 << bits
    return {"q": [word - (1 << bits) if word >= top else word for word in simulate(constants, columns["v"])]}


if __name__ == "__main__":
    serve({"name": "RTL requantize", "steps": ["requantize"]}, step)
