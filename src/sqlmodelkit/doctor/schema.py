"""Checks of migrations."""

from sqlmodelkit.migrations import check, current

from .findings import Seen, Subject

_NONE = "there are no migrations; run `sqlmodelkit db init`"


async def at_head(subject: Subject) -> Seen:
    """Look whether every migration has been run."""
    if subject.schema is None:
        return Seen(skipped=_NONE)
    state = await current(subject.schema)
    problems = []
    if len(state.heads) > 1:
        problems.append((f"There are heads {', '.join(state.heads)}.", "sqlmodelkit db merge"))
    if state.unknown:
        problems.append(
            (
                f"At {', '.join(state.unknown)}, which is not among the migrations.",
                (
                    "Deploy the code that has it; if it is lost, sqlmodelkit db stamp, "
                    "then sqlmodelkit db check"
                ),
            )
        )
    if state.pending:
        names = ", ".join(f"{each.revision} ({each.message})" for each in state.pending)
        problems.append((f"Not run yet: {names}.", "sqlmodelkit db upgrade"))
    return Seen(tuple(problems), said=f"at {', '.join(state.current) or 'the beginning'}")


async def drift(subject: Subject) -> Seen:
    """Look whether models and database agree."""
    if subject.schema is None:
        return Seen(skipped=_NONE)
    found = await check(subject.schema, migrations=False)
    problems = tuple(
        (f"{note.about}: {note.text}", "sqlmodelkit db revision, then sqlmodelkit db upgrade")
        for note in found.database
        if note.about != "downgrade"
    )
    return Seen(problems, said="" if problems else "models and database agree")
