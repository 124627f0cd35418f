/** The type of the event that a row of payments calls for, under the name of that row: the same as in domain/event.ts. */
export function eventTypeOf(row: string): string {
  return `case
    when ${row}.status = 'AUTHORIZED' then case ${row}.kind
      when 'PAYMENT' then 'payment.authorized.v1'
      when 'HOLD' then 'payment.held.v1'
      when 'CAPTURE' then 'payment.captured.v1'
      when 'VOID' then 'payment.voided.v1'
      when 'EXPIRY' then 'payment.expired.v1'
      when 'REFUND' then 'payment.refunded.v1'
    end
    when ${row}.parent_id is null then 'payment.declined.v1'
    else 'payment.action_declined.v1'
  end`;
}
