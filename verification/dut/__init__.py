"""Devices under test: any implementation, behind one protocol, in a process of its own.  See docs/dut.md."""
