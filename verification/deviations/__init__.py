"""Named deviations: what an implementation does when it does not do what a clause says.

`steps` holds the replaceable steps, `mshift`, `pot` and `trajectory` put them together as the judge does, on whole arrays;
a deviation replaces exactly one of them, everywhere or in some stages. `catalogue` has them all by name.
"""
