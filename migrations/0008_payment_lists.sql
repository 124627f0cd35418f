-- Without a transaction, so that payments go on while the indexes are built.
--
-- What lists of payments need besides the primary keys. Each index is partial: a payment
-- that is authorized and has no reference is in none of them. By account, authorized
-- payments are found through their ledger entries, and only declined ones, which have
-- none, by an index. Time windows are ranges of the primary key, as ids begin with a time.
--
-- An index whose building broke off is there and useless, hence the drops.
drop index concurrently if exists payments_by_reference;
create index concurrently payments_by_reference on payments (reference, payment_id) where reference is not null;

drop index concurrently if exists payments_declined_by_payer;
create index concurrently payments_declined_by_payer on payments (payer_account_id, payment_id) where status = 'DECLINED';

drop index concurrently if exists payments_declined_by_payee;
create index concurrently payments_declined_by_payee on payments (payee_account_id, payment_id) where status = 'DECLINED';
