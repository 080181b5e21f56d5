"""The fast builds: the state trajectory alone, at the speed of the machine, bit for bit the specification."""
