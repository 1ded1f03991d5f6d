"""What is counted and timed, in Prometheus' terms; `carnet.cli.metrics` gives it out.

Labels are few and known beforehand: routes, never paths; no id, no address, nobody's name.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
OTHER = "other"  # a method or route that is not ours
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)  # seconds
COST_BUCKETS = (50, 100, 250, 500, 1000, 2500, 5000, 10_000)  # points

REQUESTS = Counter(
    "carnet_http_requests", "Requests answered, by route and status.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "carnet_http_request_seconds",
    "How long requests took, to the last byte of the answer.",
    ["method", "route"],
    buckets=BUCKETS,
)
IN_PROGRESS = Gauge(
    "carnet_http_requests_in_progress",
    "Requests being served, event streams included.",
    multiprocess_mode="livesum",
)
OPERATIONS = Counter(
    "carnet_graphql_operations",
    "GraphQL operations, by type and by outcome: ADMITTED, or the code of why not.",
    ["type", "outcome"],
)
COSTS = Histogram(
    "carnet_graphql_cost",
    "What operations that were let in cost, in points of the budget.",
    buckets=COST_BUCKETS,
)
LOG_LINES = Counter("carnet_log_lines", "Lines logged, by level and logger.", ["level", "logger"])
POOL = Gauge(
    "carnet_database_connections_in_use",
    "Connections of the pool that are in use.",
    multiprocess_mode="livesum",
)
JOBS_DUE = Gauge(
    "carnet_jobs_due",
    "Jobs of the queue that are due and wait.",
    multiprocess_mode="mostrecent",
)
UNSEALED = Gauge(
    "carnet_journal_entries_unsealed",
    "Entries of the journal that wait to be sealed; of a healthy server, a few.",
    multiprocess_mode="mostrecent",
)
