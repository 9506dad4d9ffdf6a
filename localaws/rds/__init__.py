"""RDS: clusters, instances and snapshots, the keys that they use, and how their statuses change over time."""
