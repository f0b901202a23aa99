"""Layer types of the integer graph: one file each, importing this package registers them."""

from bireal_hw.ir.op import Array, Binding, Cost, Fold, Memory, Op, Port, register
from bireal_hw.ops.avg_pool import AvgPool
from bireal_hw.ops.binary_conv import BinaryConv
from bireal_hw.ops.center import Center
from bireal_hw.ops.concat import Concat
from bireal_hw.ops.duplicate import Duplicate
from bireal_hw.ops.engine import Engine
from bireal_hw.ops.flatten import Flatten
from bireal_hw.ops.leaky_clip import LeakyClip
from bireal_hw.ops.max_pool import MaxPool
from bireal_hw.ops.merge import Merge
from bireal_hw.ops.real_conv import RealConv
from bireal_hw.ops.rescale import Rescale
from bireal_hw.ops.sign import Sign
from bireal_hw.ops.sum import Sum
from bireal_hw.ops.upsample import Upsample

register(
    AvgPool, BinaryConv, Center, Concat, Duplicate, Engine, Flatten, LeakyClip, MaxPool, Merge, RealConv, Rescale, Sign,
    Sum, Upsample,
)  # fmt: skip

__all__ = [
    "Array",
    "AvgPool",
    "BinaryConv",
    "Binding",
    "Center",
    "Concat",
    "Cost",
    "Duplicate",
    "Engine",
    "Flatten",
    "Fold",
    "LeakyClip",
    "MaxPool",
    "Memory",
    "Merge",
    "Op",
    "Port",
    "RealConv",
    "Rescale",
    "Sign",
    "Sum",
    "Upsample",
]
