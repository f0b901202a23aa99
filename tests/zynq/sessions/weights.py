"""The file of the weights: what the driver says of one that is not as it should be."""

import shutil
from typing import Any


def session(board: Any, driver: Any) -> Any:
    other = board.folder.parent / "other"
    found: dict[str, str] = {}

    def opened(name: str) -> None:
        loads, buffers = board.loads, len(board.buffers)
        try:
            driver.Network(other / "bireal.bit").close()
            found[name] = "nothing"
        except driver.NetworkError as error:
            found[name] = str(error).replace(str(other), "DIR")
        assert len(board.buffers) == buffers
        assert board.loads == loads + (found[name] == "nothing" or "memory" in name)

    def written(name: str, content: bytes) -> None:
        (other / "weights.bin").write_bytes(content)
        opened(name)

    shutil.copytree(board.folder, other, dirs_exist_ok=True)
    whole = (other / "weights.bin").read_bytes()
    opened("whole")
    written("empty", b"")
    written("no weights", b"x" * len(whole))
    written("truncated", whole[:-8])
    written("truncated header", whole[:12])
    written("of another network", whole[:8] + bytes([whole[8] ^ 1]) + whole[9:])
    written("altered", whole[:-1] + bytes([whole[-1] ^ 1]))
    (other / "weights.bin").unlink()
    opened("missing")
    (other / "weights.bin").mkdir()
    opened("a folder")
    (other / "weights.bin").rmdir()
    (other / "weights.bin").write_bytes(whole)
    board.limit = len(whole)
    opened("no memory")
    board.limit = 1 << 27
    place, board._place = board._place, lambda size: 1 << 32
    opened("memory out of reach")
    board._place = place
    opened("whole again")
    return found
