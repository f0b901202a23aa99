"""Rooms with boxes and balls, seen by a camera: images with exact depth, made by ray casting (numpy only).

World: x and z along the floor, y up, metres. Camera: right, up, forward. Points, rays, normals and colours are columns,
(3, P). Depth is measured along the camera's forward
axis, as depth cameras do, and not along the ray: a wall that faces the camera has one depth all over.

Brightness says little about depth: the light stands anywhere in the room and casts shadows, every surface has colours
and a pattern of its own, and the exposure is random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FIELD = math.radians(60)
"""Horizontal field of view, near the 57 degrees of the camera of NYU-Depth-v2."""

SMALLEST, LARGEST = (3.0, 2.3, 3.0), (5.0, 3.0, 7.0)
"""Sizes of a room, metres: its diagonal, and so every depth, stays below 10 m."""


HEIGHT = (1.4, 1.6)
"""Of the camera above the floor, metres, as held by a person: what tells a near doll's house from a far room."""


@dataclass(frozen=True)
class Surface:
    """Two colours (3,) in 0..1, mixed by a pattern: a product of two waves along the vectors `waves` (2, 3), 1/m.

    With `sharp` the pattern jumps between the colours, as tiles do, and changes smoothly otherwise.
    """

    colours: Floats
    waves: Floats
    phases: Floats
    sharp: bool

    def at(self, points: Floats) -> Floats:
        """Return the colours at points."""
        mix = np.sin(self.waves @ points + self.phases[:, None]).prod(axis=0)
        mix = np.sign(mix) if self.sharp else mix
        return self.colours[0][:, None] + (0.5 + 0.5 * mix) * (self.colours[1] - self.colours[0])[:, None]


@dataclass(frozen=True)
class Box:
    """A box around `centre` (3,) with half its sides (3,), turned about the vertical by `turn` radians.

    Seen from inside it is a room. `surfaces`: one for all faces, or those of its sides, floor and ceiling.
    """

    centre: Floats
    half: Floats
    turn: float
    surfaces: tuple[Surface, ...]

    def hit(self, origin: Floats, rays: Floats) -> tuple[Floats, Floats]:
        """Return where rays from `origin`, (3, 1) or (3, P), meet the surface first, and the normals there.

        The place is a multiple of the ray (P,), inf for a miss. A normal is turned towards where the ray came from.
        """
        cosine, sine = math.cos(self.turn), math.sin(self.turn)
        turned = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])  # rows: the axes of the box
        start, step = turned @ (origin - self.centre[:, None]), turned @ rays
        inverse = 1 / np.where(step == 0, 1e-30, step)
        half = self.half[:, None]
        one, other = (-half - start) * inverse, (half - start) * inverse
        enter, leave = np.minimum(one, other), np.maximum(one, other)
        near, far = enter.max(axis=0), leave.min(axis=0)
        outside = near > 0
        place = np.where((near <= far) & (far > 0), np.where(outside, near, far), np.inf)
        faces = np.where(outside, enter == near, leave == far)
        return place, turned.T @ (-np.sign(step) * faces)


@dataclass(frozen=True)
class Ball:
    """A ball around `centre` (3,)."""

    centre: Floats
    radius: float
    surfaces: tuple[Surface, ...]

    def hit(self, origin: Floats, rays: Floats) -> tuple[Floats, Floats]:
        """As `Box.hit`, for origins outside."""
        start = origin - self.centre[:, None]
        square, middle = (rays * rays).sum(axis=0), -(start * rays).sum(axis=0)
        root = middle**2 - square * ((start * start).sum(axis=0) - self.radius**2)
        place = (middle - np.sqrt(np.maximum(root, 0))) / square
        place = np.where((root > 0) & (place > 0), place, np.inf)
        normals = start + np.where(np.isfinite(place), place, 0) * rays
        return place, normals / self.radius


@dataclass(frozen=True)
class Camera:
    """Where a camera stands (3,), and its axes (3, 3): rows right, up and forward, orthonormal."""

    position: Floats
    axes: Floats

    def rays(self, image: tuple[int, int]) -> Floats:
        """Return the ray through the middle of every pixel, (3, H*W); its part along the forward axis is 1."""
        height, width = image
        focal = width / 2 / math.tan(FIELD / 2)
        right = (np.arange(width) + 0.5 - width / 2) / focal
        up = (height / 2 - 0.5 - np.arange(height)) / focal
        grid = np.stack([*np.meshgrid(right, up), np.ones(image)])
        return self.axes.T @ grid.reshape(3, -1)


@dataclass(frozen=True)
class Scene:
    """What is to be seen: solids, the first of which is the room around all, and a lamp in it.

    ambient   share of the light that comes from everywhere, 0 to 1
    exposure  mean of the picture, 0 to 1, before the noise
    noise     of the camera, standard deviation in 0..255
    """

    solids: tuple[Box | Ball, ...]
    camera: Camera
    lamp: Floats
    ambient: float
    exposure: float
    noise: float


def trace(solids: Sequence[Box | Ball], origin: Floats, rays: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return the nearest hit of every ray (as `Box.hit`): place, normal, and number of the solid (P,)."""
    place, normals = solids[0].hit(origin, rays)
    first = np.zeros(rays.shape[1], np.int64)
    for number, solid in enumerate(solids[1:], start=1):
        other, theirs = solid.hit(origin, rays)
        nearer = other < place
        place, first = np.where(nearer, other, place), np.where(nearer, number, first)
        normals = np.where(nearer, theirs, normals)
    return place, normals, first


def render(scene: Scene, image: tuple[int, int], generator: np.random.Generator) -> tuple[NDArray[np.uint8], Floats]:
    """Return the picture, uint8 (3, H, W), its noise drawn from `generator`, and the depth in metres, (H, W)."""
    origin, rays = scene.camera.position[:, None], scene.camera.rays(image)
    place, normals, first = trace(scene.solids, origin, rays)
    points = origin + place * rays
    colours = np.empty_like(points)
    faces = np.where(np.abs(normals[1]) < 0.5, 0, np.where(normals[1] > 0, 1, 2))
    for number, solid in enumerate(scene.solids):
        for face, surface in enumerate(solid.surfaces):
            seen = (first == number) & ((faces == face) | (len(solid.surfaces) == 1))
            colours[:, seen] = surface.at(points[:, seen])
    to_lamp = scene.lamp[:, None] - points
    distance = np.sqrt((to_lamp * to_lamp).sum(axis=0))
    facing = np.maximum((normals * to_lamp).sum(axis=0) / distance, 0)
    for solid in scene.solids[1:]:  # what stands between a point and the lamp
        facing[solid.hit(points + 1e-6 * normals, to_lamp)[0] < 1] = 0
    light = scene.ambient + (1 - scene.ambient) * facing * 4 / (1 + distance**2)
    picture = colours * light
    picture = np.clip(picture * (scene.exposure / picture.mean()), 0, 1) ** (1 / 2.2)
    noisy = 255 * picture + scene.noise * generator.standard_normal(picture.shape)
    pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return pixels.reshape(3, *image), place.reshape(image)


def random_scene(generator: np.random.Generator) -> Scene:
    """Draw a room with a lamp, up to six things in front of the camera, and colours for all."""
    size = generator.uniform(SMALLEST, LARGEST)
    room = Box(size / 2, size / 2, 0.0, tuple(_surface(generator) for _ in range(3)))
    position = generator.uniform((0.5, HEIGHT[0], 0.5), (size[0] - 0.5, HEIGHT[1], size[2] - 0.5))
    aim = size * generator.uniform(0.25, 0.75, 3) - position
    yaw = math.atan2(aim[0], aim[2]) + generator.uniform(-0.3, 0.3)
    camera = Camera(position, _axes(yaw, generator.uniform(-0.35, 0.05), generator.uniform(-0.05, 0.05)))
    things = [_thing(generator, size, position, yaw) for _ in range(generator.integers(2, 7))]
    return Scene(
        (room, *(thing for thing in things if thing)),
        camera,
        lamp=size * generator.uniform((0.1, 0.5, 0.1), (0.9, 0.95, 0.9)),
        ambient=generator.uniform(0.15, 0.5),
        exposure=generator.uniform(0.12, 0.35),
        noise=generator.uniform(1.0, 4.0),
    )


def rooms(count: int, image: tuple[int, int], series: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Render the first `count` rooms of a series: images uint8 (N, 3, H, W), depth float32 (N, 1, H, W) in metres.

    A room depends on its series and number alone, so more rooms begin with the same ones.
    """
    images = np.empty((count, 3, *image), np.uint8)
    depth = np.empty((count, 1, *image), np.float32)
    for index in range(count):
        generator = np.random.default_rng((series, index))
        images[index], depth[index, 0] = render(random_scene(generator), image, generator)
    return images, depth


def _axes(yaw: float, pitch: float, roll: float) -> Floats:
    """Return right, up and forward of a camera that looks along z, turned by yaw to x, by pitch up, then by roll."""
    forward = np.array([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
    right = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])
    up = np.cross(forward, right)
    return np.stack(
        [math.cos(roll) * right + math.sin(roll) * up, math.cos(roll) * up - math.sin(roll) * right, forward]
    )


def _surface(generator: np.random.Generator) -> Surface:
    colour = generator.uniform(0.05, 0.95, 3)
    other = np.clip(colour + generator.choice([0.05, 0.15, 0.4]) * generator.uniform(-1, 1, 3), 0.02, 1)
    waves = generator.standard_normal((2, 3)) * generator.uniform(2, 14)
    return Surface(np.stack([colour, other]), waves, generator.uniform(0, 2 * math.pi, 2), generator.random() < 0.5)


def _thing(generator: np.random.Generator, size: Floats, camera: Floats, yaw: float) -> Box | Ball | None:
    """Draw a box or a ball in front of a camera, on the floor or for some balls above it; None if it is too near."""
    ball = generator.random() < 0.4
    half = generator.uniform(0.15, (0.6, 0.9, 0.6))
    reach = half[0] if ball else math.hypot(half[0], half[2])
    angle, distance = yaw + generator.uniform(-0.55, 0.55), generator.uniform(1.2, 5.0)
    spot = camera + distance * np.array([math.sin(angle), 0.0, math.cos(angle)])
    spot = np.clip(spot, reach, size - reach)
    height = half[0] if ball else half[1]
    if ball and generator.random() < 0.3:
        height = generator.uniform(half[0], size[1] - half[0])
    spot[1] = height
    turn, surface = generator.uniform(0, math.pi), _surface(generator)
    if math.hypot(spot[0] - camera[0], spot[2] - camera[2]) < reach + 0.4:
        return None
    return Ball(spot, half[0], (surface,)) if ball else Box(spot, half, turn, (surface,))
