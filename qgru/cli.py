"""The command line: a group whose subcommands are imported when they are called, one file each.

A subcommand NAME lives in qgru/NAME.py and exports `command`, a click command that returns its exit code (None is 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from qgru import __version__
from qgru.run import guarded

COMMANDS: dict[str, str] = {
    "verify": "Quantize a network, run golden and the twin, and compare every intermediate.",
    "check": "Check a folder of vectors, or an implementation's outputs, against the specification.",
    "diagnose": "Name the deviation from the clauses that explains an implementation's outputs.",
    "vectors": "Make, check, show, convert and stream test vectors.",
    "fuzz": "Search for problems on which an implementation differs, on all cores or a cluster.",
    "kill": "Hold every deviation against the vectors and the property tests: what each would find.",
    "coverage": "Count the corners that a vector set or a campaign reaches, and those it cannot.",
    "sweep": "Compare a step on every input: golden against the twin.",
    "prove": "Prove steps equal to their clauses with an SMT solver, and write the proofs out.",
    "widths": "The least width of every register of a parameter set, with inputs that need it.",
    "quantize": "Calibrate a float network, verify it, and write parameters, ONNX and vectors.",
    "bench": "Time every mode beside its peers in one run, exact or no figure.",
}
"""Name -> the line that `qgru --help` shows, so that the help imports no subcommand."""

EPILOG = "Exit codes: 0 everything equal, 1 a mismatch, 2 bad input or a missing part."


class LazyGroup(click.Group):
    """Subcommands from COMMANDS, each imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        folder = Path(__file__).parent
        return [name for name in COMMANDS if (folder / f"{name}.py").is_file()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return import_module(f"qgru.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, COMMANDS[name]) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="qgru", message="%(prog)s %(version)s")
def group() -> None:
    """Bit-exact reference and verification of the quantized GRU."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing but a defect of qgru shows a traceback."""
    return guarded(group, arguments)
