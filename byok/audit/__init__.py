"""The audit trail: its records, the journal on disk, and the shipping of closed pieces to a bucket (contract 147)."""
