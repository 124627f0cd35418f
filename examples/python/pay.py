"""How to pay so that nothing is paid twice, and nothing taken for paid that is not."""

import random
import time
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from payment.v1 import payment_pb2 as pb

DEADLINE_S = 5
MAX_ATTEMPTS = 8
LONGEST_WAIT_S = 2

# After these nothing was stored, unless an attempt before may have paid.
NOT_BEGUN = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}


@dataclass
class Outcome:
    """What a payment came to, once that is certain."""

    paid: bool
    # Empty if nothing was stored.
    payment_id: str
    # An earlier call with the key decided it, and not this one.
    duplicate: bool
    # Why it was declined, if it was.
    decline: str
    # What happened on the way.
    timed_out: int
    rate_limited: int


class OutcomeUnknownError(Exception):
    """The payment may exist: call pay again with the same request and key."""


class RateLimitedError(Exception):
    """The payer pays too often, and nothing was stored: call pay again later, with the same key."""


def pay(stub, request, first_deadline_s=DEADLINE_S):
    """Repeats the request, with its key, until the outcome is certain.

    Raises OutcomeUnknownError if it does not become so. Any other error says that
    nothing was stored.
    """
    timed_out = rate_limited = 0
    # Once an attempt may have paid, only an answer about the payment itself tells whether it has.
    may_have_paid = False
    deadline_s = first_deadline_s
    last = None
    for attempt in range(MAX_ATTEMPTS):
        wait_s = backoff_s(attempt)
        try:
            response = stub.AuthorizePayment(request, timeout=deadline_s)
        except grpc.RpcError as error:
            last = error
            code = error.code()
            if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                may_have_paid = True
                timed_out += code == grpc.StatusCode.DEADLINE_EXCEEDED
            elif code == grpc.StatusCode.ALREADY_EXISTS:
                # The key has another payment: a key was used twice, which is a mistake of ours.
                raise
            elif code != grpc.StatusCode.RESOURCE_EXHAUSTED:
                # RESOURCE_EXHAUSTED: the service's queue is full, or our bucket empty; nothing was stored.
                if may_have_paid or code not in NOT_BEGUN:
                    raise OutcomeUnknownError(error.details()) from error
                raise
            wait_s = max(wait_s, retry_delay_s(error))
        else:
            if response.error.code != pb.PAYMENT_ERROR_CODE_RATE_LIMITED:
                return outcome_of(response, timed_out, rate_limited)
            # Says nothing of earlier attempts; asks for the same request a little later.
            rate_limited += 1
            last = RateLimitedError(response.error.message)
            wait_s = max(wait_s, response.error.retry_after_ms / 1000)
        deadline_s = DEADLINE_S
        time.sleep(wait_s)
    if may_have_paid:
        raise OutcomeUnknownError("no answer told what became of the payment") from last
    raise last


def outcome_of(response, timed_out, rate_limited):
    """Reads an answer. The duplicate of a decline has moved no money: a duplicate is what its original was."""
    duplicate = response.status == pb.PAYMENT_STATUS_DUPLICATE
    status = response.original_status if duplicate else response.status
    if status not in (pb.PAYMENT_STATUS_AUTHORIZED, pb.PAYMENT_STATUS_DECLINED):
        raise ValueError(f"payment {response.payment_id} has the status {status}, which this program does not know")
    return Outcome(
        paid=status == pb.PAYMENT_STATUS_AUTHORIZED,
        payment_id=response.payment_id,
        duplicate=duplicate,
        decline=decline_code(response.error.code) if response.HasField("error") else "",
        timed_out=timed_out,
        rate_limited=rate_limited,
    )


def decline_code(value):
    """By name; a service that is newer than these stubs may have more of them."""
    known = pb.PaymentErrorCode.DESCRIPTOR.values_by_number.get(value)
    return known.name.removeprefix("PAYMENT_ERROR_CODE_") if known else f"UNRECOGNIZED_{value}"


def retry_delay_s(error):
    """How long the service asks to be left alone."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.ToTimedelta().total_seconds()
    return 0


def backoff_s(attempt):
    """Doubles, with the callers spread out over half of it."""
    longest = min(0.1 * 2**attempt, LONGEST_WAIT_S)
    return longest * random.uniform(0.5, 1)
