"""One training entry for all five networks on the mmengine Runner: data, hooks, resume, export."""
