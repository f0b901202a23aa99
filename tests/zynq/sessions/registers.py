"""The registers themselves, without the driver."""

from typing import Any


def session(board: Any, driver: Any) -> Any:
    board.download()
    address = board.plan["registers"]
    found: dict[str, Any] = {}

    def read(name: str) -> int:
        return int(board.read(address[name]))

    def write(name: str, value: int) -> None:
        board.write(address[name], value)

    found["after loading"] = {name: read(name) for name in address}
    found["beyond"] = [board.read(at) for at in range(4 * len(address), 128, 4)]
    write("IMAGES", 0x12345678)
    write("INTERRUPT", 0xFFFFFFFF)
    found["written"] = read("IMAGES"), read("INTERRUPT"), read("CONTROL"), board.interrupt()
    write("IMAGES", 0)
    write("CONTROL", 1)
    found["no images"] = read("ERRORS"), read("STATUS"), board.interrupt()
    write("ERRORS", 1 << 4)
    found["cleared"] = read("ERRORS"), read("STATUS"), board.interrupt()
    write("IMAGES", 1)
    write("CONTROL", 1)
    write("CONTROL", 1)
    board.wait(1000)
    found["busy"] = read("ERRORS"), read("STATUS"), read("WAITS_IN") > 900, read("CYCLES") > 900
    write("CONTROL", 2)
    found["resetting"] = read("ERRORS")
    board.wait(40)
    found["reset"] = {name: read(name) for name in address}
    return found
