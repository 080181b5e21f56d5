"""The kill matrix: which cases of a vector set, and which drawn problems, would find each deviation of the catalogue.

`runs`, `steps` and `chains` hold deviations against one case; `matrix` does it for a whole set, `cover` finds a small subset
that finds everything, `properties` does it for drawn problems, and `equivalent` lists the deviations that change nothing.
"""
