"""A caller of Payment Ledger: holds the price of a night, captures what is owed, and refunds a part of that."""

import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "gen"))

import grpc  # noqa: E402

from pay import DEADLINE_S, decline_code  # noqa: E402
from payment.v1 import account_pb2, account_pb2_grpc, payment_pb2, payment_pb2_grpc  # noqa: E402


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "localhost:50051"
    # With this config gRPC repeats calls after UNAVAILABLE, each with its key.
    config = (Path(__file__).parent.parent / "service-config.json").read_text()
    with grpc.insecure_channel(address, options=[("grpc.service_config", config)]) as channel:
        accounts = account_pb2_grpc.AccountServiceStub(channel)
        payments = payment_pb2_grpc.PaymentServiceStub(channel)
        name = uuid.uuid4().hex[:10]
        world, guest, hotel = f"world-{name}", f"guest-{name}", f"hotel-{name}"
        open_account(accounts, world, account_pb2.ACCOUNT_TYPE_EXTERNAL)
        open_account(accounts, guest, account_pb2.ACCOUNT_TYPE_CUSTOMER)
        open_account(accounts, hotel, account_pb2.ACCOUNT_TYPE_CUSTOMER)
        deposit = payment_pb2.AuthorizePaymentRequest(
            idempotency_key=new_key(), payer_account_id=world, payee_account_id=guest, amount_cents=10_000, currency="RUB"
        )
        payments.AuthorizePayment(deposit, timeout=DEADLINE_S)

        night = payment_pb2.HoldPaymentRequest(
            idempotency_key=new_key(), payer_account_id=guest, payee_account_id=hotel, amount_cents=8_000, currency="RUB"
        )
        night.ttl.FromSeconds(86_400)
        held = done(payments.HoldPayment(night, timeout=DEADLINE_S)).payment
        print(f"held: {held.held_cents} until {held.expires_at}")

        bill = payment_pb2.CapturePaymentRequest(
            idempotency_key=new_key(), payment_id=held.payment_id, amount_cents=6_000
        )
        captured = done(payments.CapturePayment(bill, timeout=DEADLINE_S)).action
        print(f"captured: {captured.amount_cents}, released: {captured.released_cents}")

        refund = payment_pb2.RefundPaymentRequest(
            idempotency_key=new_key(), payment_id=held.payment_id, amount_cents=500
        )
        refunded = done(payments.RefundPayment(refund, timeout=DEADLINE_S)).payment
        print(f"refunded: {refunded.refunded_cents} of {refunded.captured_cents}")

        too_much = payment_pb2.RefundPaymentRequest(
            idempotency_key=new_key(), payment_id=held.payment_id, amount_cents=6_000
        )
        print("declined:", decline_code(payments.RefundPayment(too_much, timeout=DEADLINE_S).action.error.code))

        listed = payments.ListPaymentActions(
            payment_pb2.ListPaymentActionsRequest(payment_id=held.payment_id), timeout=DEADLINE_S
        )
        for action in listed.actions:
            type_name = payment_pb2.PaymentActionType.Name(action.type).removeprefix("PAYMENT_ACTION_TYPE_")
            print(type_name, action.amount_cents, decline_code(action.error.code) if action.HasField("error") else "done")


def done(response):
    """The answer, if it is done, by this call or an earlier one with its key. A replayed action may be a decline."""
    if response.action.HasField("error"):
        sys.exit(f"declined: {decline_code(response.action.error.code)}")
    return response


def new_key():
    """A real caller stores each key with what it is for, before the first call, and repeats the call with it."""
    return str(uuid.uuid4())


def open_account(accounts, account_id, account_type):
    request = account_pb2.OpenAccountRequest(account_id=account_id, currency="RUB", type=account_type)
    accounts.OpenAccount(request, timeout=DEADLINE_S)


if __name__ == "__main__":
    main()
