"""Many sockets that ask for many things: views, tiles, planes, volume renderings, wrong views, read-ahead, dropped lines."""

from __future__ import annotations

import asyncio
import math
import random
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
import psutil
from websockets.asyncio.client import ClientConnection

from tests.support.house import House

ANSWER_S = 60.0
_PRESETS = ("bone", "vessels", "muscle", "lung", "mip")


@dataclass(frozen=True, slots=True)
class SoakSeries:
    """A series of the mix. ``large``: tiles too; ``volume``: planes and renderings too."""

    study: int
    series: int
    frames: int
    large: bool = False
    volume: bool = False


@dataclass(slots=True)
class Soak:
    """What is asked, and what came of it. ``processes``: those whose memory is watched, by name.

    It ends with so many ``requests`` or after ``seconds``, whichever comes first. Memory is read every ``step`` requests.
    """

    house: House
    cookie: str
    series: list[SoakSeries]
    requests: float
    seconds: float
    step: int
    processes: dict[str, psutil.Process]
    began_s: float = field(default_factory=time.monotonic)
    asked: int = 0
    pictures: int = 0
    volume_pictures: int = 0
    errors: int = 0
    lines: int = 0
    memory_mb: list[tuple[int, dict[str, float]]] = field(default_factory=list[tuple[int, dict[str, float]]])

    async def run(self, sockets: int) -> None:
        """Until all is asked and answered. Raises TimeoutError when a view has no answer."""
        async with asyncio.TaskGroup() as group:
            for number in range(sockets):
                group.create_task(self._person(random.Random(number)))

    @property
    def _over(self) -> bool:
        return self.asked >= self.requests or time.monotonic() - self.began_s >= self.seconds

    async def _person(self, chance: random.Random) -> None:
        while not self._over:
            self.lines += 1
            async with self.house.dial(self.cookie, max_size=1 << 24) as socket:
                line = _Line(socket, chance)
                await line.send(t="hello", v=1, window=1 << 20, webp=chance.random() < 0.3)
                mine = self._some(chance)
                for study in {one.study for one in mine}:
                    await line.send(t="open", study=study)
                for _ in range(chance.randint(20, 200)):
                    if self._over:
                        break
                    await self._ask(line, chance, mine)
                if chance.random() < 0.3:
                    socket.transport.abort()

    def _some(self, chance: random.Random) -> list[SoakSeries]:
        """What a person looks at: studies differ between them, so that more is wanted than the budget holds."""
        return chance.sample(self.series, min(6, len(self.series)))

    async def _ask(self, line: _Line, chance: random.Random, mine: list[SoakSeries]) -> None:
        one = chance.choice(mine)
        if one.large and chance.random() < 0.5:
            self._count(1)
            pictures, errors = await line.tiles(one.series)
        elif one.volume and chance.random() < 0.2:
            burst = chance.randint(1, 4)
            self._count(burst)
            pictures, errors = await line.volumes(one.series, burst)
            self.volume_pictures += pictures
        else:
            burst = chance.randint(1, 4)
            self._count(burst)
            pictures, errors = await line.views(one.series, one.frames, burst)
        self.pictures += pictures
        self.errors += errors

    def _count(self, more: int) -> None:
        if self.asked // self.step != (self.asked + more) // self.step:
            memory = {name: process.memory_info().rss / 2**20 for name, process in self.processes.items()}
            self.memory_mb.append((self.asked, memory))
            print(
                f"soak: {self.asked} asked", ", ".join(f"{name} {mb:.1f} MB" for name, mb in memory.items()), flush=True
            )
        self.asked += more

    def growth_mb(self, process: str, warm_share: float = 0.3) -> tuple[float, float]:
        """(growth of a process per 10^4 requests after the warm-up, by least squares; how far noise may bend it).

        Memory rests on levels: caches fill, the C library gives back what it kept, in steps of a MB or two that are no
        growth. The standard deviation around the line says how high these steps are; a line over so many requests is
        bent by two of them at most, one at either end.
        """
        points = [(at / 1e4, memory[process]) for at, memory in self.memory_mb if at >= warm_share * self.asked]
        mean_at = sum(at for at, _ in points) / len(points)
        mean_mb = sum(mb for _, mb in points) / len(points)
        spread = sum((at - mean_at) ** 2 for at, _ in points)
        slope = sum((at - mean_at) * (mb - mean_mb) for at, mb in points) / spread
        rests = [mb - mean_mb - slope * (at - mean_at) for at, mb in points]
        deviation = math.sqrt(sum(rest**2 for rest in rests) / len(rests))
        return slope, 2 * deviation / (points[-1][0] - points[0][0])


@dataclass(slots=True)
class _Line:
    socket: ClientConnection
    chance: random.Random
    generation: int = 0

    async def send(self, **fields: Any) -> None:
        await self.socket.send(orjson.dumps(fields).decode())

    async def _next(self) -> dict[str, Any]:
        """A text, or the header of a picture (acknowledged)."""
        message = await asyncio.wait_for(self.socket.recv(), ANSWER_S)
        if isinstance(message, str):
            return orjson.loads(message)
        await self.send(t="credit", bytes=len(message))
        (length,) = struct.unpack_from(">I", message)
        return {"t": "picture", **orjson.loads(message[4 : 4 + length])}

    async def views(self, series: int, frames: int, burst: int) -> tuple[int, int]:
        """A burst of views; the newest must be answered, by a picture or an error."""
        chance = self.chance
        if chance.random() < 0.1:
            await self.send(t="prefetch", series=series, frames=[chance.randrange(frames) for _ in range(8)])
        if chance.random() < 0.05:
            await self.send(t="ping", at=1, rtt_ms=chance.choice([1, 200, -1, 1e9]))
        for _ in range(burst):
            self.generation += 1
            side = chance.choice([64, 128, 200])
            view: dict[str, Any] = {"width": side, "height": side, "zoom": chance.choice([1, 1, 2.5])}
            if chance.random() < 0.5:
                view |= {"voi": "window", "window_center": chance.randint(0, 400), "window_width": 300}
            if chance.random() < 0.03:
                view |= chance.choice([{"frame": frames + 9}, {"zoom": 1e9}, {"width": "x"}])
            if chance.random() < 0.2:
                view["answer"] = chance.choice(["preview", "refined"])
            fields = {"frame": chance.randrange(frames), "series": series, "generation": self.generation, **view}
            await self.send(t="view", viewport="a", **fields)
        return await self._until("view", 1)

    async def volumes(self, series: int, burst: int) -> tuple[int, int]:
        """A burst of planes, slabs or renderings; the newest must be answered."""
        chance = self.chance
        for _ in range(burst):
            self.generation += 1
            side = chance.choice([48, 64, 96])
            view: dict[str, Any] = {"width": side, "height": side}
            if chance.random() < 0.6:
                view |= {"kind": "slab", "plane": chance.choice(["axial", "coronal", "sagittal"])}
                view |= {
                    "thickness_mm": chance.choice([0, 0, 10, 1e4]),
                    "projection": chance.choice(["mean", "maximum"]),
                }
            else:
                view |= {"kind": "volume", "camera": chance.choice("APLRHF"), "transfer": chance.choice(_PRESETS)}
                if chance.random() < 0.3:
                    corner = [chance.uniform(5, 20) for _ in range(3)]
                    view["cuts"] = [{"kind": "box", "low": [-100, -100, -100], "high": corner}]
            if chance.random() < 0.05:
                view |= chance.choice([{"kind": "no such"}, {"width": 0}, {"plane": "up"}, {"stack": 7}, {"cuts": [1]}])
            if chance.random() < 0.5:
                view["answer"] = chance.choice(["preview", "refined"])
            await self.send(t="view", viewport="v", generation=self.generation, series=series, **view)
        return await self._until("view", 1)

    async def tiles(self, series: int) -> tuple[int, int]:
        """A list of tiles, every one of which must come."""
        self.generation += 1
        places = self.chance.sample([[x, y] for x in range(6) for y in range(6)], 4)
        fields = {"series": series, "frame": 0, "level": 0, "size": 256, "tiles": places}
        await self.send(t="tiles", viewport="t", generation=self.generation, **fields)
        return await self._until("tiles", len(places))

    async def _until(self, kind: str, count: int) -> tuple[int, int]:
        pictures = errors = 0
        while count:
            answer = await self._next()
            mine = answer.get("generation") == self.generation
            if answer["t"] == "picture":
                pictures += 1
                count -= 1 if mine else 0
            elif answer["t"] == "error":
                errors += 1
                count = 0 if mine and answer["of"] == kind else count
        return pictures, errors
