"""Rendered rooms: depth against formulas written down here, and pictures in which brightness is not depth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from bireal_hw.training.depth.rooms import FIELD, Ball, Box, Camera, Scene, Surface, random_scene, render, rooms, trace

IMAGE = (30, 40)
FOCAL = IMAGE[1] / 2 / math.tan(FIELD / 2)
PLAIN = Surface(np.full((2, 3), 0.5), np.zeros((2, 3)), np.zeros(2), False)
ROOM = Box(np.array([2.0, 1.25, 3.0]), np.array([2.0, 1.25, 3.0]), 0.0, (PLAIN,))


def pitched(angle: float, turn: float = 0.0) -> NDArray[np.float64]:
    """Right, up and forward of a camera that looks along z, turned to x by `turn`, then up by `angle`."""
    cosine, sine = math.cos(angle), math.sin(angle)
    level = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    about = np.array([[math.cos(turn), 0, -math.sin(turn)], [0, 1, 0], [math.sin(turn), 0, math.cos(turn)]])
    return level @ about


def depth(*things: Box | Ball, at: tuple[float, float, float] = (2.0, 1.5, 1.0), pitch: float = 0.0) -> NDArray:
    camera = Camera(np.array(at), pitched(pitch))
    scene = Scene((ROOM, *things), camera, np.array([2.0, 2.4, 3.0]), 0.3, 0.2, 0.0)
    return render(scene, IMAGE, np.random.default_rng(0))[1]


def offset(row: int, column: int) -> tuple[float, float]:
    """To the right and up of the middle, per metre of depth."""
    return (column + 0.5 - IMAGE[1] / 2) / FOCAL, (IMAGE[0] / 2 - row - 0.5) / FOCAL


def test_a_wall_that_faces_the_camera_has_one_depth() -> None:
    found = depth()
    assert found[10:20, 15:25] == pytest.approx(np.full((10, 10), 5.0), abs=1e-12)
    assert found.max() == pytest.approx(5.0)


def test_floor_ceiling_and_side_walls() -> None:
    found = depth()
    _, down = offset(29, 20)
    assert found[29, 20] == pytest.approx(-1.5 / down)  # 1.5 m above the floor
    _, up = offset(0, 20)
    assert found[0, 20] == pytest.approx(1.0 / up)  # 1 m below the ceiling
    right, _ = offset(15, 39)
    assert found[15, 39] == pytest.approx(2.0 / right)
    assert found[15, 0] == pytest.approx(2.0 / right)


def test_the_floor_under_a_camera_that_looks_down() -> None:
    angle = -0.4
    found = depth(pitch=angle)
    for row in (16, 20, 29):
        _, up = offset(row, 20)
        fall = -(up * math.cos(angle) + math.sin(angle))  # metres down per metre of depth
        assert found[row, 20] == pytest.approx(1.5 / fall)


def test_a_ball() -> None:
    centre, radius = np.array([2.0, 1.5, 4.0]), 0.5
    found = depth(Ball(centre, radius, (PLAIN,)))
    for row, column in ((15, 20), (14, 22), (12, 19)):
        right, up = offset(row, column)
        # |t (right, up, 1) - (0, 0, 3)| = radius
        square, middle = right**2 + up**2 + 1, 3.0
        want = (middle - math.sqrt(middle**2 - square * (9 - radius**2))) / square
        assert 2.5 <= found[row, column] == pytest.approx(want)
    assert found[15, 38] == pytest.approx(depth()[15, 38])  # beside it
    behind = Ball(np.array([2.0, 1.5, 0.2]), 0.5, (PLAIN,))
    assert np.array_equal(depth(behind), depth())


def test_a_box_straight_and_turned() -> None:
    half = np.array([0.5, 0.5, 0.5])
    found = depth(Box(np.array([2.0, 1.5, 4.0]), half, 0.0, (PLAIN,)))
    assert found[15, 20] == pytest.approx(2.5)
    assert found[13, 18] == pytest.approx(2.5)
    found = depth(Box(np.array([2.0, 1.5, 4.0]), half, math.pi / 4, (PLAIN,)))
    for column in (18, 20, 22):
        right, _ = offset(15, column)
        # An edge points at the camera, and both faces recede as fast as they go aside: depth - |x| = 3 - sqrt(1/2).
        assert found[15, column] == pytest.approx((3 - math.sqrt(0.5)) / (1 - abs(right)))


def test_which_way_a_box_turns() -> None:
    """A box that is long in x, turned by a little: its face is nearer on the side that came forward."""
    found = depth(Box(np.array([2.0, 1.5, 4.0]), np.array([1.0, 0.5, 0.1]), 0.3, (PLAIN,)))
    ray = np.array([math.sin(0.3), 0.0, math.cos(0.3)])  # the normal of the face, away from the camera
    right, up = offset(15, 25)
    want = (3.0 * math.cos(0.3) - 0.1) / (np.array([right, up, 1.0]) @ ray)
    assert found[15, 25] == pytest.approx(want)


def test_normals_face_the_viewer_and_are_unit_vectors() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        scene = random_scene(generator)
        rays = scene.camera.rays((7, 9))
        place, normals, first = trace(scene.solids, scene.camera.position[:, None], rays)
        assert np.isfinite(place).all()
        assert np.linalg.norm(normals, axis=0) == pytest.approx(np.ones(63))
        assert ((normals * rays).sum(axis=0) < 0).all()
        assert first.max() < len(scene.solids)


def test_a_camera_is_orthonormal_and_depth_is_along_its_axis() -> None:
    scene = random_scene(np.random.default_rng(3))
    assert scene.camera.axes @ scene.camera.axes.T == pytest.approx(np.eye(3))
    assert np.linalg.det(scene.camera.axes) == pytest.approx(1)  # as the world's axes: nothing is mirrored
    forward = scene.camera.axes[2] @ scene.camera.rays(IMAGE)
    assert forward == pytest.approx(np.ones(forward.shape))


def test_light_and_shadow() -> None:
    """A ball under the lamp leaves the floor below it with the ambient light alone."""
    camera = Camera(np.array([2.0, 1.5, 1.0]), pitched(-0.4))
    lamp = np.array([2.0, 2.4, 3.0])

    def picture(*things: Ball) -> NDArray:
        return render(Scene((ROOM, *things), camera, lamp, 0.3, 0.2, 0.0), IMAGE, np.random.default_rng(0))[0]

    _, up = offset(20, 20)
    spot = 1.5 / -(up * math.cos(-0.4) + math.sin(-0.4))
    floor = camera.position + spot * (camera.rays(IMAGE).reshape(3, *IMAGE)[:, 20, 20])
    ball = Ball(floor + 0.7 * (lamp - floor), 0.2, (PLAIN,))
    assert ball.centre[1] > 1.5  # out of the line of sight
    ratio = picture(ball)[:, 20, 20] / picture()[:, 20, 20]
    assert (ratio < 0.8).all()


def test_rooms_are_the_same_every_time_and_more_begin_with_the_same() -> None:
    images, found = rooms(3, (16, 24), series=0)
    again, deeper = rooms(5, (16, 24), series=0)
    assert np.array_equal(images, again[:3])
    assert np.array_equal(found, deeper[:3])
    other, _ = rooms(3, (16, 24), series=1)
    assert not np.array_equal(images, other)
    assert images.shape == (3, 3, 16, 24)
    assert found.shape == (3, 1, 16, 24)
    assert (images.dtype.name, found.dtype.name) == ("uint8", "float32")


def test_brightness_is_not_depth() -> None:
    """Ranges, and how little of the depth of 150 rooms a straight line through brightness, or height, explains."""
    images, found = rooms(150, (24, 32), series=0)
    assert 0.3 < found.min() < 1.2
    assert 4.5 < found.max() < 10
    assert images.min() < 20
    assert images.max() == 255
    depths = np.log(found[:, 0])
    assert depths.std() > 0.3
    brightness = images.mean(axis=1)
    for guess in (brightness, np.broadcast_to(np.arange(24)[:, None], depths.shape), *images.transpose(1, 0, 2, 3)):
        explained = np.corrcoef(guess.ravel(), depths.ravel())[0, 1] ** 2
        assert explained < 0.15
