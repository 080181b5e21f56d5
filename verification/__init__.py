"""Judging: the exact judge, strategies, comparison and reports."""
