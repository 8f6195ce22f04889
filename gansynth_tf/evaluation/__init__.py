"""Measures of generated notes: what an ear of its own hears, not the networks' own heads."""
