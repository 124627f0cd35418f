-- The login roles of docker-compose.yml. Migrations connect as the owner of the database,
-- who is no superuser, and give the two groups their rights.
create role payment_ledger_application nologin;
grant pg_read_all_stats to payment_ledger_application;
create role payment_ledger_reader nologin;

create role ledger_owner login password 'ledger';
alter database payment_ledger owner to ledger_owner;

create role ledger_application login password 'ledger' in role payment_ledger_application;
create role ledger_reader login password 'ledger' in role payment_ledger_reader;
