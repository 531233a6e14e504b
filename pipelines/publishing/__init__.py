"""Publishing a run's data sets to the Hub: checked, planned, one atomic commit, verified, tagged."""
