package caller;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import paymentledger.payment.v1.AuthorizePaymentRequest;
import paymentledger.payment.v1.AuthorizePaymentResponse;
import paymentledger.payment.v1.PaymentErrorCode;
import paymentledger.payment.v1.PaymentServiceGrpc.PaymentServiceBlockingStub;
import paymentledger.payment.v1.PaymentStatus;

/** How to pay so that nothing is paid twice, and nothing taken for paid that is not. */
final class Payer {
  static final Duration DEADLINE = Duration.ofSeconds(5);
  private static final int MAX_ATTEMPTS = 8;
  private static final long LONGEST_WAIT_MS = 2_000;

  /** After these nothing was stored, unless an attempt before may have paid. */
  private static final Set<Status.Code> NOT_BEGUN =
      Set.of(
          Status.Code.INVALID_ARGUMENT,
          Status.Code.UNAUTHENTICATED,
          Status.Code.PERMISSION_DENIED,
          Status.Code.UNIMPLEMENTED);

  /**
   * What a payment came to, once that is certain.
   *
   * @param paymentId empty if nothing was stored
   * @param duplicate an earlier call with the key decided it, and not this one
   * @param decline why it was declined, if it was
   */
  record Outcome(
      boolean paid, String paymentId, boolean duplicate, PaymentErrorCode decline, int timedOut, int rateLimited) {}

  /** The payment may exist: call pay again with the same request and key. */
  static final class OutcomeUnknownException extends RuntimeException {
    OutcomeUnknownException(Throwable cause) {
      super("whether the payment was made is not known; repeat it with the same key", cause);
    }
  }

  /** The payer pays too often, and nothing was stored: call pay again later, with the same key. */
  static final class RateLimitedException extends RuntimeException {
    RateLimitedException(String message) {
      super(message);
    }
  }

  private final PaymentServiceBlockingStub payments;

  Payer(PaymentServiceBlockingStub payments) {
    this.payments = payments;
  }

  Outcome pay(AuthorizePaymentRequest request) throws InterruptedException {
    return pay(request, DEADLINE);
  }

  /**
   * Repeats the request, with its key, until the outcome is certain. Throws
   * OutcomeUnknownException if it does not become so; any other exception says that
   * nothing was stored.
   */
  Outcome pay(AuthorizePaymentRequest request, Duration firstDeadline) throws InterruptedException {
    int timedOut = 0;
    int rateLimited = 0;
    // Once an attempt may have paid, only an answer about the payment itself settles it.
    boolean mayHavePaid = false;
    Duration deadline = firstDeadline;
    RuntimeException last = null;
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      long waitMs = backoffMs(attempt);
      try {
        AuthorizePaymentResponse response =
            payments.withDeadlineAfter(deadline.toMillis(), TimeUnit.MILLISECONDS).authorizePayment(request);
        if (response.getError().getCode() != PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED) {
          return outcomeOf(response, timedOut, rateLimited);
        }
        // Says nothing of earlier attempts; asks for the same request a little later.
        rateLimited++;
        last = new RateLimitedException(response.getError().getMessage());
        waitMs = Math.max(waitMs, response.getError().getRetryAfterMs());
      } catch (StatusRuntimeException error) {
        last = error;
        switch (error.getStatus().getCode()) {
          case DEADLINE_EXCEEDED -> {
            mayHavePaid = true;
            timedOut++;
          }
          case UNAVAILABLE -> mayHavePaid = true;
          case RESOURCE_EXHAUSTED -> {
            // The service's queue is full, or this caller's bucket empty: nothing was stored.
          }
          // The key has another payment: a key was used twice, which is a mistake of ours.
          case ALREADY_EXISTS -> throw error;
          default -> {
            if (mayHavePaid || !NOT_BEGUN.contains(error.getStatus().getCode())) {
              throw new OutcomeUnknownException(error);
            }
            throw error;
          }
        }
        waitMs = Math.max(waitMs, retryDelayMs(error));
      }
      deadline = DEADLINE;
      Thread.sleep(waitMs);
    }
    if (mayHavePaid) throw new OutcomeUnknownException(last);
    throw last;
  }

  /** Reads an answer. A duplicate is what its original was: the duplicate of a decline has moved no money. */
  private static Outcome outcomeOf(AuthorizePaymentResponse response, int timedOut, int rateLimited) {
    boolean duplicate = response.getStatus() == PaymentStatus.PAYMENT_STATUS_DUPLICATE;
    PaymentStatus status = duplicate ? response.getOriginalStatus() : response.getStatus();
    boolean paid =
        switch (status) {
          case PAYMENT_STATUS_AUTHORIZED -> true;
          case PAYMENT_STATUS_DECLINED -> false;
          default ->
              throw new IllegalStateException(
                  "payment " + response.getPaymentId() + " has a status that this program does not know");
        };
    return new Outcome(
        paid, response.getPaymentId(), duplicate, response.getError().getCode(), timedOut, rateLimited);
  }

  /** How long the service asks to be left alone. */
  private static long retryDelayMs(StatusRuntimeException error) {
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    if (status == null) return 0;
    for (Any detail : status.getDetailsList()) {
      if (!detail.is(RetryInfo.class)) continue;
      try {
        var delay = detail.unpack(RetryInfo.class).getRetryDelay();
        return delay.getSeconds() * 1_000 + delay.getNanos() / 1_000_000;
      } catch (InvalidProtocolBufferException broken) {
        throw new IllegalStateException("a RetryInfo that is none", broken);
      }
    }
    return 0;
  }

  /** Doubles, with the callers spread out over half of it. */
  private static long backoffMs(int attempt) {
    long longest = Math.min(100L << attempt, LONGEST_WAIT_MS);
    return longest / 2 + ThreadLocalRandom.current().nextLong(longest / 2);
  }
}
