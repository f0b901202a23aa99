"""The engine: a network's tail on one time-multiplexed module, its weights and maps in DRAM (docs/engine.md)."""
