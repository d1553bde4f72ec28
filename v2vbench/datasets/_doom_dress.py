"""Dressed maps: the same geometry with one texture for each label, as a file laid over the game.

In the game every map has textures of its own, so labels do not tell how a surface looks. A dressed map has one texture
for walls, one for floors and so on, constant light and no grates. Geometry, sprites, labels and flow stay exact.
"""

import struct
from pathlib import Path

import numpy as np

from v2vbench.datasets import _doom

# Calm textures that can be told apart: wall, step, door, floor, ceiling, liquid.
LOOKS = {
    "grey": ("GRAY1", "STEP4", "BIGDOOR2", "FLOOR0_1", "CEIL5_1", "NUKAGE1"),
    "brown": ("BROWN1", "STEP1", "BIGDOOR1", "FLAT5_4", "FLAT20", "FWATER1"),
    "stone": ("STONE2", "STEP5", "BIGDOOR4", "FLOOR7_1", "CEIL1_1", "NUKAGE1"),
}
INDOORS, UNDER_SKY = 192, 224  # light of a sector, of 255
CHANGING = (1, 2, 3, 4, 8, 12, 13, 17)  # special types of sectors whose light changes
LUMPS = ("THINGS", "LINEDEFS", "SIDEDEFS", "VERTEXES", "SEGS", "SSECTORS", "NODES", "SECTORS", "REJECT", "BLOCKMAP")
NOTHING = 0xFFFF  # in place of a side: the line has one side


def dress(wad: Path, level: str, look: str, out: Path) -> Path:
    """Write the map `level` of a WAD file, dressed, to a WAD file of its own, and return its path.

    look      one of LOOKS
    raises    Fault if the WAD file is not whole or has no such map
    """
    wall, step, door, floor, ceiling, liquid = (name.encode() for name in LOOKS[look])
    lumps, world = _doom.lumps(wad, level), _doom.load(wad, level)
    sides = np.frombuffer(lumps["SIDEDEFS"], _doom.SIDE).copy()
    sectors = np.frombuffer(lumps["SECTORS"], _doom.SECTOR).copy()
    right, left = np.frombuffer(lumps["LINEDEFS"], "<u2").reshape(-1, 7).T[-2:]
    two = left != NOTHING
    sides["middle"][right[~two]] = wall
    for side, other in ((right[two], left[two]), (left[two], right[two])):
        here, there = sides["sector"][side], sides["sector"][other]
        sides["middle"][side] = b"-"  # what hangs there is seen through: a grate
        sides["upper"][side] = np.where(world.door[there], door, wall)
        sides["lower"][side] = np.where(world.floor[there] - world.floor[here] > _doom.TALL, wall, step)
    sectors["floor_flat"] = np.where(world.liquid, liquid, floor)
    sectors["ceiling_flat"] = np.where(world.sky, sectors["ceiling_flat"], np.array(ceiling, "S8"))
    sectors["light"] = np.where(world.sky, UNDER_SKY, INDOORS)
    sectors["special"][np.isin(sectors["special"], CHANGING)] = 0
    lumps |= {"SIDEDEFS": sides.tobytes(), "SECTORS": sectors.tobytes()}
    body, table = b"", struct.pack("<ii8s", 12, 0, level.encode())
    for name in LUMPS:
        table += struct.pack("<ii8s", 12 + len(body), len(lumps[name]), name.encode())
        body += lumps[name]
    out.write_bytes(struct.pack("<4sii", b"PWAD", 1 + len(LUMPS), 12 + len(body)) + body + table)
    return out
