"""cocotb bench of case $case: step $step, clause $clause.  Made with the vector set."""

from pathlib import Path

import cocotb
from cocotb.triggers import Timer

ROWS = $rows
# name, file, bits, signed, words in a row
INPUTS = (
$inputs)
OUTPUTS = (
$outputs)


def read_words(name, path, bits):
    """The words of a .hex file as unsigned numbers; refuses a wrong number of digits and a bit above the width."""
    words = []
    for number, line in enumerate(Path(path).read_text(encoding="ascii").splitlines(), 1):
        if line.startswith("/"):
            continue
        good = len(line) == (bits + 3) // 4 and set(line) <= set("0123456789abcdef") and int(line, 16) >> bits == 0
        assert good, f"{name} line {number} is {line!r}, expected {bits} bits in {(bits + 3) // 4} hex digits"
        words.append(int(line, 16))
    return words


def read_rows(name, path, bits, count):
    """One unsigned number a row, lane 0 in the least significant bits."""
    words = read_words(name, path, bits)
    assert len(words) == ROWS * count, f"{name} has {len(words)} words, expected {ROWS * count}"
    return [sum(words[row * count + lane] << bits * lane for lane in range(count)) for row in range(ROWS)]


def shown(value, bits, signed):
    return value - (1 << bits) if signed and value >> (bits - 1) else value


@cocotb.test()
async def ${test}(dut):
    inputs = [(name, read_rows(name, path, bits, count)) for name, path, bits, _, count in INPUTS]
    outputs = [(name, read_rows(name, path, bits, count), bits, signed) for name, path, bits, signed, count in OUTPUTS]
    for row in range(ROWS):
        for name, values in inputs:
            port = getattr(dut, name)
            port.value = cocotb.types.LogicArray.from_unsigned(values[row], len(port))
        await Timer(1, unit="step")
        for name, values, bits, signed in outputs:
            got = getattr(dut, name).value
            assert got.is_resolvable, f"row {row}: {name} is {got}; $note"
            found = got.to_unsigned()
            assert found == values[row], (
                f"row {row}: {name} is {shown(found, bits, signed)}, expected {shown(values[row], bits, signed)}; $note"
            )
    dut._log.info("PASS $case %d rows", ROWS)
