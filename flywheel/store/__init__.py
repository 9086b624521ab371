"""The ledger, its projections and the jobs. The only home of tables and of SQL on our own database."""
