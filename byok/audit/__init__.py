"""The audit trail: records, the journal on disk, and the shipper that moves the journal to a bucket (contract 147)."""
