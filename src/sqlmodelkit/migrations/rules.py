"""Which statements hold up or break a live application, on which engine, and the safe way.

Start at `RULES`.
"""

import re
from dataclasses import dataclass

_TABLE = r"[`\"\w.]+"
PG, MY, LITE = "postgresql", "mysql", "sqlite"
EVERY = (PG, MY, LITE)
_OLD_CODE = "The code that still runs while the new one starts"


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of statement: how it looks, where it hurts, why, and what to do in place of it.

    Attributes:
        name: What the finding is called.
        pattern: What the statement looks like; the group `table` is the table it is about.
        engines: Where it hurts.
        why: What happens.
        safe: The safe way.
        outside: Whether what stands in brackets does not count, as other statements inside.
    """

    name: str
    pattern: re.Pattern[str]
    engines: tuple[str, ...]
    why: str
    safe: str
    outside: bool = False


def _rule(
    name: str,
    pattern: str,
    engines: tuple[str, ...],
    why: str,
    safe: str,
    *,
    outside: bool = False,
) -> Rule:
    compiled = re.compile(
        pattern.replace("TABLE_", rf"(?P<table>{_TABLE})", 1), re.IGNORECASE | re.DOTALL
    )
    return Rule(name, compiled, engines, why, safe, outside)


RULES = (
    _rule(
        "drop-table",
        r"^DROP TABLE (IF EXISTS )?TABLE_",
        EVERY,
        f"{_OLD_CODE} reads the table, and its rows are gone.",
        "Deploy code that does not use it first; drop it in a later release, after a backup.",
    ),
    _rule(
        "drop-column",
        r"^ALTER TABLE TABLE_ DROP (COLUMN )?(?!CONSTRAINT|INDEX|KEY|FOREIGN|PRIMARY|CHECK|DEFAULT)",
        EVERY,
        f"{_OLD_CODE} selects the column, and its values are gone.",
        "Deploy code that does not use it first; drop it in a later release.",
    ),
    _rule(
        "rename",
        r"^(ALTER TABLE TABLE_ (RENAME (COLUMN|TO)|CHANGE )|RENAME TABLE)",
        EVERY,
        f"{_OLD_CODE} uses the old name.",
        "Add the new one beside the old one, write both, copy, and drop the old one later.",
    ),
    _rule(
        "adding-required-field",
        r"^ALTER TABLE TABLE_ ADD (COLUMN )?"
        r"(?!CONSTRAINT|INDEX|UNIQUE|FOREIGN|PRIMARY|CHECK|FULLTEXT|SPATIAL)"
        r"(?!.*\b(DEFAULT|AS|AUTO_INCREMENT|GENERATED)\b).*NOT NULL",
        (MY, LITE),
        f"{_OLD_CODE} writes rows without the column, which are refused.",
        "Give it a server default, or let it be null.",
    ),
    _rule(
        "foreign-key",
        r"^ALTER TABLE TABLE_ ADD (CONSTRAINT \S+ )?FOREIGN KEY",
        (MY,),
        "The table is copied, and nobody can write to it meanwhile.",
        "Use a tool that copies in the background (pt-online-schema-change, gh-ost), or a quiet "
        "hour.",
    ),
    _rule(
        "check",
        r"^ALTER TABLE TABLE_ ADD (CONSTRAINT \S+ )?CHECK",
        (MY,),
        "The table is copied, and nobody can write to it meanwhile.",
        "Use a tool that copies in the background, or a quiet hour.",
    ),
    _rule(
        "primary-key",
        r"^ALTER TABLE TABLE_ (ADD|DROP) (CONSTRAINT \S+ )?PRIMARY KEY",
        (MY,),
        "The table is copied, and nobody can write to it meanwhile.",
        "Use a tool that copies in the background, or a quiet hour.",
    ),
    _rule(
        "setting-not-null",
        r"^ALTER TABLE TABLE_ MODIFY (COLUMN )?.*NOT NULL",
        (MY,),
        f"The table is rebuilt, and {_OLD_CODE[0].lower()}{_OLD_CODE[1:]} may write nulls.",
        "Deploy code that writes no nulls and fill the column first; then use a quiet hour.",
    ),
    _rule(
        "table-rebuild",
        r"^ALTER TABLE TABLE_ ADD (COLUMN )?.*\b(AUTO_INCREMENT|STORED|PERSISTENT)\b",
        (MY,),
        "The table is copied to give every row a value, and nobody can write to it meanwhile.",
        "Use a tool that copies in the background, or a quiet hour.",
    ),
    _rule(
        "table-rewrite",
        r"^ALTER TABLE (?:ONLY )?TABLE_ ADD (COLUMN )?.*\b((BIG|SMALL)?SERIAL\d?|AS IDENTITY)\b",
        (PG,),
        "The table is rewritten to give every row a number, and nobody can read it meanwhile.",
        "Add a plain column, fill it in batches, and then let it count.",
    ),
    _rule(
        "exclusion-constraint",
        r"^ALTER TABLE (?:ONLY )?TABLE_ ADD (CONSTRAINT \S+ )?EXCLUDE\b",
        (PG,),
        "An index is made for it, and nobody can read or write the table meanwhile.",
        "Make it in a quiet hour; it cannot be made CONCURRENTLY.",
    ),
    _rule(
        "disable-trigger",
        r"^ALTER TABLE (?:ONLY )?TABLE_ DISABLE TRIGGER",
        (PG,),
        "Foreign keys and triggers do not hold for what others write meanwhile.",
        "Change the data so that they hold.",
    ),
    _rule(
        "non-constant-default",
        r"^ALTER TABLE TABLE_ ADD (COLUMN )?.*\bDEFAULT (\(|CURRENT_)",
        (LITE,),
        "SQLite refuses it as soon as the table has a row.",
        "Use a constant, or batch_alter_table, which copies the table.",
    ),
    _rule(
        "fulltext-index",
        r"^(CREATE (FULLTEXT|SPATIAL) INDEX \S+ ON TABLE_|"
        r"ALTER TABLE \S+ ADD (FULLTEXT|SPATIAL))",
        (MY,),
        "Nobody can write to the table while the index is made.",
        "Make it in a quiet hour.",
    ),
    _rule(
        "table-rebuild",
        r"^(ALTER TABLE TABLE_ (ENGINE|CONVERT TO|CHARACTER SET|FORCE|ROW_FORMAT|"
        r"PARTITION BY|REMOVE PARTITIONING|COALESCE PARTITION|REORGANIZE PARTITION)|OPTIMIZE TABLE)",
        (MY,),
        "The table is copied, and nobody can write to it meanwhile.",
        "Use a tool that copies in the background, or a quiet hour.",
    ),
    _rule(
        "table-rebuild",
        r"^ALTER TABLE TABLE_ (ALGORITHM *=? *COPY|LOCK *=? *(SHARED|EXCLUSIVE))",
        (MY,),
        "It asks for what keeps others from writing to the table meanwhile.",
        "Ask for LOCK=NONE: what cannot be done so is refused then.",
    ),
    _rule(
        "table-rebuild",
        r"^INSERT INTO _alembic_tmp_\w+ .*FROM TABLE_",
        (LITE,),
        "The whole table is copied, and nobody can write to the database meanwhile.",
        "Run it in a quiet hour, after a backup.",
    ),
    _rule(
        "table-rewrite",
        r"^(VACUUM FULL|CLUSTER|REINDEX (?!.*CONCURRENTLY)|"
        r"ALTER TABLE TABLE_ SET (LOGGED|UNLOGGED|TABLESPACE))",
        (PG,),
        "The table is rewritten, and nobody can read or write it meanwhile.",
        "Use REINDEX CONCURRENTLY or pg_repack.",
    ),
    _rule(
        "lock-table",
        r"^LOCK TABLES? TABLE_",
        (PG, MY),
        "Nobody can use the table until the migration ends.",
        "Do in small steps what needs the lock.",
    ),
    _rule(
        "data-at-once",
        r"^(?:WITH .*? )?(UPDATE|DELETE (?:\w+ )?FROM) (?:ONLY )?TABLE_"
        r"(?!.*\bWHERE\b(?! *(?:\S+ IS NULL|true|1 *= *1|1)[ ;]*$))",
        EVERY,
        "Every row is changed in one transaction, which locks them all until it ends.",
        "Change rows in batches by key, outside of the migration.",
        outside=True,
    ),
    _rule(
        "truncate",
        r"^TRUNCATE (TABLE )?TABLE_",
        EVERY,
        "All rows are gone, for those who read at the moment too.",
        "Delete in batches, after a backup.",
    ),
    _rule(
        "refresh",
        r"^REFRESH MATERIALIZED VIEW (?!CONCURRENTLY)TABLE_",
        (PG,),
        "Nobody can read the view meanwhile.",
        "Use REFRESH MATERIALIZED VIEW CONCURRENTLY.",
    ),
)

SQUAWK_LEFT_OUT = frozenset(
    {
        # What the migration's own connection sets.
        "require-lock-timeout",
        "require-statement-timeout",
        "require-timeout-settings",
        # Taste, and what the models decide.
        "ban-char-field",
        "ban-drop-constraint",
        "ban-drop-not-null",
        "ban-drop-default",
        "prefer-big-int",
        "prefer-bigint-over-int",
        "prefer-bigint-over-smallint",
        "prefer-identity",
        "prefer-robust-stmts",
        "prefer-text-field",
        "prefer-timestamp-tz",
        "require-enum-value-ordering",
        "require-table-schema",
        "transaction-nesting",
        # Told by our own rules, on every engine alike.
        "ban-drop-column",
        "ban-drop-table",
        "ban-truncate-cascade",
        "renaming-column",
        "renaming-table",
        # Two names for what is told already.
        "constraint-missing-not-valid",
    }
)
SAFE_WAYS = {
    "adding-foreign-key-constraint": "Add it with postgresql_not_valid=True, and VALIDATE "
    "CONSTRAINT in a later migration.",
    "adding-not-nullable-field": "Add CHECK (column IS NOT NULL) NOT VALID, validate it in a later "
    "migration, then set NOT NULL.",
    "adding-serial-primary-key-field": "Make a unique index CONCURRENTLY, then ADD CONSTRAINT PRIMARY "
    "KEY USING INDEX.",
    "ban-concurrent-index-creation-in-transaction": "Put it inside "
    "`with op.get_context().autocommit_block():`.",
    "ban-drop-view": "Deploy code that does not use it first; drop it in a later release.",
    "renaming-object": "Add the new one beside the old one, and drop the old one later.",
    "adding-required-field": "Give it a server default, or let it be null.",
    "changing-column-type": "Add a column of the new type beside it, write both, copy in batches, "
    "and drop the old one later.",
    "disallowed-unique-constraint": "Make a unique index CONCURRENTLY, then ADD CONSTRAINT UNIQUE "
    "USING INDEX.",
    "require-concurrent-index-creation": "Use postgresql_concurrently=True inside "
    "`with op.get_context().autocommit_block():`.",
    "require-concurrent-index-deletion": "Use postgresql_concurrently=True inside "
    "`with op.get_context().autocommit_block():`.",
}
CHECK_NOT_VALID = Rule(
    "check-not-valid",
    re.compile(
        rf"^ALTER TABLE (?P<table>{_TABLE}) ADD CONSTRAINT \S+ CHECK(?!.*NOT VALID)",
        re.IGNORECASE | re.DOTALL,
    ),
    (PG,),
    "Every row is checked, and nobody can write to the table meanwhile.",
    "Add it NOT VALID, and VALIDATE CONSTRAINT in a later migration.",
)
VALIDATED_AT_ONCE = Rule(
    "validated-at-once",
    re.compile(
        rf"^ALTER TABLE (?:ONLY )?(?P<table>{_TABLE}) VALIDATE CONSTRAINT [`\"]?(?P<constraint>\w+)",
        re.IGNORECASE,
    ),
    (PG,),
    "The lock of adding it is kept while every row is checked, and nobody can write to the table.",
    "VALIDATE CONSTRAINT in a migration of its own.",
)
"""Only where the same migration has added the constraint."""
OTHER_TYPE = Rule(
    "changing-column-type",
    re.compile(rf"^ALTER TABLE (?P<table>{_TABLE}) (MODIFY|CHANGE)\b", re.IGNORECASE),
    (MY,),
    "The table is copied, and nobody can write to it meanwhile.",
    "Add a column of the new type beside it, write both, copy in batches, and drop the old one "
    "later.",
)
"""Only where the migration says that the type is another one: the statement does not."""
