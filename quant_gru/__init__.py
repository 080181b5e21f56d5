"""The float side: networks from files, calibration, parameter sets of every datapath, and how accurate they are."""
