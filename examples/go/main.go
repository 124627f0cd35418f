// A caller of Payment Ledger: pays, and shows what becomes of each kind of answer.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pb "payment-ledger.example/caller/gen/payment/v1"
)

var (
	address       = flag.String("address", "localhost:50051", "host:port of the service")
	useTLS        = flag.Bool("tls", false, "encrypt, trusting the authorities of this machine")
	caFile        = flag.String("ca", "", "encrypt, trusting only the authorities in this PEM file")
	tokenFile     = flag.String("token-file", "", "a file with a bearer token")
	serviceConfig = flag.String("service-config", "../service-config.json", "gRPC service config with the retry policy")
	shortDeadline = flag.Duration("short-deadline", time.Millisecond, "a deadline that the service cannot keep")
	burst         = flag.Int("burst", 1000, "the most payments to make until the payer is limited")
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	connection, err := connect()
	if err != nil {
		return err
	}
	defer connection.Close()
	// Calls to accounts have the deadline of the service config.
	accounts := pb.NewAccountServiceClient(connection)
	payments := pb.NewPaymentServiceClient(connection)

	name := strings.ToLower(rand.Text()[:10])
	world, payer, payee := "world-"+name, "payer-"+name, "payee-"+name
	for _, account := range []*pb.OpenAccountRequest{
		{AccountId: world, Currency: "RUB", Type: pb.AccountType_ACCOUNT_TYPE_EXTERNAL},
		{AccountId: payer, Currency: "RUB", Type: pb.AccountType_ACCOUNT_TYPE_CUSTOMER},
		{AccountId: payee, Currency: "RUB", Type: pb.AccountType_ACCOUNT_TYPE_CUSTOMER},
	} {
		if _, err := accounts.OpenAccount(ctx, account); err != nil {
			return fmt.Errorf("open %s: %w", account.AccountId, err)
		}
	}

	pay := func(request *pb.AuthorizePaymentRequest) (Outcome, Happened, error) {
		return Pay(ctx, payments, request, deadline)
	}

	if outcome, _, err := pay(payment(world, payer, 100_000)); err != nil || !outcome.Paid {
		return fmt.Errorf("funding came to %+v: %w", outcome, err)
	}

	lunch := payment(payer, payee, 2_500)
	first, _, err := pay(lunch)
	if err != nil || !first.Paid || first.Duplicate {
		return fmt.Errorf("lunch came to %+v: %w", first, err)
	}
	fmt.Println("paid:", first.PaymentID)

	again, _, err := pay(lunch)
	if err != nil || !again.Paid || !again.Duplicate || again.PaymentID != first.PaymentID {
		return fmt.Errorf("lunch again came to %+v: %w", again, err)
	}
	fmt.Println("sent again: paid before, once, as", again.PaymentID)

	yacht := payment(payer, payee, 1_000_000_000)
	declined, _, err := pay(yacht)
	if err != nil || declined.Paid || declined.Duplicate {
		return fmt.Errorf("the yacht came to %+v: %w", declined, err)
	}
	fmt.Println("declined:", reason(declined))

	declinedAgain, _, err := pay(yacht)
	if err != nil || declinedAgain.Paid || !declinedAgain.Duplicate {
		return fmt.Errorf("the yacht again came to %+v: %w", declinedAgain, err)
	}
	fmt.Println("declined, sent again: not paid:", reason(declinedAgain))

	late, happened, err := Pay(ctx, payments, payment(payer, payee, 100), *shortDeadline)
	if err != nil || !late.Paid {
		return fmt.Errorf("the payment with a short deadline came to %+v: %w", late, err)
	}
	fmt.Printf("timed out %d times: paid once, as %s\n", happened.TimedOut, late.PaymentID)

	return burstUntilLimited(func() (Happened, error) {
		outcome, happened, err := pay(payment(payer, payee, 1))
		if err == nil && !outcome.Paid {
			err = fmt.Errorf("a payment of the burst was declined: %s", reason(outcome))
		}
		return happened, err
	})
}

func payment(payer, payee string, amountCents int64) *pb.AuthorizePaymentRequest {
	return &pb.AuthorizePaymentRequest{
		// A real caller stores the key with what is paid for, before the first call.
		IdempotencyKey: rand.Text(),
		PayerAccountId: payer,
		PayeeAccountId: payee,
		AmountCents:    amountCents,
		Currency:       "RUB",
	}
}

func reason(outcome Outcome) string {
	return strings.TrimPrefix(outcome.Decline.String(), "PAYMENT_ERROR_CODE_")
}

// burstUntilLimited pays from many goroutines until one payment was told to come later,
// and came through then.
func burstUntilLimited(payOnce func() (Happened, error)) error {
	var wait sync.WaitGroup
	var lock sync.Mutex
	var failures []error
	paid, limited := 0, 0
	for range 20 {
		wait.Go(func() {
			for {
				lock.Lock()
				done := limited > 0 || len(failures) > 0 || paid >= *burst
				lock.Unlock()
				if done {
					return
				}
				happened, err := payOnce()
				lock.Lock()
				if err != nil {
					failures = append(failures, err)
				} else {
					paid++
				}
				limited += happened.RateLimited
				lock.Unlock()
			}
		})
	}
	wait.Wait()
	fmt.Printf("rate limited %d times: %d payments, all paid in the end\n", limited, paid)
	return errors.Join(failures...)
}

func connect() (*grpc.ClientConn, error) {
	config, err := os.ReadFile(*serviceConfig)
	if err != nil {
		return nil, err
	}
	transport, err := transportCredentials()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(string(config)),
	}
	if *tokenFile != "" {
		options = append(options, grpc.WithUnaryInterceptor(withToken))
	}
	return grpc.NewClient(*address, options...)
}

func transportCredentials() (credentials.TransportCredentials, error) {
	if *caFile == "" && !*useTLS {
		return insecure.NewCredentials(), nil
	}
	if *caFile == "" {
		return credentials.NewTLS(&tls.Config{}), nil
	}
	pem, err := os.ReadFile(*caFile)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca %s holds no certificate", *caFile)
	}
	return credentials.NewTLS(&tls.Config{RootCAs: authorities}), nil
}

// withToken reads the file for each call, as whoever renews the token replaces it.
func withToken(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	token, err := os.ReadFile(*tokenFile)
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))
	return invoke(ctx, method, request, reply, connection, options...)
}
