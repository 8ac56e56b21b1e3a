"""What is kept: the journal, the snapshot, and the engines that hold projections."""
