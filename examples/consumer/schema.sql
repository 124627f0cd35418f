-- What the example consumer keeps in a database of its own. It may be run again.

-- For ever, as a replay may bring an event of any age: about 120 bytes each, its index included.
create table if not exists seen_events (
  event_id text        primary key,
  seen_at  timestamptz not null default now()
);

create table if not exists account_views (
  account_id    text   primary key,
  currency      text   not null,
  balance_cents bigint not null,
  version       bigint not null
);

-- What the account has on hold for others; balance_cents is what is posted.
alter table account_views add column if not exists pending_cents bigint not null default 0;

-- What accounts are, by the last of their changes.
create table if not exists account_states (
  account_id            text    primary key,
  revision              bigint  not null,
  state                 text    not null,
  debits_frozen         boolean not null,
  credits_frozen        boolean not null,
  overdraft_limit_cents bigint  not null,
  metadata              jsonb   not null
);

-- Versions that have not come although a later one has. They are on their way in
-- another partition; one that stays is an event that an operator discarded.
create table if not exists missing_versions (
  account_id    text        not null,
  version       bigint      not null,
  missing_since timestamptz not null default now(),

  primary key (account_id, version)
);
