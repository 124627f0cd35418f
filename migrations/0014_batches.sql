-- Atomic batches. Each item is a row of payments, as if it had come alone, and names its
-- batch, whose id is that of the first item. The idempotency key of the batch leads to
-- that row too. Of a declined batch there is one row, the declined item's, with the
-- batch's id for its own. batch_id and request_digest have been there since 0012.

alter table payments
  -- Which item of its batch it is, the first of them being 0.
  add column batch_item smallint,
  -- How many items were asked for, on the row that has the batch's id.
  add column batch_size smallint;
