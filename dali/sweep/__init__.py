"""Many trainings: environments x methods x seeds, on this machine's cores or on a Ray cluster."""
