"""Hypothesis strategies for everything that a run takes: always valid, biased to the edges, shrinking to readable cases."""

from verification.strategies.mshift import mshifts
from verification.strategies.numbers import edge_integers, formats
from verification.strategies.problems import DATAPATHS, problems
from verification.strategies.sets import activations, dynamic_params, mshift_params, pot_params

__all__ = [
    "DATAPATHS",
    "activations",
    "dynamic_params",
    "edge_integers",
    "formats",
    "mshift_params",
    "mshifts",
    "pot_params",
    "problems",
]
