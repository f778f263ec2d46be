"""What a network reads for controls of pretraining: a genome that is shuffled, or the rows of a task."""
