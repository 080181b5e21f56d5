"""The executable specification of the quantized GRU.  See golden/SPEC.md."""
