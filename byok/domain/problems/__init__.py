"""Problems: the error table for AWS's errors, and the remedies."""
