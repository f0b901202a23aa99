"""Simulation of generated or hand-written stream modules in Verilator."""
