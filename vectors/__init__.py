"""The canonical vector set: a folder with a manifest and one file of arrays per case.  See vectors/README.md."""
