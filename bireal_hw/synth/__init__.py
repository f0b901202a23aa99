"""Resources of generated hardware by open synthesis (Yosys): per layer, in total, and against a board."""
