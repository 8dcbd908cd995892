"""The report of a run: words first, then figures, tables and maps, in one self-contained page."""
