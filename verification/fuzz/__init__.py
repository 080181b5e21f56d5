"""Campaigns over whole problems: each drawn from (campaign, index), run, compared, shrunk and grouped.  See docs/fuzz.md."""
