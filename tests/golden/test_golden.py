"""The executor: batches change nothing, images are checked, ties take the lowest index."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw import golden
from bireal_hw.errors import BirealError
from tests.networks import random_images, tiny, two_streams


def test_batch_size_changes_nothing() -> None:
    graph = tiny()
    images = random_images(graph, 7)
    whole = golden.run(graph, images)
    assert whole.shape == (7, 5)
    np.testing.assert_array_equal(golden.run(graph, images, batch=3), whole)
    np.testing.assert_array_equal(np.concatenate([golden.run(graph, images[i : i + 1]) for i in range(7)]), whole)


def test_every_tensor_stays_in_its_inferred_range() -> None:
    for graph in (tiny(), tiny(32, 16, 3, 8, max_pool=True), two_streams()):
        shape = (3, *graph.input.shape)
        for images in (random_images(graph, 3), np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)):
            for name, value in golden.tensors(graph, images):
                tensor = graph.types[name]
                assert value.shape[1:] == tensor.shape
                assert value.min() >= tensor.low, name
                assert value.max() <= tensor.high, name


def test_images_of_another_shape_or_type_are_refused() -> None:
    graph = tiny()
    with pytest.raises(BirealError) as error:
        golden.run(graph, np.zeros((1, 8, 9, 1), np.uint8))
    assert str(error.value) == "images have shape 1x8x9x1; the network reads N x 8x8x1"
    with pytest.raises(BirealError) as error:
        golden.run(graph, np.zeros((1, 8, 8, 1), np.float32))
    assert str(error.value) == "images are float32; the network reads stored pixels, uint8 0..255"


def test_class_is_the_lowest_index_of_the_largest_logit() -> None:
    assert golden.classify(np.array([[3, 5, 5], [-1, -1, -2], [0, 1, 2]])).tolist() == [1, 0, 2]
