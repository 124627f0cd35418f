-- Proof that each payment has its event: what is on Kafka is compared with payments.

-- Events that an operator gave up: they are neither on Kafka nor pending, and an audit
-- does not miss them.
create table outbox_discarded (
  id           uuid        primary key,
  discarded_at timestamptz not null default now()
);

-- One row for each step of auditing. The last one says where the next goes on; those
-- of a month are kept.
create table event_audits (
  audit_id           bigint      generated always as identity primary key,
  -- The step before. Of two audits that start from the same step only one
  -- counts: the other's findings are of no use beside it.
  previous_id        bigint,
  audited_at         timestamptz not null,
  topic              text        not null,
  -- Payments up to and with this id were audited.
  audited_to         uuid        not null,
  -- By partition: events of later payments are at this offset or beyond it.
  offsets            bigint[]    not null,
  -- By partition: the topic still holds all events of payments from then on. Null
  -- is not known.
  retained_since     timestamptz[] not null,
  payments_audited   bigint      not null,
  -- Payments whose events retention may have removed before they were looked for.
  payments_unverifiable bigint   not null,
  -- Records that belong to no payment, or are not what theirs calls for: a sentence each.
  orphaned           text[]      not null,
  -- The step goes beyond the present: a clock was wrong. The step before it counts.
  rejected           boolean     not null default false
);

create unique index event_audits_one_follows on event_audits (previous_id) nulls not distinct where not rejected;

-- Payments that an audit has passed without finding their events, which were pending
-- or missing. Each later audit looks for them again until they are found.
create table unconfirmed_events (
  payment_id uuid        primary key,
  -- Neither on Kafka nor pending.
  missing    boolean     not null,
  since      timestamptz not null default now()
);
