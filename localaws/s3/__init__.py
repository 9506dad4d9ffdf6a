"""S3: moto stores the buckets and objects, and this package adds the rules that moto lacks."""
