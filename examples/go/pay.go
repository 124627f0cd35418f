package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "payment-ledger.example/caller/gen/payment/v1"
)

const (
	deadline    = 5 * time.Second
	maxAttempts = 8
	longestWait = 2 * time.Second
)

// Outcome is what a payment came to, once that is certain.
type Outcome struct {
	Paid bool
	// Empty if nothing was stored.
	PaymentID string
	// An earlier call with the key decided it, and not this one.
	Duplicate bool
	// Why it was declined, if it was.
	Decline pb.PaymentErrorCode
}

// Happened counts what Pay went through on the way.
type Happened struct {
	TimedOut    int
	RateLimited int
}

// errUnknown says that the payment may exist: call Pay again with the same request and key.
var errUnknown = errors.New("whether the payment was made is not known; repeat it with the same key")

// Pay repeats the request, with its key, until the outcome is certain. firstDeadline is
// that of the first attempt. An error other than errUnknown says that nothing was stored.
func Pay(ctx context.Context, client pb.PaymentServiceClient, request *pb.AuthorizePaymentRequest, firstDeadline time.Duration) (Outcome, Happened, error) {
	var happened Happened
	// Once an attempt may have paid, only an answer about the payment itself tells whether it has.
	open := false
	limit := firstDeadline
	var last error
	for attempt := range maxAttempts {
		response, err := authorize(ctx, client, request, limit)
		limit = deadline
		wait := backoff(attempt)
		switch {
		case err == nil && isRateLimited(response):
			// Says nothing of earlier attempts; asks for the same request a little later.
			happened.RateLimited++
			last = errors.New(response.Error.Message)
			wait = max(wait, time.Duration(response.Error.RetryAfterMs)*time.Millisecond)
		case err == nil:
			outcome, err := outcomeOf(response)
			return outcome, happened, err
		default:
			last = err
			switch code := status.Code(err); code {
			case codes.DeadlineExceeded, codes.Unavailable:
				open = true
				if code == codes.DeadlineExceeded {
					happened.TimedOut++
				}
			case codes.ResourceExhausted:
				// The service's queue is full, or this caller's bucket empty: nothing was stored.
			case codes.AlreadyExists:
				// The key has another payment: a key was used twice, which is a mistake of ours.
				return Outcome{}, happened, err
			default:
				if open || isUncertain(code) {
					return Outcome{}, happened, fmt.Errorf("%w: %w", errUnknown, err)
				}
				return Outcome{}, happened, err
			}
			wait = max(wait, retryDelay(err))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return Outcome{}, happened, fmt.Errorf("%w: %w", errUnknown, ctx.Err())
		}
	}
	if open {
		return Outcome{}, happened, fmt.Errorf("%w: %w", errUnknown, last)
	}
	return Outcome{}, happened, last
}

func authorize(ctx context.Context, client pb.PaymentServiceClient, request *pb.AuthorizePaymentRequest, limit time.Duration) (*pb.AuthorizePaymentResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return client.AuthorizePayment(ctx, request)
}

func isRateLimited(response *pb.AuthorizePaymentResponse) bool {
	return response.GetError().GetCode() == pb.PaymentErrorCode_PAYMENT_ERROR_CODE_RATE_LIMITED
}

// outcomeOf reads an answer. A duplicate is what its original was: the duplicate of a
// decline has moved no money.
func outcomeOf(response *pb.AuthorizePaymentResponse) (Outcome, error) {
	result := response.Status
	duplicate := result == pb.PaymentStatus_PAYMENT_STATUS_DUPLICATE
	if duplicate {
		result = response.OriginalStatus
	}
	outcome := Outcome{PaymentID: response.PaymentId, Duplicate: duplicate, Decline: response.GetError().GetCode()}
	switch result {
	case pb.PaymentStatus_PAYMENT_STATUS_AUTHORIZED:
		outcome.Paid = true
		return outcome, nil
	case pb.PaymentStatus_PAYMENT_STATUS_DECLINED:
		return outcome, nil
	default:
		return Outcome{}, fmt.Errorf("payment %s has the status %v, which this program does not know", response.PaymentId, result)
	}
}

// isUncertain is true for statuses after which the payment may exist.
func isUncertain(code codes.Code) bool {
	switch code {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return false
	default:
		return true
	}
}

// retryDelay is how long the service asks to be left alone.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// backoff doubles, with the callers spread out over half of it.
func backoff(attempt int) time.Duration {
	longest := min(100*time.Millisecond<<attempt, longestWait)
	return longest/2 + rand.N(longest/2)
}
