-- The role that the API and the relay of docker-compose.yml log in with. Migrations give
-- its group the rights.
create role payment_ledger_application nologin;
grant pg_read_all_stats to payment_ledger_application;
create role ledger_application login password 'ledger' in role payment_ledger_application;
