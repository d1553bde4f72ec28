"""Seeded walks through a Doom map: the engine (ViZDoom), and a walker that keeps clear of walls."""

import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Annotated

import numpy as np

from v2vbench.datasets._doom import TALL, World
from v2vbench.params import Range, Size

# Resolution of the engine by frame width: 4 x 4 samples per pixel, 3.75 x 3.75 at the largest, its largest mode.
ENGINE = {64: "RES_256X144", 128: "RES_512X288", 256: "RES_1024X576", 512: "RES_1920X1080"}
ITEMS = ("Ammo", "Weapon", "Health", "Armor", "Key", "Powerup")
SPRITES = {
    "Monster": "monster",
    "LightSource": "light",
    "Decoration": "decoration",
    "Vegetation": "decoration",
    "Gore": "decoration",
    "Gibs": "decoration",
    "Hazard": "hazard",
} | dict.fromkeys(ITEMS, "item")
SOLID = ("Monster", "LightSource", "Decoration", "Vegetation", "Hazard")
TICS = 2  # between frames, of the game's clock at 35 Hz
N_STARTING = 4  # frames until the walker is up to speed; discarded
WIDE = 40  # units that the walker keeps free, a little more than the game's 32
HEADINGS = np.linspace(-60, 60, 25)  # degrees to the left that the walker considers
BRIGHT = (255 * (np.arange(256) / 255) ** (1 / 1.6) + 0.5).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """How the walker moves."""

    speed: Annotated[float, Range(1, 50)]  # forward, in the game's units, 50 at most
    turn: Annotated[float, Range(0, 5)]  # degrees per tic, at most


def follow_parent(folder: str) -> None:
    """Work in a new folder in `folder`, and kill the engine when this process or its parent ends.

    The engine writes files to the working folder, and two engines that start in the same one can crash each other. It
    outlives the process that starts it and ignores SIGTERM, so it is killed when this process gets SIGTERM, and when
    the parent process is gone.
    """
    import psutil

    def end(*_):
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(1)

    def wait():
        connection.wait([parent_process().sentinel])  # pyright: ignore[reportOptionalMemberAccess]
        end()

    own = Path(folder) / str(os.getpid())
    own.mkdir()
    os.chdir(own)
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=wait, daemon=True).start()


def start_engine(wad: Path, level: str, size: Size, dressed: Path | None = None):
    """The game with one map loaded, rendering 16:9 frames without a window. It leaves files in the working folder.

    dressed    a WAD file whose map of that name takes the place of the game's
    """
    import vizdoom

    game, button, variable = vizdoom.DoomGame(), vizdoom.Button, vizdoom.GameVariable
    game.set_doom_config_path("engine.ini")
    game.set_doom_game_path(str(wad))
    if dressed:
        game.set_doom_scenario_path(str(dressed))
    game.set_doom_map(level)
    game.set_doom_skill(3)
    game.set_episode_timeout(0)
    game.set_episode_start_time(14)
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, ENGINE[size[1]]))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    for part in ("hud", "weapon", "crosshair", "messages", "screen_flashes", "particles", "decals"):
        getattr(game, f"set_render_{part}")(False)
    game.set_labels_buffer_enabled(True)
    game.set_objects_info_enabled(True)
    game.set_sectors_info_enabled(True)
    game.set_available_buttons([button.MOVE_FORWARD_BACKWARD_DELTA, button.TURN_LEFT_RIGHT_DELTA])
    game.set_available_game_variables(
        [variable.CAMERA_POSITION_X, variable.CAMERA_POSITION_Y, variable.CAMERA_POSITION_Z, variable.CAMERA_ANGLE]
    )
    game.add_game_args("+sv_cheats 1")
    game.init()
    return game


def _heights(state) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s.floor_height for s in state.sectors]), np.array([s.ceiling_height for s in state.sectors])


def _places(state, categories) -> np.ndarray:
    return np.array([(o.position_x, o.position_y) for o in state.objects if o.category in categories]).reshape(-1, 2)


def obstacles(world: World, floor: np.ndarray, ceiling: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lines (ends a, b) that a walker does not cross: walls, high steps, low lintels, teleporters, exits."""
    front, back = world.front, np.where(world.back < 0, world.front, world.back)
    low = np.minimum(ceiling[front], ceiling[back]) - np.maximum(floor[front], floor[back]) < TALL
    blocked = (world.back < 0) | world.barrier | low | (abs(floor[front] - floor[back]) > 24)
    return world.a[blocked], world.b[blocked]


def reach(lines, posts: np.ndarray, place: np.ndarray, angles: np.ndarray, limit: float) -> np.ndarray:
    """How far, up to `limit`, the way from `place` is free at each of `angles` before a line or a post, in units."""
    a, b = lines
    near = ((np.minimum(a, b) < place + limit + WIDE) & (np.maximum(a, b) > place - limit - WIDE)).all(1)
    ahead = np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], -1)
    aside = ahead[:, None, ::-1] * (1, -1) * np.array([-WIDE / 2, 0, WIDE / 2])[:, None]
    start, way = (place + aside).reshape(-1, 1, 2), np.repeat(ahead, 3, 0)[:, None]
    off, along = a[near] - start, b[near] - a[near]
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = way[..., 0] * along[:, 1] - way[..., 1] * along[:, 0]
        far = (off[..., 0] * along[:, 1] - off[..., 1] * along[:, 0]) / turn
        share = (off[..., 0] * way[..., 1] - off[..., 1] * way[..., 0]) / turn
    room = np.where((share >= 0) & (share <= 1) & (far > 0), far, limit).min(1, initial=limit).reshape(-1, 3).min(1)
    post = posts - place
    far, beside = post @ ahead.T, post[:, :1] * ahead[:, 1] - post[:, 1:] * ahead[:, 0]
    return np.minimum(room, np.where((abs(beside) < WIDE) & (far > 0), far - WIDE, limit).min(0, initial=limit))


def begin(game, world: World, rng) -> tuple | str:
    """Restart the map at an item, facing free space and objects. Returns lines and posts, or the reason for failure."""
    game.new_episode()
    for command in ("god", "notarget", "movebob 0", "r_visibility 200"):  # nobody dies, no swaying view, brighter dark
        game.send_game_command(command)
    state = game.get_state()
    items, things = _places(state, ITEMS), _places(state, SPRITES)
    blocked = obstacles(world, *_heights(state)), _places(state, SOLID)
    best = 0
    for item in rng.choice(items, 4) if len(items) else ():
        angles = rng.uniform(0, 360) + np.arange(0, 360, 10)
        room = reach(*blocked, item, angles, 800)
        off, far = things - item, np.hypot(*(things - item).T)
        left = (np.degrees(np.arctan2(off[:, 1], off[:, 0])) - angles[:, None] + 180) % 360 - 180
        n_seen = ((abs(left) < 35) & (far > 60) & (far < 600)).sum(1)
        worth = (room > 300) * (room + 40 * np.minimum(n_seen, 6) + rng.uniform(0, 150, len(angles)))
        if worth.max() > best:
            best, place, angle = worth.max(), item, angles[worth.argmax()]
    if not best:
        return "no room"
    game.send_game_command(f"warp {int(place[0])} {int(place[1])}")
    game.make_action([0, 0], 1)
    game.make_action([0, (game.get_state().game_variables[3] - angle + 180) % 360 - 180], 1)  # positive turns right
    game.make_action([0, 0], 10)
    return blocked


def look(state, size: Size) -> dict:
    """One frame of the engine, scaled to the width and cropped to the height.

    returns    real (H, W, 3) uint8; value (H, W) uint8: 0 walls and sky, 1 floors and ceilings, the others sprites;
               sprites {value: (object, category, (x, y, z))}; pose (4,); floor, ceiling (S,) heights
    """
    import cv2

    height, width = size
    whole = width * 9 // 16
    rows, columns = (whole - height) // 2 + np.arange(height), np.arange(width)
    scale = state.screen_buffer.shape[1] / width
    middle = np.ix_(((rows + 0.5) * scale).astype(int), ((columns + 0.5) * scale).astype(int))
    floor, ceiling = _heights(state)
    # With more than about 120 sprites in view the engine gives the first ones the values of walls and floors.
    sprites = {
        sprite.value: (
            sprite.object_id,
            sprite.object_category,
            (sprite.object_position_x, sprite.object_position_y, sprite.object_position_z),
        )
        for sprite in state.labels
        if sprite.value > 1
    }
    real = cv2.resize(cv2.LUT(state.screen_buffer, BRIGHT), (width, whole), interpolation=cv2.INTER_AREA)[rows]
    return {
        "real": real,
        "value": state.labels_buffer[middle],
        "sprites": sprites,
        "floor": floor,
        "ceiling": ceiling,
        "pose": np.array(state.game_variables, float),
    }


def walk(game, world: World, size: Size, n_frames: int, seed: int, manner: Walk, luma: float) -> list[dict] | str:
    """The frames of one walk, from `look`, or the reason why it failed; reproducible from the map and the seed."""
    rng = np.random.default_rng(seed)
    game.set_seed(seed)
    blocked = begin(game, world, rng)
    if isinstance(blocked, str):
        return blocked
    frames, turn, n_slow, wish = [], 0.0, 0, rng.uniform(-40, 40)  # degrees to the left that this walker prefers
    for number in range(N_STARTING + n_frames):
        if game.is_episode_finished() or game.is_player_dead():
            return "ended"
        state = game.get_state()
        x, y, _, angle = state.game_variables
        if number >= N_STARTING:
            frames.append(look(state, size))
            step = np.hypot(*(frames[-1]["pose"] - frames[max(len(frames) - 2, 0)]["pose"])[:2])
            n_slow += len(frames) > 1 and step < 2
            if step > 60:
                return "teleported"
            if n_slow > n_frames // 10:
                return "stuck"
            if len(frames) in (4, n_frames) and np.mean([frame["real"].mean() for frame in frames]) < luma:
                return "dark"
        room = reach(*blocked, np.array([x, y]), angle + HEADINGS, 500)  # pyright: ignore[reportCallIssue]
        aim = HEADINGS[(room - 5 * abs(HEADINGS - wish)).argmax()]
        turn += np.clip(np.clip(0.1 * aim, -manner.turn, manner.turn) - turn, -0.15, 0.15)
        pace = np.clip(room[len(room) // 2] / 120, 0.3, 1)
        game.make_action([manner.speed * pace, -turn], TICS)
    return frames
