"""A caller of Payment Ledger: pays, and shows what becomes of each kind of answer."""

import argparse
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "gen"))

import grpc  # noqa: E402

from pay import DEADLINE_S, pay  # noqa: E402
from payment.v1 import account_pb2, account_pb2_grpc, payment_pb2, payment_pb2_grpc  # noqa: E402


def main():
    options = parse_arguments()
    with connect(options) as channel:
        accounts = account_pb2_grpc.AccountServiceStub(channel)
        payments = payment_pb2_grpc.PaymentServiceStub(channel)
        name = uuid.uuid4().hex[:10]
        world, payer, payee = f"world-{name}", f"payer-{name}", f"payee-{name}"
        open_account(accounts, world, account_pb2.ACCOUNT_TYPE_EXTERNAL)
        open_account(accounts, payer, account_pb2.ACCOUNT_TYPE_CUSTOMER)
        open_account(accounts, payee, account_pb2.ACCOUNT_TYPE_CUSTOMER)

        funded = pay(payments, payment(world, payer, 100_000))
        expect(funded.paid, funded)

        lunch = payment(payer, payee, 2_500)
        first = pay(payments, lunch)
        expect(first.paid and not first.duplicate, first)
        print("paid:", first.payment_id)

        again = pay(payments, lunch)
        expect(again.paid and again.duplicate and again.payment_id == first.payment_id, again)
        print("sent again: paid before, once, as", again.payment_id)

        yacht = payment(payer, payee, 1_000_000_000)
        declined = pay(payments, yacht)
        expect(not declined.paid and not declined.duplicate, declined)
        print("declined:", declined.decline)

        declined_again = pay(payments, yacht)
        expect(not declined_again.paid and declined_again.duplicate, declined_again)
        print("declined, sent again: not paid:", declined_again.decline)

        late = pay(payments, payment(payer, payee, 100), options.short_deadline)
        expect(late.paid, late)
        print(f"timed out {late.timed_out} times: paid once, as {late.payment_id}")

        burst(payments, payer, payee, options.burst)


def burst(payments, payer, payee, most):
    """Pays from many threads until one payment was told to come later, and came through then."""
    paid = limited = 0

    def pay_until_limited():
        nonlocal paid, limited
        while limited == 0 and paid < most:
            outcome = pay(payments, payment(payer, payee, 1))
            expect(outcome.paid, outcome)
            paid += 1
            limited += outcome.rate_limited

    with ThreadPoolExecutor(20) as threads:
        for each in [threads.submit(pay_until_limited) for _ in range(20)]:
            each.result()
    print(f"rate limited {limited} times: {paid} payments, all paid in the end")


def payment(payer, payee, amount_cents):
    return payment_pb2.AuthorizePaymentRequest(
        # A real caller stores the key with what is paid for, before the first call.
        idempotency_key=str(uuid.uuid4()),
        payer_account_id=payer,
        payee_account_id=payee,
        amount_cents=amount_cents,
        currency="RUB",
    )


def open_account(accounts, account_id, account_type):
    request = account_pb2.OpenAccountRequest(account_id=account_id, currency="RUB", type=account_type)
    accounts.OpenAccount(request, timeout=DEADLINE_S)


def expect(condition, outcome):
    if not condition:
        sys.exit(f"this should not have come to {outcome}")


def connect(options):
    config = Path(options.service_config).read_text()
    channel_options = [("grpc.service_config", config), ("grpc.enable_retries", 1)]
    if options.ca or options.tls:
        authorities = Path(options.ca).read_bytes() if options.ca else None
        channel = grpc.secure_channel(
            options.address, grpc.ssl_channel_credentials(authorities), options=channel_options
        )
    else:
        channel = grpc.insecure_channel(options.address, options=channel_options)
    if options.token_file:
        channel = grpc.intercept_channel(channel, WithToken(options.token_file))
    return channel


class CallDetails(grpc.ClientCallDetails):
    def __init__(self, details, metadata):
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = metadata
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


class WithToken(grpc.UnaryUnaryClientInterceptor):
    """Reads the file for each call, as whoever renews the token replaces it."""

    def __init__(self, file):
        self.file = Path(file)

    def intercept_unary_unary(self, continuation, client_call_details, request):
        token = ("authorization", f"Bearer {self.file.read_text().strip()}")
        metadata = [*(client_call_details.metadata or []), token]
        return continuation(CallDetails(client_call_details, metadata), request)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="localhost:50051", help="host:port of the service")
    parser.add_argument("--tls", action="store_true", help="encrypt, trusting the authorities of gRPC")
    parser.add_argument("--ca", help="encrypt, trusting only the authorities in this PEM file")
    parser.add_argument("--token-file", help="a file with a bearer token")
    default_config = Path(__file__).parent.parent / "service-config.json"
    parser.add_argument("--service-config", default=default_config, help="gRPC service config with the retry policy")
    parser.add_argument(
        "--short-deadline", type=float, default=0.001, help="a deadline in seconds that the service cannot keep"
    )
    parser.add_argument("--burst", type=int, default=1000, help="the most payments to make until the payer is limited")
    return parser.parse_args()


if __name__ == "__main__":
    main()
