-- Atomic batches. Each item is a row of payments, as if it had come alone, and names its
-- batch, whose id is that of the first item. The idempotency key of the batch leads to
-- that row too. Of a declined batch there is one row, the declined item's, with the
-- batch's id for its own. batch_id and request_digest have been there since 0012.
--
-- The row with the batch's id names all of them, so they are found by the primary key: an
-- index of batches, even one that no other payment is in, would cost every statement
-- that adds a payment one per cent of its instructions.

alter table payments
  -- Which item of its batch it is, the first of them being 0.
  add column batch_item smallint,
  -- On the row that has the batch's id: the rows of all items in their order, itself the
  -- first. Null if the batch was declined.
  add column batch_actions uuid[];
