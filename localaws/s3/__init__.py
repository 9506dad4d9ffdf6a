"""S3: moto keeps the buckets and objects; the rules that moto lacks are here."""
