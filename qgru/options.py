"""What click does not have: a type of option, and the refusal of options that a run would leave out of account."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from qgru.run import refusal


class Seconds(click.FloatRange):
    """A range of seconds; NaN, which no bound holds back, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a usage error."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return number


def refuse_unused(options: Mapping[str, str], where: str, expected: str) -> None:
    """Refuse options that were given and would do nothing.

    options   parameter of the running command -> the option as it is written
    where     what makes it useless, such as "with --list"
    expected  what would not, such as "it only without"
    """
    source = click.get_current_context().get_parameter_source
    for name, option in options.items():
        if source(name) is ParameterSource.COMMANDLINE:
            raise refusal(f"{option} is given {where}, expected {expected}")
