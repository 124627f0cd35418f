-- Events on their way to Kafka. Columns carry the names of Debezium's outbox event
-- router, so that Kafka Connect can read this table instead of our relay.

create table outbox (
  -- The Kafka partition the event goes to, by Kafka's own hash of aggregateid.
  shard         smallint    not null,
  -- Rises in commit order among the events of one payer: the payer's balance is
  -- locked before this is drawn. CACHE stays 1 for the same reason.
  position      bigint      generated always as identity,
  -- The event's id. A payment has exactly one event, so it is the payment's id.
  id            uuid        not null,
  aggregatetype text        not null,
  aggregateid   text        not null,
  type          text        not null,
  payload       jsonb       not null,
  -- W3C trace context and the like; become Kafka headers.
  headers       jsonb       not null default '{}',
  created_at    timestamptz not null,

  primary key (shard, position)
)
-- Rows come and go: a queue is vacuumed by count, not by share of its size.
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Who publishes which shard. There are as many shards as the topic has partitions.
-- A worker owns a shard until leased_until and raises epoch when it claims it, so
-- that a worker which lost its lease without noticing can no longer write.
create table outbox_shards (
  shard        smallint    primary key check (shard >= 0),
  owner        text,
  epoch        bigint      not null default 0,
  leased_until timestamptz not null default '-infinity'
)
with (fillfactor = 50);

insert into outbox_shards (shard) select generate_series(0, 15);

-- Who is alive to share the shards. A worker that owns none, because it has just
-- come, is counted as well, or it would never be given any.
create table relay_workers (
  worker_id text        primary key,
  seen_at   timestamptz not null
)
with (fillfactor = 50);

-- Events Kafka rejected for good, until an operator redrives or discards them. A key
-- has at most one: its later events are blocked.
create table outbox_dead_letters (
  shard         smallint    not null,
  position      bigint      not null,
  id            uuid        primary key,
  aggregatetype text        not null,
  aggregateid   text        not null,
  type          text        not null,
  payload       jsonb       not null,
  headers       jsonb       not null,
  created_at    timestamptz not null,
  reason        text        not null,
  dead_at       timestamptz not null default now(),

  unique (shard, aggregateid)
);

-- The later events of a key that has a dead letter. The relay moves them here as it
-- meets them, so that however many there are, none stands in the way of other keys.
create table outbox_blocked (
  shard         smallint    not null,
  position      bigint      not null,
  id            uuid        not null,
  aggregatetype text        not null,
  aggregateid   text        not null,
  type          text        not null,
  payload       jsonb       not null,
  headers       jsonb       not null,
  created_at    timestamptz not null,

  primary key (shard, aggregateid, position)
);
