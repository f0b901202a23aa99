"""Bi-Real networks from Brevitas to bit-exact streaming hardware."""

__version__ = "0.1.0"
