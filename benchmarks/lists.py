"""``lists``: every list of a house with a million studies, as the runtime role with row-level security on.

Times are those of the functions that the pages and DICOMweb call (query, names opened, rows made), through the same
pool and prepared statements as in the product. Each sample asks for something else: another patient, day or page.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, against, summarize
from benchmarks.large_house import RARE_NAME, YEARS, Institution, Size, make_house
from dicomnet.archive.qido import InstanceFilters, SeriesFilters, search
from dicomnet.archive.query import StudyCursor, StudyFilters, list_studies
from dicomnet.database import Database
from dicomnet.database_roles import OWNER_ROLE, RUNTIME_ROLE
from dicomnet.embedded_postgres import EmbeddedPostgres
from dicomnet.keyring import Keyring
from dicomnet.migrate import migrate
from dicomnet.queue import JobQueue

_ROOT = Path(__file__).resolve().parents[1]
_MIGRATIONS = (_ROOT / "dicomnet" / "migrations", _ROOT / "app" / "migrations")
_TARGET_MS = 50.0
_PAGE = 50
_QUICK = Size(studies=100_000, patients=32_000, institutions=40, jobs=20_000)

Ask = Callable[[random.Random], Awaitable[int]]  # one list; returns the number of rows


@dataclass(frozen=True, slots=True)
class Case:
    """A list, and the fewest rows that its answer has."""

    name: str
    ask: Ask
    least: int


class Lists:
    """The lists of one institution."""

    def __init__(self, database: Database, keyring: Keyring, institution: Institution) -> None:
        self._database = database
        self._keyring = keyring
        self._of = institution

    def _page(self, make: Callable[[random.Random], StudyFilters], *, deep: bool = False) -> Ask:
        async def ask(chance: random.Random) -> int:
            after = None
            if deep:
                after = StudyCursor(datetime.now(UTC) - timedelta(days=chance.uniform(0.1, 0.9) * YEARS * 365), 0)
            page = await list_studies(
                self._database, self._keyring, self._of.institution_id, make(chance), after, _PAGE
            )
            return len(page.rows)

        return ask

    def _search(
        self,
        make: Callable[[random.Random], StudyFilters],
        series: SeriesFilters | None = None,
        instances: InstanceFilters | None = None,
        offset: int = 0,
    ) -> Ask:
        async def ask(chance: random.Random) -> int:
            found, _ = await search(
                self._database,
                self._keyring,
                self._of.institution_id,
                make(chance),
                series or SeriesFilters(),
                instances,
                offset=offset,
                limit=_PAGE,
            )
            return len(found)

        return ask

    def _day(self, chance: random.Random) -> str:
        return f"{datetime.now(UTC) - timedelta(days=chance.uniform(30, YEARS * 360)):%Y%m%d}"

    def _one_day(self, chance: random.Random) -> StudyFilters:
        day = self._day(chance)
        return StudyFilters(study_date_from=day, study_date_to=day)

    def _since(self, chance: random.Random) -> StudyFilters:
        begin = datetime.now(UTC) - timedelta(days=chance.uniform(30, YEARS * 360))
        return StudyFilters(since=begin, until=begin + timedelta(days=30))

    def _patient(self, chance: random.Random) -> StudyFilters:
        return StudyFilters(patient_id=f"P{chance.randint(1, max(2, self._of.patients // 5))}")

    def _patients_like(self, chance: random.Random) -> StudyFilters:
        return StudyFilters(patient_id=f"P{chance.randint(1, max(2, self._of.patients // 5))}*")

    def _accession(self, chance: random.Random) -> StudyFilters:
        return StudyFilters(accession_number=f"A{chance.randint(1, self._of.studies)}")

    def _uid(self, chance: random.Random) -> StudyFilters:
        number = chance.randint(1, self._of.studies)
        return StudyFilters(study_instance_uids=(f"1.2.{self._of.institution_id}.{number}",))

    def cases(self) -> list[Case]:
        """Staff lists, then QIDO at three levels."""

        def all_of(_: random.Random) -> StudyFilters:
            return StudyFilters()

        def named(pattern: str, **more: Sequence[str]) -> Callable[[random.Random], StudyFilters]:
            return lambda _: StudyFilters(patient_name=pattern, **more)  # pyright: ignore[reportArgumentType]

        def of_kind(*words: str) -> Callable[[random.Random], StudyFilters]:
            return lambda _: StudyFilters(modalities=words)

        some = InstanceFilters()
        return [
            Case("staff first page", self._page(all_of), _PAGE),
            Case("staff deep page", self._page(all_of, deep=True), _PAGE),
            Case("staff name exact", self._page(named("王伟")), 0),
            Case("staff name prefix", self._page(named("欧阳*")), 0),
            Case("staff name *王*", self._page(named("*王*")), 1),
            Case("staff name *王* deep", self._page(named("*王*"), deep=True), 0),
            Case("staff name *司马*", self._page(named("*司马*")), 0),
            Case("staff name pinyin wangwei*", self._page(named("wangwei*")), 0),
            Case("staff name rare", self._page(named(f"*{RARE_NAME[1:3]}*")), 0),
            Case("staff name absent", self._page(named("*龘龘*")), 0),
            Case("staff name and kind", self._page(named("*王*", modalities=("NM",))), 0),
            Case("staff PatientID", self._page(self._patient), 1),
            Case("staff PatientID prefix", self._page(self._patients_like), 1),
            Case("staff accession", self._page(self._accession), 1),
            Case("staff 30 days", self._page(self._since), 1),
            Case("staff one day", self._page(self._one_day), 0),
            Case("staff CT", self._page(of_kind("CT")), _PAGE),
            Case("staff CT deep", self._page(of_kind("CT"), deep=True), 1),
            Case("staff CT MR US", self._page(of_kind("CT", "MR", "US")), _PAGE),
            Case("staff NM (1 in 5,000)", self._page(of_kind("NM")), 0),
            Case("staff ES (absent)", self._page(of_kind("ES")), 0),
            Case("staff description", self._page(lambda _: StudyFilters(study_description="chest*")), _PAGE),
            Case("staff description absent", self._page(lambda _: StudyFilters(study_description="zzz*")), 0),
            Case("QIDO study UID", self._page(self._uid), 1),
            Case("QIDO study of day", self._page(self._one_day), 0),
            Case("QIDO series", self._search(all_of), _PAGE),
            Case("QIDO series offset 1,000", self._search(all_of, offset=1000), 1),
            Case("QIDO series of study", self._search(self._uid), 2),
            Case("QIDO series of PatientID", self._search(self._patient), 1),
            Case("QIDO series of name *王*", self._search(named("*王*")), 1),
            Case("QIDO series of day", self._search(self._one_day), 0),
            Case("QIDO series NM", self._search(all_of, SeriesFilters(modality="NM")), 0),
            Case("QIDO series ES (absent)", self._search(all_of, SeriesFilters(modality="ES")), 0),
            Case("QIDO instances", self._search(all_of, instances=some), _PAGE),
            Case("QIDO instances of study", self._search(self._uid, instances=some), 2),
            Case("QIDO instances of PatientID", self._search(self._patient, instances=some), 1),
            Case("QIDO instances of accession", self._search(self._accession, instances=some), 1),
            Case(
                "QIDO instance UID",
                self._search(
                    all_of,
                    instances=InstanceFilters(sop_instance_uids=(f"1.2.{self._of.institution_id}.7.1.1",)),
                ),
                1,
            ),
        ]


async def _measure(case: str, ask: Ask, least: int, count: int) -> Result:
    """The rows are looked at before anything is timed. Raises BenchmarkError."""
    chance = random.Random(case)
    for _ in range(8):  # warm, and past the custom plans: from the sixth on PostgreSQL may choose a generic one
        rows = await ask(chance)
        if rows < least:
            raise BenchmarkError(f"{case}: {rows} rows, at least {least} expected")
    samples: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        await ask(chance)
        samples.append((time.perf_counter() - began) * 1000)
    result = summarize("lists", case, "ms", samples)
    return against(result, f"p95 <= {_TARGET_MS:.0f} ms", result.p95 <= _TARGET_MS)


def _claim(database: Database) -> Ask:
    queue = JobQueue(database)

    async def ask(_: random.Random) -> int:
        job = await queue.claim(["prepare"], "bench", 30)
        return 0 if job is None else int(await queue.complete(job))

    return ask


async def _run(options: Options, server: EmbeddedPostgres) -> list[Result]:
    keyring = Keyring(bytes(range(32)))
    await migrate(server.owner_url, _MIGRATIONS)
    size = _QUICK if options.quick else Size()
    houses = await make_house(server.url(OWNER_ROLE), keyring, size)
    count = 15 if options.quick else 60
    database = await Database.connect(server.url(RUNTIME_ROLE), min_size=2, max_size=12)
    results: list[Result] = []
    try:
        for word, house in (("largest", houses[0]), ("smallest", houses[-1])):
            for case in Lists(database, keyring, house).cases():
                name = f"{word} {case.name}"
                if options.wants(name):
                    least = case.least if word == "largest" else min(1, case.least)
                    results.append(await _measure(name, case.ask, least, count))
        if options.wants("claim a job"):
            results.append(await _measure("claim a job", _claim(database), 1, count))
    finally:
        await database.close()
    return results


def _bench(options: Options) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="cloudfilm-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        server = EmbeddedPostgres(home, durable=False)
        server.start()
        try:
            return asyncio.run(_run(options, server))
        finally:
            server.stop()


BENCHMARK = Benchmark("lists", "study lists, QIDO and job claim at 1,000,000 studies in 40 institutions", (), _bench)
