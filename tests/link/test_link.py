"""The serial link in the simulator: bytes, frames, errors, and the host's own code at the other end."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from bireal_hw.synth.host import ERRORS, Link, LinkError, best, checksum, frame
from tests.link.lines import Frame, Run, frames, play

BIT_CYCLES = 8
IMAGE_BYTES, CLASSES = 12, 4
LENGTH, CHECKSUM, TIMEOUT, BUSY, BROKEN = (bytes([code]) for code in (1, 2, 3, 4, 5))
STALLED = 65_536
RNG = np.random.default_rng(1)


def image() -> bytes:
    return RNG.integers(0, 256, IMAGE_BYTES).astype(np.uint8).tobytes()


IMAGES = [image() for _ in range(8)]


def logits(pixels: bytes) -> list[int]:
    """What link_bench.sv computes: the lower 13 bits of a pixel of 3 bytes, signed."""
    words = [int.from_bytes(pixels[at : at + 3], "little") & 0x1FFF for at in range(0, len(pixels), 3)]
    return [word - 0x2000 if word & 0x1000 else word for word in words]


def result(pixels: bytes) -> bytes:
    return struct.pack(">4i", *logits(pixels))


def link(*runs: Run) -> list[dict[str, Any]]:
    return play("link_bench", [{"ports": {"stall_i": 0, "seed_i": 1}, **run} for run in runs], BIT_CYCLES)


def sent(*data: bytes, **others: Any) -> Run:
    """A run that sends bytes with no pause."""
    return {"steps": [{"send": b"".join(data).hex()}], **others}


@pytest.mark.rtl
def test_bytes_pass_at_any_speed_within_two_percent() -> None:
    data = bytes([0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0x7F, 0xFE]) + RNG.bytes(16)
    runs = [
        sent(data, line=line, bit_cycles=cycles, scale=scale, read=["broken_o"])
        for line, cycles in enumerate((4, 9, 50))
        for scale in (0.98, 1, 1.02)
    ]
    for run, found in zip(runs, play("uart_bench", runs, 0), strict=True):
        assert bytes.fromhex(found["bytes"]) == data, run
        assert found["ports"] == {"broken_o": 0}, run


@pytest.mark.rtl
def test_a_byte_without_stop_bit_is_told_and_the_next_one_read() -> None:
    steps = [{"send": "123456789a", "broken": [1, 3]}]
    (found,) = play("uart_bench", [{"steps": steps, "line": 1, "bit_cycles": 9, "read": ["broken_o"]}], 0)
    assert found["bytes"] == "12569a"
    assert found["ports"]["broken_o"] == 2 << 8


@pytest.mark.rtl
@pytest.mark.parametrize("scale", [0.98, 1.02])
@pytest.mark.parametrize(("stall", "seed"), [(0, 1), (20_000, 2), (65_000, 3)], ids=["free", "stalled", "slow"])
def test_every_image_comes_back_as_its_logits(scale: float, stall: int, seed: int) -> None:
    whole = b"".join(frame(tag, pixels) for tag, pixels in enumerate(IMAGES))
    (found,) = link(sent(whole, scale=scale, ports={"stall_i": stall, "seed_i": seed}, read=["class_o"]))
    wanted = [(tag, result(pixels)) for tag, pixels in enumerate(IMAGES)]
    if stall < 65_000:
        assert frames(bytes.fromhex(found["bytes"])) == wanted
        assert found["ports"]["class_o"] == best(logits(IMAGES[-1]))
    else:  # a slow network takes what it has room for, and says so of every other image that the line leaves time for
        answers = frames(bytes.fromhex(found["bytes"]))
        taken = [answer for answer in answers if len(answer[1]) > 1]
        assert taken == [one for one in wanted if one in taken]
        assert len(taken) >= 2
        assert {answer[1] for answer in answers if len(answer[1]) == 1} <= {BUSY}
        refused = {answer[0] for answer in answers if answer[1] == BUSY}
        assert refused.isdisjoint({tag for tag, _ in taken})


@pytest.mark.rtl
def test_images_of_a_few_bytes_come_back_and_wrong_frames_are_told() -> None:
    """From one byte on; sizes around those at which a counter gets another bit."""
    runs, wanted = [], []
    for size in range(1, 7):
        images = [RNG.bytes(size) for _ in range(4)]
        answers = [(tag, struct.pack(f">{size}i", *struct.unpack(f"{size}b", one))) for tag, one in enumerate(images)]
        whole = [frame(tag, one) for tag, one in enumerate(images)]
        whole.insert(1, frame(7, bytes(size + 1)))
        steps = [step for one in whole for step in ({"send": one.hex()}, {"wait": 500})]
        runs.append({"steps": steps, "line": size - 1})
        wanted.append([answers[0], (7, LENGTH), *answers[1:]])
    for size, (answer, found) in enumerate(zip(wanted, play("sizes_bench", runs, 4), strict=True), 1):
        assert frames(bytes.fromhex(found["bytes"])) == answer, f"images of {size} bytes"


GOOD = frame(9, IMAGES[0])
ANSWER = (9, result(IMAGES[0]))


@pytest.mark.rtl
def test_what_is_wrong_with_a_frame_is_told_and_the_next_one_taken() -> None:
    spoilt = bytearray(frame(3, IMAGES[1]))
    spoilt[10] ^= 0x20
    wrong: dict[str, tuple[list[Any], list[Frame]]] = {
        "checksum": ([{"send": bytes(spoilt).hex()}], [(3, CHECKSUM)]),
        "short": ([{"send": frame(4, IMAGES[1][:-1]).hex()}], [(4, LENGTH)]),
        "nothing": ([{"send": frame(5, b"").hex()}], [(5, LENGTH)]),
        "broken byte": ([{"send": frame(6, IMAGES[1]).hex(), "broken": [8]}], [(6, BROKEN)]),
        "broken off": ([{"send": frame(7, IMAGES[1])[:9].hex()}, {"wait": 70}], [(7, TIMEOUT)]),
        "broken off before the tag": ([{"send": "b1"}, {"wait": 70}], [(0, TIMEOUT)]),
        "garbage": ([{"send": "00ff 5512 fe".replace(" ", "")}], []),
        "broken garbage": ([{"send": "0055", "broken": [0, 1]}], []),
        "a pause inside": ([{"send": GOOD[:7].hex()}, {"wait": 50}, {"send": GOOD[7:].hex()}], [ANSWER]),
    }
    runs = [{"steps": [*steps, {"wait": 160}, {"send": GOOD.hex()}]} for steps, _ in wrong.values()]
    for (name, (_, told)), found in zip(wrong.items(), link(*runs), strict=True):
        assert frames(bytes.fromhex(found["bytes"])) == [*told, ANSWER], name


@pytest.mark.rtl
def test_while_the_network_takes_nothing_images_wait_or_are_refused_and_none_is_lost() -> None:
    steps: list[Any] = [{"send": frame(tag, pixels).hex()} for tag, pixels in enumerate(IMAGES[:5])]
    steps += [{"wait": 200}, {"ports": {"stall_i": 0}}, {"wait": 2000}, {"send": GOOD.hex()}]
    (found,) = link({"steps": steps, "ports": {"stall_i": STALLED, "seed_i": 1}})
    waited = [(tag, result(IMAGES[tag])) for tag in (0, 1, 2)]  # the room for two, 24 bytes, is made 32
    assert frames(bytes.fromhex(found["bytes"])) == [(3, BUSY), (4, BUSY), *waited, ANSWER]


@pytest.mark.rtl
def test_errors_during_an_answer_are_told_after_it_and_the_last_one_counts() -> None:
    bad = [frame(tag, b"") for tag in (21, 22)]
    (found,) = link(sent(GOOD, *bad))
    assert frames(bytes.fromhex(found["bytes"])) == [ANSWER, (22, LENGTH)]


@pytest.mark.rtl
def test_the_host_gets_its_logits_whatever_happens_on_the_line() -> None:
    steps = [
        {"image": IMAGES[0].hex()},
        {"image": IMAGES[1].hex(), "spoil": 8},  # the board tells it
        {"image": IMAGES[2].hex(), "spoil": 0},  # the board sees no frame
        {"image": IMAGES[3].hex(), "spoil": 4},  # a length that the board does not take, and then pixels as garbage
        {"image": IMAGES[4].hex(), "spoil_answer": 0},
        {"image": IMAGES[5].hex(), "spoil_answer": 12},
        {"send": GOOD[:6].hex()},  # a frame of which no more comes: the next one makes it whole, and wrong
        {"image": IMAGES[6].hex()},
        {"image": IMAGES[7][:-1].hex()},
        {"image": IMAGES[7].hex()},
    ]
    (found,) = link({"steps": steps, "host": [IMAGE_BYTES, CLASSES]})
    wanted: list[Any] = [logits(pixels) for pixels in IMAGES]
    assert found["answers"] == [*wanted[:7], ERRORS[1], wanted[7]]


class Tape:
    """A line that gives a recorded answer."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.written = b""

    def write(self, data: bytes, /) -> None:
        self.written += data

    def read(self, size: int, /) -> bytes:
        data, self.answer = self.answer[:size], self.answer[size:]
        return data


def test_the_host_passes_over_answers_to_images_it_gave_up() -> None:
    old, new = frame(0, result(IMAGES[0])), frame(1, result(IMAGES[1]))
    tape = Tape(b"\x00\x12" + old + new)
    assert Link(tape, IMAGE_BYTES, CLASSES).logits(IMAGES[1]) == logits(IMAGES[1])
    assert tape.written == frame(1, IMAGES[1])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "the board does not answer"),
        (frame(1, b"\x05" * 3), "an answer of 3 bytes arrived: is this the network's folder?"),
        (frame(1, result(IMAGES[0]))[:-1] + b"?", "an answer arrived with a wrong checksum"),
        (frame(1, b"\x04"), ERRORS[4]),
        (frame(1, b"\x63"), "error 99"),
    ],
)
def test_the_host_says_what_is_wrong_with_an_answer(answer: bytes, message: str) -> None:
    with pytest.raises(LinkError) as error:
        Link(Tape(answer), IMAGE_BYTES, CLASSES)._result(1)
    assert str(error.value) == message


def test_a_frame_with_its_checksum_has_the_checksum_nought() -> None:
    assert checksum(b"123456789") == bytes.fromhex("29b1")  # the check value of CRC-16/CCITT-FALSE
    assert checksum(GOOD[1:]) == b"\0\0"


def test_the_class_is_the_lowest_of_equals() -> None:
    assert best([3, 7, 7, -1]) == 1
