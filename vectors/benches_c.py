"""A C99 harness made with the set: it calls `dut_<step>` for every row of its cases and prints the first difference.

Nothing but stdio and stdlib is needed, and every buffer is the harness's own. Values are those of the generated C headers.
"""

from __future__ import annotations

from collections.abc import Sequence

from vectors.benches import TABLE_ARRAYS, StepBench, template
from vectors.formats.symbols import identifier
from vectors.steps import STEPS, Column

MAX_LANES = 4096


def c_name(bench: StepBench, column: str) -> str:
    """The array of a column or of a table in the header of the case."""
    return identifier(f"{bench.case}_{'table_' if column in TABLE_ARRAYS.get(bench.table or '', ()) else ''}{column}")


def c_type(column: Column) -> str:
    """The type in which a value travels: int32_t, uint32_t for 32 unsigned bits, int64_t beyond."""
    if isinstance(column.bits, int) and column.bits > 32:
        return "int64_t"
    return "uint32_t" if column.bits == 32 and column.signed is False else "int32_t"


def c_argument(name: str) -> str:
    """The name of an argument: that of the column, but where C keeps the word for itself."""
    return "is_signed" if name == "signed" else name


def c_prototype(step: str) -> str:
    """The function that a port gives for a step.

    Constants first, then the table, then the inputs; one output is returned, several are written through pointers. Vector
    inputs are `lanes` and a pointer. Before each call every output holds another number than the expected one, so that one
    that is not written is found. A gate of datapath P gets its table as kind (0 direct, 1 piecewise linear, 2 piecewise
    quadratic), segments and the arrays in the order of vectors.benches.TABLE_ARRAYS.
    """
    s = STEPS[step]
    arguments = [f"{c_type(c)} {c_argument(c.name)}" for c in s.constants] + _table_arguments(s.table)
    if any(c.vector for c in s.inputs):
        arguments.append("int32_t lanes")
    arguments += [f"const {c_type(c)} *{c.name}" if c.vector else f"{c_type(c)} {c.name}" for c in s.inputs]
    if len(s.outputs) == 1:
        return f"{c_type(s.outputs[0])} dut_{step}({', '.join(arguments)})"
    arguments += [f"{c_type(c)} *{c.name}" + ("_out" if c in s.inputs else "") for c in s.outputs]
    return f"void dut_{step}({', '.join(arguments)})"


def c_header(steps: Sequence[str]) -> str:
    """The text of dut.h: the prototypes of the steps, which a port in C++ may include too."""
    lines = "".join(f"{c_prototype(step)}; /* {STEPS[step].clause} */\n" for step in steps)
    start, end = ("#ifdef __cplusplus\n" + text + "\n#endif\n" for text in ('extern "C" {', "}"))
    return f"#ifndef QGRU_DUT_STEPS_H\n#define QGRU_DUT_STEPS_H\n\n#include <stdint.h>\n\n{start}\n{lines}\n{end}\n#endif\n"


def c_harness(benches: Sequence[StepBench], headers: Sequence[str]) -> str:
    """The text of the harness for these cases.

    headers  the header of each case, with the arrays named by c_name
    """
    return template("harness.c").substitute(
        includes="".join(f'#include "{name}"\n' for name in headers),
        cases="\n".join(_case(bench) for bench in benches),
        calls="".join(f"    if (run_{identifier(bench.case)}()) {{\n        return 1;\n    }}\n" for bench in benches),
    )


def _table_arguments(table: str | None) -> list[str]:
    if table is None:
        return []
    if table == "any":
        return ["int32_t kind", "int32_t segments", "const int32_t *const *arrays"]
    names = [f"const int32_t *{name}" for name in TABLE_ARRAYS[table]]
    return names if table == "direct" else ["int32_t segments", *names]


def _constant(value: int, column: Column) -> str:
    kind = c_type(column)
    if kind == "uint32_t":
        return f"{value}u"
    return f"({kind})(-{-value - 1} - 1)" if value < 0 else str(value)


def _case(bench: StepBench) -> str:
    step = bench.definition
    lines, copies = [], []
    arguments = [_constant(int(bench.constants[c.name]), c) for c in step.constants]
    tables = TABLE_ARRAYS.get(bench.table or "", ())
    for name in tables:
        lines.append(f"    static int32_t {name}[{bench.segments}];\n")
        lines.append(f"    for (i = 0; i < {bench.segments}; i++) {{\n        {name}[i] = {c_name(bench, name)}[i];\n    }}\n")
    if step.table == "any":
        lines.append(f"    const int32_t *const arrays[] = {{{', '.join(tables)}}};\n")
        arguments += [str(list(TABLE_ARRAYS).index(str(bench.table))), str(bench.segments), "arrays"]
    elif tables:
        arguments += ([] if bench.table == "direct" else [str(bench.segments)]) + list(tables)
    if any(c.vector for c in step.inputs):
        arguments.append(str(bench.lanes))
    for c in step.inputs:
        source = c_name(bench, c.name)
        if c.vector:
            lines.append(f"    static {c_type(c)} {c.name}[{bench.lanes}];\n")
            copies.append(
                f"        for (i = 0; i < {bench.lanes}; i++) {{\n"
                f"            {c.name}[i] = {source}[row * {bench.lanes} + i];\n        }}\n"
            )
        arguments.append(c.name if c.vector else f"{source}[row]")
    operands = [c for c in step.inputs if not c.vector]
    if len(step.outputs) == 1:
        only = step.outputs[0]
        call = f"        got_{only.name} = dut_{bench.step}({', '.join(arguments)});\n"
    else:
        spoil = "".join(f"        got_{c.name} = ~({c_type(c)}){c_name(bench, c.name)}[row];\n" for c in step.outputs)
        call = f"{spoil}        dut_{bench.step}({', '.join([*arguments, *(f'&got_{c.name}' for c in step.outputs)])});\n"
    declared = "".join(f"    {c_type(c)} got_{c.name} = 0;\n" for c in step.outputs)
    buffers = [line for line in lines if "static" in line or "const arrays" in line]
    fills = [line for line in lines if line not in buffers]
    shown = "".join(f' {c.name} %lld' for c in operands)
    values = "".join(f", (long long){c_name(bench, c.name)}[row]" for c in operands)
    checks = "".join(
        f"        if (got_{c.name} != ({c_type(c)}){c_name(bench, c.name)}[row]) {{\n"
        f'            printf("row %ld: {c.name} is %lld, expected %lld;{shown}; {bench.note}\\n", row,\n'
        f"                   (long long)got_{c.name}, (long long){c_name(bench, c.name)}[row]{values});\n"
        f"            return 1;\n        }}\n"
        for c in step.outputs
    )
    index = "    long i;\n" if fills or copies else ""
    return (
        f"static int run_{identifier(bench.case)}(void)\n{{\n    long row;\n{index}{declared}{''.join(buffers)}{''.join(fills)}"
        f"    for (row = 0; row < {bench.rows}; row++) {{\n{''.join(copies)}{call}{checks}    }}\n"
        f'    printf("PASS {bench.case} {bench.rows} rows\\n");\n    return 0;\n}}\n'
    )
