"""The judge: one value at a time, Python integers and exact fractions, written from the clauses of golden/SPEC.md alone."""
