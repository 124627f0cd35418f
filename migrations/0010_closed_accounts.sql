-- Apart from 0009, whose locks would keep payments waiting while all balances are read.
alter table account_balances validate constraint closed_holds_nothing;
