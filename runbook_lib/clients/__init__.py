"""One module per service: typed reads, and builders of write requests that send nothing."""
