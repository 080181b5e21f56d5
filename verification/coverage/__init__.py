"""Which corners of the arithmetic vectors and runs reach: a model of points, their collection, propagation and proofs."""
