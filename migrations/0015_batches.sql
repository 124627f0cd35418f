-- Without a transaction, so that payments go on while rows are looked at and the index is built.
--
-- Atomic batches. Each item is a row of payments, as if it had come alone, and names its
-- batch, whose id is that of the first item. The idempotency key of the batch leads to
-- that row too. Of a declined batch there is one row, the declined item's, with the
-- batch's id for its own. batch_id and request_digest have been there since 0012.

alter table payments
  -- Which item of its batch it is, the first of them being 0.
  add column if not exists batch_item smallint,
  -- How many items were asked for, on the row that has the batch's id.
  add column if not exists batch_size smallint,
  drop constraint if exists columns_fit_batch,
  -- is true: what is null is no.
  add constraint columns_fit_batch check (
    case
      when batch_id is null then num_nonnulls(batch_item, batch_size, request_digest) = 0
      when batch_id = payment_id then kind <> 'EXPIRY' and batch_size between 1 and 100 and request_digest is not null
        and batch_item >= 0 and batch_item < batch_size and (status = 'DECLINED' or batch_item = 0)
      else kind <> 'EXPIRY' and status = 'AUTHORIZED' and batch_item between 1 and 99
        and num_nonnulls(batch_size, request_digest) = 0
    end is true
  ) not valid;

alter table payments validate constraint columns_fit_batch;

-- The rows of a batch, and no two of them for one item. A payment that came alone is not in it.
drop index concurrently if exists payments_by_batch;
create unique index concurrently payments_by_batch on payments (batch_id, batch_item) where batch_id is not null;
