-- Reconciliations of the books: how far each has come, and what it found. So anyone can
-- see when the books were last known to balance. Those of the last month are kept.

create table reconciliations (
  reconciliation_id bigint      generated always as identity primary key,
  -- All payments, or those made lately.
  whole             boolean     not null,
  started_at        timestamptz not null default now(),
  -- Payments from then on are examined; null is all of them.
  since             timestamptz,
  -- What is examined next and the last key that was; both null once it is finished.
  stage             text,
  after_key         text[],
  finished_at       timestamptz,
  payments_examined bigint      not null default 0,
  -- A sentence each; empty if the books balanced.
  problems          text[]      not null default '{}',

  check ((stage is null) = (finished_at is not null))
);

-- Expiry finds the old keys without reading the others. Keys come in order of time, so
-- a few bytes for each 128 pages do; a b-tree would cost every payment an insertion.
create index idempotency_keys_created_at on idempotency_keys using brin (created_at) with (autosummarize = on);
