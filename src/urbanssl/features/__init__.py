"""Features of tiles as float arrays, and their pooling to areas."""
