"""The least width of every register of a parameter set: proven bounds, inputs that reach them, and what one bit less does."""
