"""Problems: what AWS's errors mean, and their remedies."""
