"""A consumer of payment events that keeps the balance of every account. See README.md."""

import argparse
import signal
import sys

from confluent_kafka import Consumer, KafkaException, TopicPartition

from account_views import STATES, open_database, take

MOST_AT_ONCE = 500


def main():
    options = parse_arguments()
    database = open_database(options.database)
    consumer = Consumer(
        {
            "bootstrap.servers": options.brokers,
            "group.id": options.group,
            # From the end it would miss what came while the group had no offset.
            "auto.offset.reset": "earliest",
            # Offsets are committed below, when the events are.
            "enable.auto.commit": False,
        }
    )
    stopping = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: stopping.append(number))
    consumer.subscribe([options.topic])
    print(f"consuming {options.topic} from {options.brokers} as {options.group}", flush=True)
    try:
        while not stopping:
            messages = consumer.consume(MOST_AT_ONCE, timeout=0.5)
            if messages:
                consume(database, consumer, messages)
    finally:
        consumer.close()
        database.close()


def consume(database, consumer, messages):
    events = [event for event in map(to_event, messages) if event is not None]
    fresh = take(database, events)
    print(f"{fresh} events, {len(events) - fresh} repeats", flush=True)
    for unknown in sorted({event_type for _, event_type, _ in events if event_type not in STATES}):
        note = f"{unknown} is not known here; of it, states of accounts are taken and nothing else"
        print(note, file=sys.stderr, flush=True)
    # Only now: what was taken and not committed comes again, and is dropped by its id.
    last = {(each.topic(), each.partition()): each.offset() for each in messages}
    offsets = [TopicPartition(topic, partition, offset + 1) for (topic, partition), offset in last.items()]
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as error:
        # The partitions are another consumer's by now; it gets these events again.
        print(f"offsets were not committed: {error}", file=sys.stderr, flush=True)


def to_event(message):
    """(id, type, value), or None for what is not of the ledger."""
    if message.error():
        raise KafkaException(message.error())
    headers = dict(message.headers() or [])
    if "ce_id" not in headers or "ce_type" not in headers or message.value() is None:
        where = f"offset {message.offset()} of partition {message.partition()}"
        print(f"left out: {where} is no CloudEvent, so not of the ledger", file=sys.stderr, flush=True)
        return None
    return headers["ce_id"].decode(), headers["ce_type"].decode(), message.value()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", default="127.0.0.1:9092", help="host:port, comma-separated (%(default)s)")
    parser.add_argument("--topic", default="payment.events.v1", help="(%(default)s)")
    parser.add_argument("--group", default="account-views-python", help="its members share the partitions (%(default)s)")
    parser.add_argument("--database", default="account-views.sqlite", help="a file, made if it is missing (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
