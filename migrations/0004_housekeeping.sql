-- What reconciling the books found, each time: anyone can see when they were last
-- known to balance. Entries of a month are kept.

create table reconciliations (
  started_at        timestamptz primary key,
  -- Payments from then on were examined; null is all of them.
  since             timestamptz,
  payments_examined bigint      not null,
  -- A sentence each; empty if the books balanced.
  problems          text[]      not null
);
