-- What Debezium needs in the ledger's database, once, by a superuser; the server must run
-- with wal_level = logical. The publication comes before the slot: a slot cannot read what
-- was written before its publication.

create role outbox_reader login replication;
grant usage on schema public to outbox_reader;
grant select on outbox to outbox_reader;

-- Rows are deleted when they are on the topic; that is no event.
create publication payment_outbox for table outbox with (publish = 'insert');

-- From here on every event, and the WAL it is in, is kept for Connect.
select pg_create_logical_replication_slot('payment_outbox', 'pgoutput');
