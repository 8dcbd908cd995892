"""The embedded city: scenes, labels, areas and crime drawn from a seed, with a known truth."""
