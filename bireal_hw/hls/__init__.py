"""Writes the HLS C++ project of a network and simulates it."""
