"""Hypothesis strategies for everything that a run takes: always valid, biased to the edges, shrinking to readable cases."""

from verification.strategies.mshift import mshifts
from verification.strategies.numbers import edge_integers, formats
from verification.strategies.problems import DATAPATHS, problems

__all__ = ["DATAPATHS", "edge_integers", "formats", "mshifts", "problems"]
