package caller;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import paymentledger.payment.v1.AccountServiceGrpc;
import paymentledger.payment.v1.AccountServiceGrpc.AccountServiceBlockingStub;
import paymentledger.payment.v1.AccountType;
import paymentledger.payment.v1.AuthorizePaymentRequest;
import paymentledger.payment.v1.OpenAccountRequest;
import paymentledger.payment.v1.PaymentServiceGrpc;

/** A caller of Payment Ledger: pays, and shows what becomes of each kind of answer. */
public final class Main {
  private static final String HELP =
      """
      options:
        --address HOST:PORT     of the service (localhost:50051)
        --tls                   encrypt, trusting the authorities of Java
        --ca FILE               encrypt, trusting only the authorities in this PEM file
        --token-file FILE       a file with a bearer token
        --service-config FILE   gRPC service config with the retry policy (../service-config.json)
        --short-deadline MS     a deadline that the service cannot keep (1)
        --burst COUNT           the most payments to make until the payer is limited (1000)""";

  public static void main(String[] arguments) throws Exception {
    Map<String, String> options = parse(arguments);
    if (options.containsKey("help")) {
      System.out.println(HELP);
      return;
    }
    ManagedChannel channel = connect(options);
    try {
      run(channel, options);
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private static void run(ManagedChannel channel, Map<String, String> options) throws Exception {
    CallCredentials token = options.containsKey("token-file") ? tokenOf(Path.of(options.get("token-file"))) : null;
    var accounts = AccountServiceGrpc.newBlockingStub(channel).withCallCredentials(token);
    var payer = new Payer(PaymentServiceGrpc.newBlockingStub(channel).withCallCredentials(token));

    String name = UUID.randomUUID().toString().substring(0, 8);
    String world = "world-" + name;
    String from = "payer-" + name;
    String to = "payee-" + name;
    open(accounts, world, AccountType.ACCOUNT_TYPE_EXTERNAL);
    open(accounts, from, AccountType.ACCOUNT_TYPE_CUSTOMER);
    open(accounts, to, AccountType.ACCOUNT_TYPE_CUSTOMER);

    Payer.Outcome funded = payer.pay(payment(world, from, 100_000));
    expect(funded.paid(), funded);

    AuthorizePaymentRequest lunch = payment(from, to, 2_500);
    Payer.Outcome first = payer.pay(lunch);
    expect(first.paid() && !first.duplicate(), first);
    System.out.println("paid: " + first.paymentId());

    Payer.Outcome again = payer.pay(lunch);
    expect(again.paid() && again.duplicate() && again.paymentId().equals(first.paymentId()), again);
    System.out.println("sent again: paid before, once, as " + again.paymentId());

    AuthorizePaymentRequest yacht = payment(from, to, 1_000_000_000);
    Payer.Outcome declined = payer.pay(yacht);
    expect(!declined.paid() && !declined.duplicate(), declined);
    System.out.println("declined: " + reason(declined));

    Payer.Outcome declinedAgain = payer.pay(yacht);
    expect(!declinedAgain.paid() && declinedAgain.duplicate(), declinedAgain);
    System.out.println("declined, sent again: not paid: " + reason(declinedAgain));

    Duration shortDeadline = Duration.ofMillis(Long.parseLong(options.getOrDefault("short-deadline", "1")));
    Payer.Outcome late = payer.pay(payment(from, to, 100), shortDeadline);
    expect(late.paid(), late);
    System.out.println("timed out " + late.timedOut() + " times: paid once, as " + late.paymentId());

    burstUntilLimited(payer, from, to, Integer.parseInt(options.getOrDefault("burst", "1000")));
  }

  /** Pays from many threads until one payment was told to come later, and came through then. */
  private static void burstUntilLimited(Payer payer, String from, String to, int most) throws Exception {
    var paid = new AtomicInteger();
    var limited = new AtomicInteger();
    Callable<Void> payUntilLimited =
        () -> {
          while (limited.get() == 0 && paid.get() < most) {
            Payer.Outcome outcome = payer.pay(payment(from, to, 1));
            expect(outcome.paid(), outcome);
            paid.incrementAndGet();
            limited.addAndGet(outcome.rateLimited());
          }
          return null;
        };
    var threads = Executors.newFixedThreadPool(20);
    try {
      List<Future<Void>> all = new ArrayList<>();
      for (int i = 0; i < 20; i++) all.add(threads.submit(payUntilLimited));
      for (Future<Void> each : all) each.get();
    } finally {
      threads.shutdownNow();
    }
    System.out.println("rate limited " + limited + " times: " + paid + " payments, all paid in the end");
  }

  private static AuthorizePaymentRequest payment(String payer, String payee, long amountCents) {
    return AuthorizePaymentRequest.newBuilder()
        // A real caller stores the key with what is paid for, before the first call.
        .setIdempotencyKey(UUID.randomUUID().toString())
        .setPayerAccountId(payer)
        .setPayeeAccountId(payee)
        .setAmountCents(amountCents)
        .setCurrency("RUB")
        .build();
  }

  private static void open(AccountServiceBlockingStub accounts, String accountId, AccountType type) {
    accounts
        .withDeadlineAfter(Payer.DEADLINE.toMillis(), TimeUnit.MILLISECONDS)
        .openAccount(
            OpenAccountRequest.newBuilder().setAccountId(accountId).setCurrency("RUB").setType(type).build());
  }

  private static String reason(Payer.Outcome outcome) {
    return outcome.decline().name().replace("PAYMENT_ERROR_CODE_", "");
  }

  private static void expect(boolean condition, Payer.Outcome outcome) {
    if (!condition) throw new IllegalStateException("this should not have come to " + outcome);
  }

  private static ManagedChannel connect(Map<String, String> options) throws IOException {
    String json = Files.readString(Path.of(options.getOrDefault("service-config", "../service-config.json")));
    // gRPC takes the config as maps, lists, strings and doubles, which is what Gson reads.
    Map<String, Object> config = new Gson().fromJson(json, new TypeToken<Map<String, Object>>() {}.getType());
    return Grpc.newChannelBuilder(options.getOrDefault("address", "localhost:50051"), credentials(options))
        .defaultServiceConfig(config)
        .enableRetry()
        .build();
  }

  private static ChannelCredentials credentials(Map<String, String> options) throws IOException {
    if (options.containsKey("ca")) {
      return TlsChannelCredentials.newBuilder().trustManager(Path.of(options.get("ca")).toFile()).build();
    }
    return options.containsKey("tls") ? TlsChannelCredentials.create() : InsecureChannelCredentials.create();
  }

  /** Reads the file for each call, as whoever renews the token replaces it. */
  private static CallCredentials tokenOf(Path file) {
    return new CallCredentials() {
      @Override
      public void applyRequestMetadata(RequestInfo request, Executor executor, MetadataApplier applier) {
        executor.execute(
            () -> {
              try {
                var metadata = new Metadata();
                metadata.put(
                    Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
                    "Bearer " + Files.readString(file).strip());
                applier.apply(metadata);
              } catch (IOException error) {
                applier.fail(Status.UNAUTHENTICATED.withDescription("--token-file").withCause(error));
              }
            });
      }
    };
  }

  private static Map<String, String> parse(String[] arguments) {
    var known = List.of("address", "ca", "token-file", "service-config", "short-deadline", "burst");
    Map<String, String> options = new HashMap<>();
    for (int i = 0; i < arguments.length; i++) {
      String name = arguments[i].replaceFirst("^--", "");
      if (name.equals("tls") || name.equals("help")) options.put(name, "");
      else if (known.contains(name) && i + 1 < arguments.length) options.put(name, arguments[++i]);
      else throw new IllegalArgumentException("unknown or incomplete option " + arguments[i] + "\n" + HELP);
    }
    return options;
  }

  private Main() {}
}
