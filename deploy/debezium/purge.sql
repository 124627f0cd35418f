-- Deletes what Kafka has. Debezium reads the WAL and leaves the rows: run this every minute
-- or so, outside a transaction. Every row it sees was committed before "here", so it is on
-- the topic once Connect has confirmed "here".

do $$
declare
  here pg_lsn;
begin
  create temp table seen as select shard, position from outbox;
  here := pg_current_wal_insert_lsn();
  commit;
  for second in 1..120 loop
    if exists (
      select from pg_replication_slots
      where slot_name = 'payment_outbox' and active and confirmed_flush_lsn >= here
    ) then
      delete from outbox using seen where outbox.shard = seen.shard and outbox.position = seen.position;
      drop table seen;
      return;
    end if;
    -- Each look is a transaction of its own: a long one would keep vacuum from the outbox.
    commit;
    perform pg_sleep(1);
  end loop;
  raise exception 'Connect has confirmed nothing for two minutes: nothing was deleted';
end $$;
