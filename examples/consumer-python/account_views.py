"""The balances of accounts, from events alone, in a SQLite file."""

import json
import sqlite3

SCHEMA = """
-- For ever, as a replay may bring an event of any age.
create table if not exists seen_events (event_id text primary key) without rowid;

create table if not exists account_views (
  account_id    text    primary key,
  currency      text    not null,
  balance_cents integer not null,
  version       integer not null
);

-- Versions that have not come although a later one has.
create table if not exists missing_versions (
  account_id text    not null,
  version    integer not null,
  primary key (account_id, version)
);
"""

# The types that are known here, and whose state each has. An event that adds to an account's
# ledger has that account's; those of declines and of accounts add nothing.
STATES = {
    "payment.authorized.v1": ("payer", "payee"),
    "payment.declined.v1": (),
    "payment.held.v1": ("payer",),
    "payment.captured.v1": ("payer", "payee"),
    "payment.voided.v1": ("payer",),
    "payment.expired.v1": ("payer",),
    "payment.refunded.v1": ("payer", "payee"),
    "payment.action_declined.v1": (),
    "account.opened.v1": (),
    "account.updated.v1": (),
    "account.frozen.v1": (),
    "account.unfrozen.v1": (),
    "account.closed.v1": (),
}


def open_database(path):
    # Transactions are begun and committed below, and nowhere else.
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.executescript(SCHEMA)
    return database


def take(database, events):
    """Takes events, each an (id, type, value), in one transaction. Returns how many were new.

    An event's id and what it changes are written together, so a repeat finds the id there
    and changes nothing. Raises for an event that cannot be read, and then nothing of them
    is written: leaving one out would leave balances wrong.
    """
    fresh = 0
    database.execute("begin immediate")
    try:
        for event_id, event_type, value in events:
            seen = database.execute("insert or ignore into seen_events values (?)", (event_id,))
            if seen.rowcount == 0:
                continue
            fresh += 1
            for account in changed_accounts(event_type, value):
                apply_state(database, *account)
        database.execute("commit")
    except BaseException:
        database.execute("rollback")
        raise
    return fresh


def changed_accounts(event_type, value):
    """The accounts whose state an event tells: (id, currency, balance, version).

    Types of payments that are not known here may have some too: leaving them out would look
    like a gap in the accounts' versions.
    """
    if not event_type.startswith("payment."):
        return
    event = json.loads(value)
    for side in STATES.get(event_type, ()):
        if side not in event:
            raise ValueError(f"event of payment {event.get('paymentId')} ({event_type}) lacks the state of its {side}")
    for side in ("payer", "payee"):
        if side in event:
            state = event[side]
            # Protobuf-JSON: int64 is a string, and zero is left out.
            balance, version = int(state.get("balanceCents", "0")), int(state["version"])
            yield event[f"{side}AccountId"], event["currency"], balance, version


def apply_state(database, account_id, currency, balance_cents, version):
    """Keeps the state with the higher version, and remembers versions that were jumped over until they come."""
    row = database.execute("select version from account_views where account_id = ?", (account_id,)).fetchone()
    if row is None:
        # What came before the first that is seen may be past the topic's retention.
        database.execute("insert into account_views values (?, ?, ?, ?)", (account_id, currency, balance_cents, version))
        return
    known = row[0]
    if version <= known:
        database.execute("delete from missing_versions where account_id = ? and version = ?", (account_id, version))
        return
    database.execute(
        "update account_views set balance_cents = ?, version = ? where account_id = ?",
        (balance_cents, version, account_id),
    )
    missing = [(account_id, jumped) for jumped in range(known + 1, version)]
    database.executemany("insert into missing_versions values (?, ?)", missing)
