"""Networks of Larq and QKeras as ONNX files, written by their usual exporters, in an environment of its own.

    pip install tensorflow==2.15.1 larq==0.14.0 qkeras==0.9.0 tf2onnx==1.17.0 onnx==1.16.2 'numpy<2' 'pyparsing<3.2'
    pip install --no-deps qonnx==0.4.0
    python tests/lowering/keras_networks.py FOLDER

Weights and statistics are random, gains of BatchNorms have both signs. What becomes of the files is in docs/files.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import larq
import numpy as np
import onnx
import qkeras
import tensorflow as tf
import tf2onnx
import tf2onnx.convert
import tf2onnx.optimizer  # which qonnx takes for granted
from qonnx.converters.keras import from_keras

layers = tf.keras.layers


def norm(x: Any) -> Any:
    return layers.BatchNormalization()(x)


def larq_blocks(around: float, kernel: int, strides: tuple[int, ...], in_front: bool = False) -> Any:
    """Bi-Real blocks whose binary convolutions pad with a number; a BatchNorm in front of the sign on demand."""
    image = tf.keras.Input((16, 16, 3))
    x, channels = norm(layers.Conv2D(8, 3, padding="same", use_bias=False)(image)), 8
    for stride in strides:
        channels, shortcut = channels * stride, x
        if stride > 1:
            shortcut = norm(layers.Conv2D(channels, 1, use_bias=False)(layers.AvgPool2D(stride)(x)))
        convolution = larq.layers.QuantConv2D(
            channels,
            kernel,
            strides=stride,
            padding="same",
            pad_values=around,
            input_quantizer="approx_sign",
            kernel_quantizer="magnitude_aware_sign",
            kernel_constraint="weight_clip",
            use_bias=False,
        )
        x = layers.Add()([norm(convolution(norm(x) if in_front else x)), shortcut])
    return tf.keras.Model(image, layers.Dense(10)(layers.GlobalAvgPool2D()(x)))


def larq_vgg() -> Any:
    """Binary convolutions and dense layers of a grey image, max pools between."""
    weights = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "use_bias": False}
    binary = {"input_quantizer": "ste_sign", **weights}
    x = image = tf.keras.Input((28, 28, 1))
    x = norm(layers.MaxPooling2D(2)(larq.layers.QuantConv2D(8, 3, **weights)(x)))
    x = norm(layers.MaxPooling2D(2)(larq.layers.QuantConv2D(16, 3, **binary)(x)))
    x = layers.Flatten()(norm(larq.layers.QuantConv2D(16, 3, **binary)(x)))
    x = norm(larq.layers.QuantDense(16, **binary)(x))
    return tf.keras.Model(image, layers.Softmax()(norm(larq.layers.QuantDense(10, **binary)(x))))


def larq_mixed() -> Any:
    """PReLU, a bias, an overlapping max pool, a kernel of 5, a Flatten."""
    image = tf.keras.Input((16, 16, 3))
    x = layers.PReLU(shared_axes=[1, 2])(norm(layers.Conv2D(8, 3, padding="same", strides=2)(image)))
    binary = {"padding": "same", "pad_values": 1.0, "input_quantizer": "swish_sign", "kernel_quantizer": "ste_sign"}
    x = layers.Add()([x, norm(larq.layers.QuantConv2D(8, 3, **binary)(x))])
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.Add()([norm(layers.ReLU()(larq.layers.QuantConv2D(8, 5, **binary)(x))), x])
    return tf.keras.Model(image, layers.Dense(7)(layers.Flatten()(x)))


def qkeras_dense() -> Any:
    """Binary layers behind a max pool and a Flatten."""
    real, bit = qkeras.quantized_bits(8, 0, alpha=1), qkeras.binary(alpha=1)
    x = image = tf.keras.Input((14, 14, 1))
    x = norm(qkeras.QConv2D(8, 3, padding="same", kernel_quantizer=real, use_bias=False)(x))
    x = qkeras.QActivation("binary(alpha=1)")(x)
    x = norm(layers.MaxPooling2D(2)(qkeras.QConv2D(8, 3, padding="same", kernel_quantizer=bit, use_bias=False)(x)))
    x = layers.Flatten()(qkeras.QActivation("binary(alpha=1)")(x))
    return tf.keras.Model(image, norm(qkeras.QDense(10, kernel_quantizer=bit, use_bias=False)(x)))


def qkeras_shortcut() -> Any:
    """A quantized ReLU, a shortcut past a binary convolution, a sum of 16 bits."""
    real, bias = qkeras.quantized_bits(8, 0, alpha=1), qkeras.quantized_bits(8, 2)
    x = image = tf.keras.Input((16, 12, 3))
    x = qkeras.QConv2D(8, 3, padding="same", kernel_quantizer=real, bias_quantizer=bias)(x)
    shortcut = x = qkeras.QActivation("quantized_relu(8,3)")(x)
    x = qkeras.QActivation("binary(alpha=1)")(x)
    x = norm(qkeras.QConv2D(8, 3, padding="same", kernel_quantizer=qkeras.binary(alpha=1), use_bias=False)(x))
    x = qkeras.QActivation("quantized_bits(16,5,alpha=1)")(layers.Add()([x, shortcut]))
    x = layers.Flatten()(layers.AveragePooling2D((16, 12))(x))
    return tf.keras.Model(image, qkeras.QDense(10, kernel_quantizer=real, bias_quantizer=bias)(x))


NETWORKS: dict[str, Callable[[], Any]] = {
    "larq_blocks": lambda: larq_blocks(0.0, 3, (1, 2, 1)),
    "larq_blocks_ones": lambda: larq_blocks(1.0, 3, (1, 2, 1), in_front=True),
    "larq_blocks_minus_ones": lambda: larq_blocks(-1.0, 5, (2,), in_front=True),
    "larq_vgg": larq_vgg,
    "larq_mixed": larq_mixed,
    "qkeras_dense": qkeras_dense,
    "qkeras_shortcut": qkeras_shortcut,
}


def randomise(model: Any) -> None:
    """Statistics and factors of BatchNorms as a training might leave them."""
    numbers = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.moving_mean.shape[0]
            layer.moving_mean.assign(numbers.normal(0, 2, size))
            layer.moving_variance.assign(numbers.uniform(1, 20, size))
            layer.beta.assign(numbers.normal(0, 0.5, size))
            layer.gamma.assign(numbers.uniform(0.3, 1.5, size) * numbers.choice([-1, 1], size))


def write(folder: Path) -> None:
    """Write all networks; those of Larq with images in both layouts."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in NETWORKS.items():
        tf.keras.utils.set_random_seed(3)
        model = build()
        randomise(model)
        if name.startswith("qkeras"):
            found, _ = from_keras(model, opset=13)
            onnx.save(found, str(folder / f"{name}.onnx"))
            continue
        image = tf.TensorSpec((None, *model.input.shape[1:]), tf.float32, name="x")
        for suffix, turned in (("", None), ("_nchw", ["x"])):
            path = str(folder / f"{name}{suffix}.onnx")
            tf2onnx.convert.from_keras(model, (image,), opset=13, output_path=path, inputs_as_nchw=turned)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
