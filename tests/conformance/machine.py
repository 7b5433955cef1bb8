"""Random histories of a service, compared step by step with a ledger in memory.

Start at `ServiceMachine`. Every step happens in the unit of work that is open, inside a savepoint,
or in one of its own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy import delete

from sqlmodelkit import AsyncSession, Database, SQLModelKitError, any_of, not_, where

from .ledger import (
    TABLES,
    Condition,
    HeroChange,
    HeroData,
    HeroLedger,
    HeroWithTeam,
    Ledger,
    RefusedError,
    Row,
    TeamData,
    TeamLedger,
    TeamWithHeroes,
    Truth,
    ordered,
)

# Few values, so that they meet; capital letters would ask collations for their opinion.
NAMES = st.text("ab", min_size=0, max_size=2)
CODES = st.none() | st.text("a%_", min_size=1, max_size=2)
RANKS = st.none() | st.integers(0, 4)
NOTES = st.none() | st.lists(st.integers(0, 1), max_size=2)
KEYS = st.integers(0, 8)
ROWS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"rank": RANKS, "code": CODES, "notes": NOTES, "team": st.none() | KEYS},
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | NAMES,
        "rank": RANKS,
        "code": CODES,
        "notes": NOTES,
        "team": st.none() | KEYS,
    },
)
SORTS = st.lists(st.sampled_from(["rank", "name", "version"]), max_size=2, unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names))
)


def compared(value: Any, test: Callable[[Any], bool]) -> Truth:
    """Compare as SQL does: with NULL nothing is true or false."""
    return None if value is None else test(value)


def single(label: str, value: Any, test: Callable[[Any], bool]) -> Condition:
    """Return a condition on one column."""
    column = label.partition("__")[0]
    return Condition(where(**{label: value}), lambda row: compared(row[column], test))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Draw a condition on one column."""
    number = draw(st.integers(0, 4))
    text = draw(st.text("ab%_", min_size=1, max_size=2))
    some = draw(st.lists(st.integers(0, 4), max_size=3))
    null = Condition(where(rank__is=None), lambda row: row["rank"] is None)
    return draw(
        st.sampled_from(
            [
                null,
                Condition(where(rank=None), null.holds),
                Condition(where(code__is_not=None), lambda row: row["code"] is not None),
                single("rank", number, lambda rank: rank == number),
                single("rank__ne", number, lambda rank: rank != number),
                single("rank__gte", number, lambda rank: rank >= number),
                single("rank__lt", number, lambda rank: rank < number),
                single("rank__in", some, lambda rank: rank in some) if some else null,
                single("rank__not_in", some, lambda rank: rank not in some) if some else null,
                single("rank__between", (1, number + 1), lambda rank: 1 <= rank <= number + 1),
                single("name", text, lambda name: name == text),
                single("name__contains", text, lambda name: text in name),
                single("code__contains", text, lambda code: text in code),
                single("code__startswith", text, lambda code: code.startswith(text)),
                single("code__iendswith", text, lambda code: code.endswith(text)),
            ]
        )
    )


def _or(parts: list[Condition]) -> Condition:
    def holds(row: Row) -> Truth:
        found = [part.holds(row) for part in parts]
        return True if True in found else (None if None in found else False)

    return Condition(any_of(*(part.filter for part in parts)), holds)


def _not(parts: list[Condition]) -> Condition:
    def holds(row: Row) -> Truth:
        found = [part.holds(row) for part in parts]
        return True if False in found else (None if None in found else False)

    return Condition(not_(*(part.filter for part in parts)), holds)


GROUPS = st.recursive(
    conditions(),
    lambda inner: (
        st.lists(inner, max_size=3).map(_or) | st.lists(inner, min_size=1, max_size=2).map(_not)
    ),
    max_leaves=4,
)
FILTERS = st.lists(GROUPS, max_size=2)


class UndoError(Exception):
    """Leaves a savepoint or a unit of work so that it is undone."""


class ServiceMachine(RuleBasedStateMachine):
    """Does to a service and to a ledger the same, and compares what both say."""

    database: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.session: AsyncSession | None = None
        self.open: list[AbstractAsyncContextManager[Any]] = []
        self.held: list[Any] = []
        self.keys: list[int] = []
        self.team_keys: list[int] = []
        self.runner.run(self._empty())

    async def _empty(self) -> None:
        async with self.database.engine.begin() as connection:
            for table in reversed(TABLES):
                await connection.execute(delete(table))

    def key(self, number: int) -> int:
        """Return the key of a hero that was made once, or one that nobody has."""
        return self.keys[number % len(self.keys)] if self.keys and number else 10**6

    def values(self, given: Row) -> Row:
        """Return values with a key of a team that was made once, or one that nobody has."""
        if given.get("team") is None:
            team: Row = {"team_id": None} if "team" in given else {}
        else:
            number = given["team"]
            known = self.team_keys and number
            team = {"team_id": self.team_keys[number % len(self.team_keys)] if known else 10**6}
        return {name: value for name, value in given.items() if name != "team"} | team

    def do(
        self, real: Callable[[AsyncSession], Awaitable[Any]], expected: Callable[[], Any]
    ) -> tuple[Any, Any]:
        """Do it to both; return what both answer, or both names of None when both refuse."""

        async def attempt() -> Any:
            if self.session is None:
                async with self.database.transaction() as session:
                    return await real(session)
            async with self.session.savepoint():
                return await real(self.session)

        got = wanted = refusal = None
        allowed: set[str] = set()
        try:
            wanted = expected()
        except RefusedError as error:
            allowed = error.names
        try:
            got = self.runner.run(attempt())
        except SQLModelKitError as error:
            refusal = error
        name = type(refusal).__name__ if refusal else None
        right = name in allowed if allowed else name is None
        assert right, f"{refusal or got!r}, expected {allowed or wanted}"
        return got, wanted

    def same(
        self, real: Callable[[AsyncSession], Awaitable[Any]], expected: Callable[[], Any]
    ) -> None:
        """Compare what both answer."""
        got, wanted = self.do(real, expected)
        assert wanted == got

    # Units of work and savepoints

    @precondition(lambda self: self.session is None)
    @rule()
    def begin(self) -> None:
        """Open a unit of work for the steps that follow."""
        unit = self.database.transaction()
        self.session = self.runner.run(_enter(unit))
        self.open.append(unit)
        self.ledger.keep()

    @precondition(lambda self: 0 < len(self.open) < 4)
    @rule()
    def savepoint(self) -> None:
        """Open a savepoint."""
        assert self.session is not None
        savepoint = self.session.savepoint()
        self.runner.run(_enter(savepoint))
        self.open.append(savepoint)
        self.ledger.keep()

    @precondition(lambda self: bool(self.open))
    @rule(undo=st.booleans())
    def leave(self, *, undo: bool) -> None:
        """Leave the innermost block, with what was done in it or without."""
        block = self.open.pop()
        self.runner.run(_leave(block, undo=undo))
        if undo:
            self.ledger.restore_kept()
        else:
            self.ledger.kept.pop()
        if not self.open:
            self.session = None
            self.held.clear()

    # Writes

    @rule(name=NAMES)
    def create_team(self, name: str) -> None:
        """Add a team."""

        def expected() -> None:
            if any(team["name"] == name for team in self.ledger.teams.values()):
                raise RefusedError("UniqueViolation")

        team, _ = self.do(lambda s: TeamLedger(s).create(TeamData(name=name)), expected)
        if team is not None:
            self.team_keys.append(team.id)
            self.ledger.teams[team.id] = {"id": team.id, "name": name}

    @rule(number=KEYS)
    def delete_team(self, number: int) -> None:
        """Remove a team for good; heroes in it, deleted ones too, are in the way."""
        key = self.values({"team": number})["team_id"]

        def expected() -> None:
            if key not in self.ledger.teams:
                raise RefusedError("NotFound")
            if any(row["team_id"] == key for row in self.ledger.heroes.values()):
                raise RefusedError("ForeignKeyViolation")
            del self.ledger.teams[key]

        self.same(lambda s: TeamLedger(s).delete(key), expected)

    @rule(given=ROWS, shown=st.booleans())
    def create(self, given: Row, *, shown: bool) -> None:
        """Add a hero, and read it as a row or as a response model."""
        values = self.values(given)

        async def real(session: AsyncSession) -> Any:
            heroes = HeroLedger(session)
            data = HeroData(**values)
            return await (heroes.create(data, into=HeroWithTeam) if shown else heroes.create(data))

        made, _ = self.do(real, lambda: self.ledger.check([(None, values)]))
        self._add([made] if made is not None else [], [values])

    @rule(given=st.lists(ROWS, max_size=4))
    def create_many(self, given: list[Row]) -> None:
        """Add heroes, all or none."""
        rows = [self.values(row) for row in given]
        made, _ = self.do(
            lambda s: HeroLedger(s).create_many([HeroData(**row) for row in rows]),
            lambda: self.ledger.check([(None, row) for row in rows]),
        )
        self._add(made or [], rows)

    def _add(self, made: list[Any], given: list[Row]) -> None:
        for row, values in zip(made, given, strict=bool(made)):
            full = {"rank": 3, "code": None, "notes": None, "team_id": None} | values
            full |= {"id": row.id, "version": 1, "deleted": False}
            self.keys.append(row.id)
            self.ledger.heroes[row.id] = full
            assert self.ledger.shown(full) == self._seen(row, full)
            self.held.append(row)

    def _seen(self, row: Any, expected: Row) -> Row:
        """Return what a row or response model says, a row without its team."""
        if isinstance(row, HeroWithTeam):
            return row.model_dump()
        plain = {name: getattr(row, name) for name in self.ledger.shown(expected) if name != "team"}
        return plain | {"team": self.ledger.shown(expected)["team"]}

    @rule(number=KEYS, given=CHANGES, shown=st.booleans(), version=st.sampled_from([None, 0, 1]))
    def update(self, number: int, given: Row, *, shown: bool, version: int | None) -> None:
        """Change a hero; perhaps by a version: 0 is the one it has, 1 a later one."""
        key, values = self.key(number), self.values(given)
        row = self.ledger.heroes.get(key, {"version": 1})
        told = None if version is None else row["version"] + version

        async def real(session: AsyncSession) -> Any:
            heroes, data = HeroLedger(session), HeroChange(**values)
            if shown:
                return await heroes.update(key, data, into=HeroWithTeam, version=told)
            return await heroes.update(key, data, version=told)

        def expected() -> Row:
            return self._changed(key, values, told)

        got, wanted = self.do(real, expected)
        if got is None:
            return
        # What was set to what it was may be written or not, and so counted or not.
        changes = any(row[name] != value for name, value in values.items())
        assert got.version - row["version"] in ({1} if changes else {0, bool(values)})
        row |= values | {"version": got.version}
        assert self.ledger.shown(row) == self._seen(got, row)
        assert wanted is row
        self.held.append(got)

    def _changed(self, key: int, values: Row, told: int | None) -> Row:
        if "name" in values and values["name"] is None:
            raise RefusedError("InvalidValue")
        row = self.ledger.hero(key)
        if told not in (None, row["version"]):
            raise RefusedError("StaleVersion")
        self.ledger.check([(key, values)])
        return row

    @rule(number=KEYS)
    def delete(self, number: int) -> None:
        """Delete a hero softly."""
        key = self.key(number)

        def expected() -> None:
            row = self.ledger.hero(key)
            row |= {"deleted": True, "version": row["version"] + 1}

        self.same(lambda s: HeroLedger(s).delete(key), expected)

    @rule(number=KEYS, shown=st.booleans())
    def restore(self, number: int, *, shown: bool) -> None:
        """Bring a hero back."""
        key = self.key(number)

        async def real(session: AsyncSession) -> Any:
            heroes = HeroLedger(session)
            return await (heroes.restore(key, into=HeroWithTeam) if shown else heroes.restore(key))

        def expected() -> Row:
            row = self.ledger.hero(key, deleted=True)
            row |= {"deleted": False, "version": row["version"] + 1}
            return row

        got, row = self.do(real, expected)
        if got is not None:
            assert self.ledger.shown(row) == self._seen(got, row)

    # Many rows, and rows that may be there already

    @rule(given=st.lists(ROWS, max_size=4))
    def insert_many(self, given: list[Row]) -> None:
        """Add heroes by the quickest way, all or none."""
        rows = [self.values(row) for row in given]

        async def real(session: AsyncSession) -> Any:
            heroes = HeroLedger(session)
            last = max(self.ledger.heroes, default=0)  # SQLite uses keys again
            assert len(rows) == await heroes.insert_many(HeroData(**row) for row in rows)
            return await heroes.all(id__gt=last, sort="id")

        made, _ = self.do(real, lambda: self.ledger.check([(None, row) for row in rows]))
        if made is not None:
            # Only their number is promised, not that their keys follow the order given.
            full = [{"rank": 3, "code": None, "notes": None, "team_id": None} | row for row in rows]
            found = [{name: getattr(row, name) for name in full[0]} for row in made] if made else []
            self._add(made, [full.pop(full.index(row)) for row in found])
            assert [] == full

    @rule(given=ROWS, code=st.text("a%_", min_size=1, max_size=2), change=st.booleans())
    def put(self, given: Row, code: str, *, change: bool) -> None:
        """Add a hero, or find the one that has the code, and change it or not."""
        values = self.values(given) | {"code": code}
        there = [row for row in self.ledger.heroes.values() if row["code"] == code]

        async def real(session: AsyncSession) -> tuple[Any, bool]:
            heroes, data = HeroLedger(session), HeroData(**values)
            if change:
                return await heroes.upsert(data, on="code"), not there
            return await heroes.get_or_create(data, on="code")

        def expected() -> None:
            if not there:
                self.ledger.check([(None, values)])
            elif there[0]["deleted"]:
                raise RefusedError("UniqueViolation", "ForeignKeyViolation")
            elif change:
                self.ledger.check([(there[0]["id"], values)])

        got, _ = self.do(real, expected)
        if got is None:
            return
        assert (not there) is got[1]
        if not there:
            self._add([got[0]], [values])
        else:
            if change:
                there[0] |= values | {"version": there[0]["version"] + 1}
            assert self.ledger.shown(there[0]) == self._seen(got[0], there[0])

    @rule(given=CHANGES, filters=FILTERS)
    def update_where(self, given: Row, filters: list[Condition]) -> None:
        """Change all heroes that match, by one statement."""
        values = self.values(given)
        asked = [condition.filter for condition in filters]

        def expected() -> int:
            if "name" in values and values["name"] is None:
                raise RefusedError("InvalidValue")
            rows = self.ledger.matching(filters)
            self.ledger.check([(row["id"], values) for row in rows])
            for row in rows:
                row.update(values, version=row["version"] + bool(values))
            return len(rows)

        self.same(
            lambda s: HeroLedger(s).update_where(HeroChange(**values), *asked, id__gt=-1), expected
        )

    @rule(filters=FILTERS)
    def delete_where(self, filters: list[Condition]) -> None:
        """Delete all heroes that match softly."""
        asked = [condition.filter for condition in filters]

        def expected() -> int:
            rows = self.ledger.matching(filters)
            for row in rows:
                row |= {"deleted": True, "version": row["version"] + 1}
            return len(rows)

        self.same(lambda s: HeroLedger(s).delete_where(*asked, id__gt=-1), expected)

    @rule(number=KEYS)
    def purge(self, number: int) -> None:
        """Remove a deleted hero for good, and no other."""
        key = self.key(number)

        def expected() -> int:
            row = self.ledger.heroes.get(key)
            if row is None or not row["deleted"]:
                return 0
            del self.ledger.heroes[key]
            return 1

        self.same(lambda s: HeroLedger(s).purge(id=key), expected)

    @rule(number=KEYS, amount=st.integers(-1, 2))
    def increment(self, number: int, amount: int) -> None:
        """Add to a rank; NULL counts as 0."""
        key = self.key(number)

        def expected() -> Row:
            row = self.ledger.hero(key)
            row |= {"rank": (row["rank"] or 0) + amount, "version": row["version"] + 1}
            return self.ledger.shown(row)

        async def real(session: AsyncSession) -> Row:
            shown = await HeroLedger(session).increment(key, {"rank": amount}, into=HeroWithTeam)
            return shown.model_dump()

        self.same(real, expected)

    # Reads

    @rule(number=KEYS, lock=st.booleans())
    def get(self, number: int, *, lock: bool) -> None:
        """Read one hero in every form."""
        key = self.key(number)

        async def real(session: AsyncSession) -> list[Row]:
            heroes = HeroLedger(session)
            row = await heroes.get(key, lock=True) if lock else await heroes.get(key)
            self.held.append(row)
            return [
                (await heroes.get(key, into=HeroWithTeam)).model_dump(),
                json.loads(await heroes.get_json(key, into=HeroWithTeam)),
                self._seen(row, self.ledger.hero(key)),
                *[each.model_dump() for each in await heroes.get_many([key], into=HeroWithTeam)],
            ]

        self.same(real, lambda: [self.ledger.shown(self.ledger.hero(key))] * 4)

    @rule(filters=FILTERS, sort=SORTS, limit=st.integers(1, 3), offset=st.integers(0, 3))
    def find_rows(
        self, filters: list[Condition], sort: tuple[str, ...], limit: int, offset: int
    ) -> None:
        """Read what matches by every verb that takes conditions."""
        asked = [condition.filter for condition in filters]

        async def real(session: AsyncSession) -> list[Any]:
            heroes = HeroLedger(session)
            rows = await heroes.all(*asked, sort=sort)
            self.held.extend(rows)
            shown = await heroes.all(*asked, into=HeroWithTeam, sort=sort)
            page = await heroes.page(
                *asked, into=HeroWithTeam, sort=sort, limit=limit, offset=offset
            )
            printed = await heroes.page_json(
                *asked, into=HeroWithTeam, sort=sort, limit=limit, offset=offset
            )
            streamed = [item.id async for item in heroes.stream(*asked, into=HeroWithTeam)]
            return [
                [row.id for row in rows],
                [item.model_dump() for item in shown],
                page.model_dump(),
                json.loads(printed),
                streamed,
                await heroes.count(*asked),
                await heroes.exists(*asked),
            ]

        def expected() -> list[Any]:
            rows = ordered(self.ledger.matching(filters), sort)
            shown = [self.ledger.shown(row) for row in rows]
            part = {"items": shown[offset : offset + limit], "total": len(rows)}
            page = part | {"limit": limit, "offset": offset}
            keys = [row["id"] for row in rows]
            return [keys, shown, page, page, sorted(keys), len(rows), bool(rows)]

        self.same(real, expected)

    @rule(filters=FILTERS)
    def find(self, filters: list[Condition]) -> None:
        """Read the only row that matches."""
        asked = [condition.filter for condition in filters]

        async def real(session: AsyncSession) -> Any:
            row = await HeroLedger(session).find(*asked, into=HeroWithTeam)
            return row and row.model_dump()

        def expected() -> Row | None:
            rows = self.ledger.matching(filters)
            if len(rows) > 1:
                raise RefusedError("MultipleFound")
            return self.ledger.shown(rows[0]) if rows else None

        self.same(real, expected)

    @rule(condition=GROUPS, text=NAMES)
    def along_relations(self, condition: Condition, text: str) -> None:
        """Read teams with their heroes, and heroes by their team."""

        async def real(session: AsyncSession) -> list[Any]:
            teams = await TeamLedger(session).all(into=TeamWithHeroes, sort="id")
            members = {team.id: {hero.id for hero in team.heroes} for team in teams}
            heroes = await HeroLedger(session).all(condition.filter, team__name__contains=text)
            return [members, [hero.id for hero in heroes]]

        def expected() -> list[Any]:
            members: dict[int, set[int]] = {key: set() for key in self.ledger.teams}
            for row in self.ledger.live():
                if row["team_id"] is not None:
                    members[row["team_id"]].add(row["id"])
            inside = [row for row in self.ledger.matching([condition]) if row["team_id"]]
            names = {key: team["name"] for key, team in self.ledger.teams.items()}
            return [members, [row["id"] for row in inside if text in names[row["team_id"]]]]

        self.same(real, expected)

    def teardown(self) -> None:
        """Leave what is open, half of it undone, and compare everything that is stored."""
        while self.open:
            self.leave(undo=len(self.open) % 2 == 0)

        async def real(session: AsyncSession) -> list[Any]:
            rows = await HeroLedger(session).all(include_deleted=True)
            teams = await TeamLedger(session).all()
            heroes = [row.model_dump(exclude={"deleted_at"}) for row in rows]
            gone = [row.deleted_at is not None for row in rows]
            return [heroes, gone, {team.id: team.name for team in teams}]

        def expected() -> list[Any]:
            rows = [row for _, row in sorted(self.ledger.heroes.items())]
            heroes = [{name: row[name] for name in row if name != "deleted"} for row in rows]
            names = {key: team["name"] for key, team in self.ledger.teams.items()}
            return [heroes, [row["deleted"] for row in rows], names]

        self.same(real, expected)


async def _enter(block: AbstractAsyncContextManager[Any]) -> Any:
    return await block.__aenter__()


async def _leave(block: AbstractAsyncContextManager[Any], *, undo: bool) -> None:
    if not undo:
        await block.__aexit__(None, None, None)
        return
    error = UndoError()
    assert not await block.__aexit__(UndoError, error, None)
