"""A run's report: `run_report` folds the journal, the others write it down (page, tables, charts, queries)."""
