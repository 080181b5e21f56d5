"""The vocabulary that golden, the twin and the judge share: data only, no arithmetic."""
