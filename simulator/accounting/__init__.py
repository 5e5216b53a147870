"""What we, all-knowing, write down: the ledger, metrics and the data dictionary of every table."""
