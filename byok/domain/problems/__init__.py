"""Problems: what AWS's errors mean, and what the person who reads one does about it."""
