"""What scores of variants say beside the reported one: every score of every arm, by chromosome, and its confound."""
