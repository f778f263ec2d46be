"""What a study costs before anything runs: work of a job, totals of a study, requests to a cluster."""
