"""Many trainings: methods x seeds of one environment, on this machine's cores or on a Ray cluster."""
