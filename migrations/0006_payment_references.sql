-- What callers note on a payment: what it is for in their own books, and up to twenty
-- words of theirs. Null where they named nothing, which costs a row no space.
--
-- Without a look at the rows that are there: they have neither, and a check of them
-- would keep payments waiting for as long as it takes to read the table.
alter table payments
  add column reference text,
  add column metadata  jsonb;

alter table payments
  add constraint reference_is_short check (char_length(reference) between 1 and 255) not valid;
