"""Layer types of the integer graph: one file each, and this registry."""

from bireal_hw.ops.avg_pool import AvgPool
from bireal_hw.ops.base import Array, Binding, Cost, Fold, Memory, Op, Port
from bireal_hw.ops.binary_conv import BinaryConv
from bireal_hw.ops.center import Center
from bireal_hw.ops.max_pool import MaxPool
from bireal_hw.ops.merge import Merge
from bireal_hw.ops.real_conv import RealConv
from bireal_hw.ops.sign import Sign

OPS: dict[str, type[Op]] = {op.kind: op for op in (Center, RealConv, MaxPool, Sign, BinaryConv, Merge, AvgPool)}
"""Layer types by kind, in the order in which a network meets them."""

__all__ = [
    "OPS",
    "Array",
    "AvgPool",
    "BinaryConv",
    "Binding",
    "Center",
    "Cost",
    "Fold",
    "MaxPool",
    "Memory",
    "Merge",
    "Op",
    "Port",
    "RealConv",
    "Sign",
]
