"""The fast twin: the clauses again, as scalar steps that compile for the host, the GPU and the CUDA simulator.

It shares names and vocabulary (golden.spec) with golden, never arithmetic.
"""
