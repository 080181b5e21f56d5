"""The judge: one value at a time, Python integers and exact fractions, written from the clauses of golden/SPEC.md alone.

Its functions have golden's names and take scalars: codes are Python integers, real numbers are Python floats that hold a
binary32 number exactly (array.tolist() gives both); a NumPy scalar or a float that binary32 does not hold is refused.
"""
