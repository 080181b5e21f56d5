"""Proofs by an SMT solver: the twin's own source against the clauses, for every input within the parameter bounds."""
